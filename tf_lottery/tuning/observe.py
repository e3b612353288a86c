"""Observers of a tuning. Watching changes no result."""

from collections.abc import Sequence

from tf_lottery.runs.observe import StudyObserver
from tf_lottery.tuning.candidate import Candidate
from tf_lottery.tuning.tuned import Tried, Tuned


class TuningObserver(StudyObserver):
    """Hears of a tuning's candidates, too, and does nothing."""

    def proposed(self, candidates: Sequence[Candidate]) -> None:
        """Hear which candidates are trained next."""

    def tried(self, tried: Tried, so_far: Tuned) -> None:
        """Hear what a candidate came to."""
