"""Showing a tuning on the terminal: a row for each candidate, a bar for each run, one for all candidates."""

from collections.abc import Sequence

from rich.console import Console
from rich.progress import TaskID

from tf_lottery.config_tune import Tuning
from tf_lottery.live import bars
from tf_lottery.runs.observe import Progress as RunProgress
from tf_lottery.store.failures import Failure
from tf_lottery.tuning.candidate import Candidate
from tf_lottery.tuning.observe import TuningObserver
from tf_lottery.tuning.tuned import Tried, Tuned


class TuneLive(TuningObserver):
    """Shows a tuning's progress on the terminal. Use it as a context manager.

    Where the output isn't a terminal, there are rows but no bars.

    Args:
        tuning: The tuning.
        console: The console to print on.
    """

    def __init__(self, tuning: Tuning, console: Console):
        self._tune, self._console = tuning.tune, console
        self._progress = bars(console)
        total = self._tune.candidates
        self._all = self._progress.add_task("candidates", total=total, count=f"0/{total}")
        self._runs: dict[str, TaskID] = {}
        self._width = max(9, *(len(name) for name in self._tune.ranges))
        self._headed = False

    def __enter__(self) -> "TuneLive":
        self._progress.start()
        return self

    def __exit__(self, *exception) -> None:
        self._progress.stop()

    def proposed(self, candidates: Sequence[Candidate]) -> None:
        """Say that fresh seeds come next."""
        if any(each.fresh for each in candidates):
            self._print(f"Confirming on {len({each.study.seed for each in candidates})} fresh seeds", "bold")

    def tried(self, tried: Tried, so_far: Tuned) -> None:
        """Print a candidate's row."""
        if not self._headed:
            self._headed = True
            names = " ".join(f"{name:>{self._width}}" for name in self._tune.ranges)
            value = "weights" if self._tune.at_density is None else "accuracy"
            cost = f" {self._tune.cost:>13}" if self._tune.cost else ""
            self._print(f"  # {names} {value:>9}{cost}  test accuracy", "bold")
        self._print(self._row(tried))
        count = len(so_far.tried)
        self._progress.update(self._all, completed=count, count=f"{count}/{self._tune.candidates}")

    def running(self, runs: list[RunProgress]) -> None:
        """Update the bars."""
        for key in self._runs.keys() - {run.spec.key for run in runs}:
            self._progress.remove_task(self._runs.pop(key))
        for run in runs:
            if run.spec.key not in self._runs:
                self._runs[run.spec.key] = self._progress.add_task(run.spec.describe(), count="")
            count = f"{run.step:,}/{run.last:,} steps"
            self._progress.update(self._runs[run.spec.key], total=run.last, completed=run.step, count=count)

    def failed(self, failure: Failure) -> None:
        """Print the failure."""
        self._print(failure.describe(), "red")

    def noted(self, text: str) -> None:
        """Print the message, unless it says that a run was taken over: there are hundreds."""
        if ": taken over from " not in text:
            self._print(text, "yellow")

    def _row(self, tried: Tried) -> str:
        values, result = tried.candidate.values, tried.outcome
        shown = " ".join(f"{values.get(name, 'own'):>{self._width}}" for name in self._tune.ranges)
        if result is None:
            return f"{tried.candidate.number:3} {shown}  failed: {tried.failure}"
        cost = ""
        if self._tune.cost:
            cost = f" {result.cost:13,.0f}" if result.cost is not None else f" {'unknown':>13}"
        test = f"{result.ticket.test_accuracy:.2%}" if result.ticket else "no ticket"
        share = f", {tried.candidate.share:.0%} of the resource" if tried.candidate.share < 1 else ""
        early = ", given up" if result.ended_early else ""
        value = f"{result.value:.2%}"
        if result.ended_early and result.ticket is None and result.failing:
            value = f">{result.failing.density:.2%}"  # where it ceases to match wasn't looked for
        return f"{tried.candidate.number:3} {shown} {value:>9}{cost}  {test}{early}{share}"

    def _print(self, line: str, style: str | None = None) -> None:
        self._progress.console.print(line, style=style, highlight=False, markup=False, soft_wrap=True)
