"""Showing a tuning on the terminal: a row for each candidate, bars for runs in progress, what is next."""

import time
from collections.abc import Sequence

from rich.console import Console

from tf_lottery.analysis.so_far import duration, listed, next_runs, short_name
from tf_lottery.config_tune import Tuning
from tf_lottery.live import BEFORE, LiveRuns
from tf_lottery.method.spec import Record, RunSpec
from tf_lottery.runs.observe import Progress as RunProgress
from tf_lottery.tuning.answer import in_short
from tf_lottery.tuning.candidate import Candidate
from tf_lottery.tuning.observe import TuningObserver
from tf_lottery.tuning.tuned import Tried, Tuned, recommended


class TuneLive(LiveRuns, TuningObserver):
    """Shows a tuning's progress on the terminal. Use it as a context manager.

    Rows of candidates stay. Below them a terminal shows bars of what is in progress, which candidates are
    trained and which runs come next, about how long all candidates still take, and the best one so far.

    Args:
        tuning: The tuning.
        console: The console to print on.
    """

    def __init__(self, tuning: Tuning, console: Console):
        self._tune, self._total = tuning.tune, tuning.tune.candidates
        super().__init__(console, "candidates", self._total)
        self._progress.notes |= dict.fromkeys(("Now: ", "Next:", "Left:", "Best:"), "")  # in this order
        self._width = max(9, *(len(name) for name in self._tune.ranges))
        self._headed = False
        self._waiting: list[RunSpec] = []
        self._batch = (time.monotonic(), 0, 0)
        """When the candidates in progress were proposed, how many they are, how many runs were trained."""
        self._took = [0.0, 0.0]
        """The seconds in which candidates were trained in this session, and how many candidates that were."""
        self._replicates = tuning.study.replicates

    def proposed(self, candidates: Sequence[Candidate]) -> None:
        """Show which candidates are trained, and say where fresh seeds come next."""
        self._batch = (time.monotonic(), len(candidates), self.trained)
        names = list(dict.fromkeys(f"{each.number} ({each.describe()})" for each in candidates))
        self._note("Now: ", listed(names, len(names), self._console.width - BEFORE))
        if seeds := {each.study.seed for each in candidates if each.fresh}:
            self._note("Left:", "")
            self._print(f"Confirming on {len(seeds)} fresh seed{'s' if len(seeds) > 1 else ''}", "bold")

    def tried(self, tried: Tried, so_far: Tuned) -> None:
        """Print a candidate's row."""
        if not self._headed:
            self._headed = True
            names = " ".join(f"{name:>{self._width}}" for name in self._tune.ranges)
            value = "matches to" if self._tune.at_density is None else "accuracy"
            cost = f" {self._tune.cost:>13}" if self._tune.cost else ""
            self._print(f"  # {names} {value:>10}{cost}  test accuracy", "bold")
        self._print(self._row(tried))
        count = len(so_far.tried)
        self._progress.update(self._whole, completed=count, count=f"{count}/{self._total}")
        self._note("Left:", self._time_left(count))
        best = recommended(so_far)
        self._note("Best:", in_short(best, self._tune) if best else "no candidate has a ticket yet")

    def planned(self, finished: list[Record], waiting: list[RunSpec]) -> None:
        """Take note of the runs that can start."""
        self._waiting = waiting

    def running(self, runs: list[RunProgress]) -> None:
        """Update the bars, and say which runs come next."""
        super().running(runs)
        now = {run.spec.key for run in runs}
        coming = [spec for spec in self._waiting if spec.key not in now]
        self._note("Next:", next_runs(coming, self._replicates, self._console.width - BEFORE))

    def noted(self, text: str) -> None:
        """Print the message, unless it says that a run was taken over: there are hundreds."""
        if ": taken over from " not in text:
            super().noted(text)

    def _name(self, spec: RunSpec) -> str:
        return short_name(spec, self._replicates)

    def _time_left(self, count: int) -> str:
        """Return about how long the candidates still take, by those that were trained in this session."""
        began, size, trained = self._batch
        if self.trained > trained:  # once for all candidates that were trained side by side
            self._took = [self._took[0] + time.monotonic() - began, self._took[1] + size]
            self._batch = (began, size, self.trained)
        seconds, candidates = self._took
        if not candidates or count >= self._total:
            return ""
        fresh = f"{self._tune.confirm} fresh seed{'s' if self._tune.confirm > 1 else ''}"
        confirmed = f", then {fresh}" if self._tune.confirm else ""
        return f"at most about {duration((self._total - count) * seconds / candidates)}{confirmed}"

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
        return f"{tried.candidate.number:3} {shown} {value:>10}{cost}  {test}{early}{share}"
