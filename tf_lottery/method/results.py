"""The one view of finished runs that tables, pictures, tickets and the choice of a round share."""

from collections.abc import Iterable
from numbers import Real
from typing import Any, Generic, TypeVar

from tf_lottery.errors import LotteryError
from tf_lottery.method.matching import ROUNDING, dense_runs, main_arm, matching_round, setting
from tf_lottery.method.spec import Finished

NEAR = 0.1
"""How far a requested density may lie from a round's density, as a fraction of the latter."""

Run = TypeVar("Run", bound=Finished)


class Results(Generic[Run]):
    """The finished runs of one study or one search.

    Args:
        records: The records as `collect` returns them: labelled with their places, in order.

    Attributes:
        records: The records that were given.
        arms: The names of the arms that have finished runs, in order.
        main: The arm whose tickets are meant where none is named: that of the dense network.
    """

    def __init__(self, records: Iterable[Run]):
        self.records: list[Run] = list(records)
        rounds = [record for record in self.records if record.spec.round >= 0]  # none before round 0
        self.arms = list(dict.fromkeys(record.spec.arm for record in rounds))
        self.main = main_arm(self.records)

    def of_arm(self, arm: str) -> list[Run]:
        """Return all runs of an arm, with the dense runs that it is compared with."""
        own = [record for record in self.records if record.spec.arm == arm]
        if any(record.spec.round == 0 for record in own):
            return own
        if not own:
            return [r for r in self.records if r.spec.arm == self.main and r.spec.round == 0]
        return [*dense_runs(self.records, own), *own]

    def rounds(self, replicate: int = 0, arm: str | None = None) -> dict[int, Run]:
        """Return the first trial of each of a replicate's rounds, by round, the dense run first.

        Args:
            replicate: Which replicate.
            arm: Which arm. Default: the main one.
        """
        runs = [record for record in self.of_arm(arm or self.main) if record.spec.replicate == replicate]
        return {record.spec.round: record for record in runs if record.spec.trial == 0}

    def reinitialized(self, round: int | None = None, replicate: int = 0) -> list[Run]:
        """Return the random reinitializations of the main arm's tickets.

        Args:
            round: The round of the ticket. Default: all rounds.
            replicate: Which replicate.
        """
        tickets = self.rounds(replicate)
        return [
            record
            for record in self.records
            if record.spec.start == "reinitialize"
            and record.spec.replicate == replicate
            and round in (None, record.spec.round)
            and (ticket := tickets.get(record.spec.round)) is not None
            and _recipe(record) == _recipe(ticket)
            and setting(record.spec) == setting(ticket.spec)
        ]

    def matching_round(self, tolerance: float = 0.0, arm: str | None = None) -> int | None:
        """Return the sparsest matching round, None if no pruned round matches.

        Args:
            tolerance: The tolerance, as in `tf_lottery.matching_round`.
            arm: Which arm. Default: the main one.
        """
        arm = arm or self.main
        others = [record for record in self.records if record.spec.round and record.spec.arm != arm]
        return matching_round([*self.of_arm(arm), *others], tolerance, arm)

    def winner(self, tolerance: float = 0.0, replicate: int = 0) -> Run | None:
        """Return a replicate's run at the sparsest matching round, None if no pruned round matches."""
        round = self.matching_round(tolerance)
        return None if round is None else self.rounds(replicate).get(round)

    def choose(
        self,
        round: int | None = None,
        density: float | None = None,
        within: float | None = None,
        tolerance: float = 0.0,
        replicate: int = 0,
        arm: str | None = None,
    ) -> Run:
        """Return the run of a round, chosen by one of `round`, `density` and `within`.

        Without any of the three it is the run of the sparsest matching round.

        Args:
            round: The round's number.
            density: A fraction; the round with the nearest density is chosen.
            within: How much worse than the dense network of its own replicate a round may be, in units of
                the monitored quantity; the sparsest such round is chosen.
            tolerance: The tolerance, as in `tf_lottery.matching_round`.
            replicate: Which replicate.
            arm: Which arm. Default: the main one.

        Raises:
            LotteryError: If there is no such round, or more than one of the first three is given.
        """
        choices = {"round": round, "density": density, "within": within}
        choices = {name: value for name, value in choices.items() if value is not None}
        if len(choices) > 1:
            received = ", ".join(f"{name}={value!r}" for name, value in choices.items())
            raise LotteryError(f"Expected one of round, density and within. Received: {received}")
        rounds = self.rounds(replicate, arm)
        if round is not None:
            if isinstance(round, bool) or not isinstance(round, int) or round not in rounds:
                raise LotteryError(f"Expected a finished round: {_listed(rounds)}. Received: {round!r}")
            return rounds[round]
        if density is not None:
            return _nearest(rounds, density)
        if within is not None:
            return _sparsest(rounds, within)
        best = self.matching_round(tolerance, arm)
        if best is None or best not in rounds:
            raise LotteryError(
                f"No pruned round matches the dense network within {tolerance:g} ({_values(rounds)}). Choose "
                "one by its round or density."
            )
        return rounds[best]


def _recipe(record: Finished) -> tuple[Any, ...]:
    """Return what a run's masks follow from."""
    spec = record.spec
    return spec.parent, spec.pruning, spec.masks_of, spec.edits, spec.supermask


def _nearest(rounds: dict[int, Run], density: float) -> Run:
    if not isinstance(density, Real) or not 0 < density <= 1:
        raise LotteryError(f"Expected a density, a fraction above 0. Received: {density!r}")
    nearest = min(rounds.values(), key=lambda record: abs(record.density - density))
    if abs(nearest.density - density) > NEAR * nearest.density:
        raise LotteryError(
            "Expected a density near one of "
            f"{', '.join(f'{record.density:.3g}' for record in rounds.values())}. Received: {density!r}"
        )
    return nearest


def _sparsest(rounds: dict[int, Run], within: float) -> Run:
    """Return the sparsest pruned round that is good enough by itself: this very network is shipped."""
    needed = rounds[0].monitored - within - ROUNDING
    good = [round for round, record in rounds.items() if round and record.monitored >= needed]
    if not good:
        raise LotteryError(
            f"No pruned round is within {within:g} of the dense network ({_values(rounds)}). Choose one by "
            "its round, or allow for more."
        )
    return rounds[max(good)]


def _values(rounds: dict[int, Run]) -> str:
    """Describe how good the dense network and the first rounds are."""
    shown = [f"round {round}: {record.shown}" for round, record in list(rounds.items())[:4]]
    return ", ".join(shown) + (", ..." if len(rounds) > len(shown) else "")


def _listed(rounds: dict[int, Run]) -> str:
    whole = rounds and len(rounds) == max(rounds) + 1
    return f"{min(rounds)} to {max(rounds)}" if whole else ", ".join(map(str, rounds)) or "none yet"
