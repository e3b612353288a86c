"""Showing a study on the terminal: a row for each finished run, bars for those in progress, what is next."""

import importlib.util
import textwrap
import time
from collections.abc import Iterator
from typing import Self

from rich.console import Console, RenderableType
from rich.progress import BarColumn, Progress, Task, TaskID, TextColumn, TimeRemainingColumn
from rich.table import Column
from rich.text import Text

from tf_lottery.analysis import table
from tf_lottery.analysis.so_far import best_so_far, duration, next_runs, seconds_left, short_name
from tf_lottery.config import StudyConfig
from tf_lottery.method.plan import expected_runs, foreseen
from tf_lottery.method.spec import Record, RunSpec
from tf_lottery.runs.observe import Progress as RunProgress
from tf_lottery.runs.observe import StudyObserver
from tf_lottery.store.failures import Failure

SHORTEST_BAR, LONGEST_BAR = 8, 40
BEFORE = len("Next: ")
"""How many characters stand before the text of a line."""
BESIDE = 52
"""How many characters a row has beside its bar: what is done, how far it is, the time left."""


def draws(console: Console) -> bool:
    """Return whether bars can be drawn: on a terminal, or in a notebook that has widgets for them."""
    if console.quiet:
        return False
    return console.is_terminal or (console.is_jupyter and importlib.util.find_spec("ipywidgets") is not None)


def say(console: Console, line: str, hanging: int = 0) -> None:
    """Print a line. A terminal that is too narrow breaks it between words; elsewhere it stays one line.

    Args:
        console: The console to print on.
        line: The line.
        hanging: By how many characters what doesn't fit is indented.
    """
    if console.is_terminal:
        indent = " " * hanging
        line = textwrap.fill(
            line, console.width, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
        )
    console.print(line, highlight=False, markup=False, soft_wrap=True)


class Board(Progress):
    """Bars, and lines of text below them.

    Attributes:
        notes: Name -> the text that follows it in a line; empty texts have no line.
    """

    def __init__(self, *columns, **settings):
        self.notes: dict[str, str] = {}
        super().__init__(*columns, **settings)

    def get_renderables(self) -> Iterator[RenderableType]:
        """Yield the bars, then the lines, each cut off where the terminal ends."""
        yield self.make_tasks_table(self.tasks)
        for name, text in list(self.notes.items()):
            if text:
                yield Text(f"{name} {text}", no_wrap=True, overflow="ellipsis")


def bars(console: Console, count: str = "{task.fields[count]}") -> Board:
    """Return bars with a count and the time left, shown only on a terminal and in a notebook.

    Args:
        console: The console to draw on.
        count: The text of the count, as rich formats it.
    """
    return Board(
        TextColumn("{task.description}", table_column=Column(no_wrap=True)),
        BarColumn(
            max(SHORTEST_BAR, min(LONGEST_BAR, console.width - BESIDE)),
            complete_style="bright_blue",  # rich's own is red in 16 colours, as if it were an error
            finished_style="green",
        ),
        TextColumn(count, table_column=Column(no_wrap=True)),
        _Left(compact=True),
        console=console,
        transient=True,
        disable=not draws(console),
    )


class _Left(TimeRemainingColumn):
    """The time that a task still takes, unless it has a field `timed` that is false."""

    def render(self, task: Task) -> Text:
        return super().render(task) if task.fields.get("timed", True) else Text()


class LiveRuns(StudyObserver):
    """Bars of the runs in progress, lines below them, and messages. Use it as a context manager.

    Args:
        console: The console to print on.
        name: The name of the bar of the whole.
        total: When the whole is done; None if it isn't known.
    """

    def __init__(self, console: Console, name: str, total: int | None):
        self._console, self._progress = console, bars(console)
        self._whole = self._progress.add_task(name, total=total, count="", timed=False)
        self._runs: dict[str, TaskID] = {}
        self._began = time.monotonic()
        self.trained = 0
        self.failures: list[Failure] = []

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, *exception) -> None:
        self._progress.stop()

    @property
    def seconds(self) -> float:
        """The seconds since the work was started or resumed."""
        return time.monotonic() - self._began

    def running(self, runs: list[RunProgress]) -> None:
        """Update the bars."""
        now = {run.spec.key: run for run in runs}
        for key in self._runs.keys() - now.keys():
            self._progress.remove_task(self._runs.pop(key))
        for key, run in now.items():
            task = self._runs.get(key)
            if task is None:
                name = self._name(run.spec)
                task = self._runs[key] = self._progress.add_task(name, completed=run.first, count="")
            count = f"{run.step:,}/{run.last:,} steps"
            self._progress.update(task, total=run.last, completed=run.step, count=count)

    def finished(self, record: Record) -> None:
        """Count the run."""
        self.trained += 1

    def failed(self, failure: Failure) -> None:
        """Print the failure, and keep it for the summary at the end."""
        self.failures.append(failure)
        self._print(failure.describe(), style="red")

    def noted(self, text: str) -> None:
        """Print the message."""
        self._print(text, style="yellow")

    def _name(self, spec: RunSpec) -> str:
        return spec.describe()

    def _note(self, name: str, text: str) -> None:
        """Set a line below the bars, where there are any."""
        if not self._progress.disable:
            self._progress.notes[name] = text

    def _print(self, line: str, style: str | None = None) -> None:
        self._progress.console.print(line, style=style, highlight=False, markup=False, soft_wrap=True)


class Live(LiveRuns):
    """Shows a study's progress on the terminal. Use it as a context manager.

    Rows of finished runs stay. Below them a terminal, or a notebook, shows bars of what is in progress, which
    runs come next, about how long the whole study still takes, and the best ticket so far.

    Args:
        study: The study whose runs are shown.
        console: The console to print on.

    Attributes:
        trained: The number of runs trained since the study was started or resumed.
        failures: The runs that failed and will not be retried, with the reasons.
    """

    def __init__(self, study: StudyConfig, console: Console):
        self._total = expected_runs(study)
        super().__init__(console, study.name, self._total)
        self._config, self._width = study, table.width_for(study.arms)
        self._every = _foreseen(study)
        self._begun: dict[str, tuple[float, int]] = {}
        self._waiting: list[RunSpec] = []
        self._records: list[Record] = []
        self._shown: set[str] = set()
        self._headed = False
        self._finished = 0

    def planned(self, finished: list[Record], waiting: list[RunSpec]) -> None:
        """Print the finished runs that weren't printed yet, including those of earlier sessions."""
        if not self._headed:
            self._headed = True
            for line in table.header(self._width):
                self._print(line, style="bold")
        for record in finished:
            if record.key not in self._shown:
                self._shown.add(record.key)
                self._print(table.row(record, self._width))
        self._finished = len({record.key for record in finished})  # arms may share a run
        self._records, self._waiting = finished, waiting
        self._note("Next:", "")
        self._note("Left:", "")
        if not self._progress.disable:
            self._note("Best:", best_so_far(finished, self._config.tolerance, self._config.replicates))
        self._move({})

    def running(self, runs: list[RunProgress]) -> None:
        """Update the bars and the lines."""
        super().running(runs)
        now = {run.spec.key: run for run in runs}
        for key, run in now.items():
            self._begun.setdefault(key, (time.monotonic(), run.step))
        self._move(now)

    def _name(self, spec: RunSpec) -> str:
        return short_name(spec, self._config.replicates)

    def _move(self, current: dict[str, RunProgress]) -> None:
        """Bring the study's own bar and the lines up to date with the runs in progress."""
        done = self._finished + sum(run.step / run.last for run in current.values())
        total = "?" if self._total is None else f"{self._total:,}"
        self._progress.update(self._whole, completed=done, count=f"{self._finished:,}/{total} runs")
        if not current or self._progress.disable:
            return
        width = self._console.width - BEFORE
        self._note("Next:", next_runs(self._coming(current), self._config.replicates, width))
        left = None if self._total is None else max(self._total - done, 0.0)
        self._note("Left:", self._time_left(current, left))

    def _coming(self, current: dict[str, RunProgress]) -> list[RunSpec]:
        """Return what can start and hasn't, then what is foreseen. By name: keys take the data's digest."""
        known = {run.spec.describe() for run in current.values()}
        known |= {record.spec.describe() for record in self._records}
        later = [] if self.failures else self._every  # what builds on a failed run never starts
        every = {spec.describe(): spec for spec in [*self._waiting, *later]}
        return [spec for name, spec in every.items() if name not in known]

    def _time_left(self, current: dict[str, RunProgress], runs: float | None) -> str:
        if runs is None:
            return ""
        took = [record.seconds.get("total", 0.0) for record in self._records]
        if not any(took):
            now = time.monotonic()
            for key, run in current.items():
                since, step = self._begun[key]
                if run.step > step:
                    took.append((now - since) * run.last / (run.step - step))
        seconds = seconds_left(took, runs, len(current))
        if seconds is None:
            return ""
        pruning = self._config.pruning
        may_end_early = pruning.max_accuracy_drop is not None or pruning.target_density is not None
        return f"{'at most ' if may_end_early or self.failures else ''}about {duration(seconds)}"


def _foreseen(study: StudyConfig) -> list[RunSpec]:
    return foreseen(study.with_digests(lambda data: data.digest or "unknown")) or []
