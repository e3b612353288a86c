"""A study on the terminal: bars that move, a row for each finished run."""

import time

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from tf_lottery.analysis import table
from tf_lottery.config import StudyConfig
from tf_lottery.experiment.observe import StudyObserver
from tf_lottery.experiment.plan import expected_runs
from tf_lottery.experiment.spec import Record, RunSpec


class Live(StudyObserver):
    """Use as a context manager. Where the output isn't a terminal there are rows, no bars.

    Args:
        study: whose runs are shown.
        console: to print on.
    """

    def __init__(self, study: StudyConfig, console: Console):
        self._expected = expected_runs(study)
        self._console = console
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[unit]}"),
            TimeRemainingColumn(compact=True),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self._study = self._progress.add_task(study.name, total=self._expected, unit="runs")
        self._run = self._progress.add_task("data and compilation", total=None, unit="steps")
        self._shown: set[str] = set()
        self._headed = False
        self.trained = 0
        self._began = time.monotonic()

    def __enter__(self) -> "Live":
        self._progress.start()
        return self

    def __exit__(self, *exception) -> None:
        self._progress.stop()

    @property
    def seconds(self) -> float:
        """Since the study was begun, or gone on with."""
        return time.monotonic() - self._began

    def planned(self, finished: list[Record], waiting: list[RunSpec]) -> None:
        """Print what isn't printed yet: at first, all that was finished before."""
        if not self._headed:
            self._headed = True
            for line in table.header():
                self._print(line, style="bold")
        for record in finished:
            if record.key not in self._shown:
                self._shown.add(record.key)
                self._print(table.row(record))
        self._progress.update(self._study, completed=len(finished))

    def started(self, spec: RunSpec, first: int, last: int) -> None:
        """Begin a bar for the run."""
        self._progress.reset(
            self._run, total=last, completed=first, description=f"{spec.arm} round {spec.round}"
        )

    def advanced(self, step: int) -> None:
        """Move the bar."""
        self._progress.update(self._run, completed=step)

    def finished(self, record: Record) -> None:
        """Count it; its row is printed when the planner has placed it."""
        self.trained += 1

    def _print(self, line: str, style: str | None = None) -> None:
        self._progress.console.print(line, style=style, highlight=False, soft_wrap=True)
