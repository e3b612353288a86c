"""Showing a study on the terminal: a row for each finished run, a bar for each in progress, one for all."""

import time

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from tf_lottery.analysis import table
from tf_lottery.config import StudyConfig
from tf_lottery.method.plan import expected_runs
from tf_lottery.method.spec import Record, RunSpec
from tf_lottery.runs.observe import Progress as RunProgress
from tf_lottery.runs.observe import StudyObserver
from tf_lottery.store.failures import Failure


def bars(console: Console, count: str = "{task.fields[count]}") -> Progress:
    """Return bars with a count and the time left, shown only where the output is a terminal.

    Args:
        console: The console to draw on.
        count: The text of the count, as rich formats it.
    """
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn(count),
        TimeRemainingColumn(compact=True),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )


class Live(StudyObserver):
    """Shows a study's progress on the terminal. Use it as a context manager.

    Where the output isn't a terminal, there are rows but no bars.

    Args:
        study: The study whose runs are shown.
        console: The console to print on.

    Attributes:
        trained: The number of runs trained since the study was started or resumed.
        failures: The runs that failed and will not be retried, with the reasons.
    """

    def __init__(self, study: StudyConfig, console: Console):
        self._console = console
        self._progress = bars(console)
        self._total, self._width = expected_runs(study), table.width_for(study.arms)
        self._study = self._progress.add_task(study.name, total=self._total, count="")
        self._runs: dict[str, TaskID] = {}
        self._shown: set[str] = set()
        self._headed = False
        self._finished = 0
        self._began = time.monotonic()
        self.trained = 0
        self.failures: list[Failure] = []

    def __enter__(self) -> "Live":
        self._progress.start()
        return self

    def __exit__(self, *exception) -> None:
        self._progress.stop()

    @property
    def seconds(self) -> float:
        """The seconds since the study was started or resumed."""
        return time.monotonic() - self._began

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
        self._move(0.0)

    def running(self, runs: list[RunProgress]) -> None:
        """Update the bars."""
        for key in self._runs.keys() - {run.spec.key for run in runs}:
            self._progress.remove_task(self._runs.pop(key))
        for run in runs:
            task = self._runs.get(run.spec.key)
            if task is None:
                task = self._progress.add_task(run.spec.describe(), completed=run.first, count="")
                self._runs[run.spec.key] = task
            count = f"{run.step:,}/{run.last:,} steps"
            self._progress.update(task, total=run.last, completed=run.step, count=count)
        self._move(sum(run.step / run.last for run in runs))

    def finished(self, record: Record) -> None:
        """Count the run; its row is printed once the planner has placed it."""
        self.trained += 1

    def failed(self, failure: Failure) -> None:
        """Print the failure, and keep it for the summary at the end."""
        self.failures.append(failure)
        self._print(failure.describe(), style="red")

    def noted(self, text: str) -> None:
        """Print the message."""
        self._print(text, style="yellow")

    def _move(self, fractions: float) -> None:
        total = "?" if self._total is None else f"{self._total:,}"
        count = f"{self._finished:,}/{total} runs"
        self._progress.update(self._study, completed=self._finished + fractions, count=count)

    def _print(self, line: str, style: str | None = None) -> None:
        self._progress.console.print(line, style=style, highlight=False, markup=False, soft_wrap=True)
