"""Which round of a study is looked at closer, where none is named, and which runs are."""

from tf_lottery.errors import LotteryError
from tf_lottery.method.results import Results
from tf_lottery.method.spec import Record


def round_to_show(results: Results, tolerance: float = 0.0, round: int | None = None) -> int:
    """Return the round that is named, or that of the sparsest matching ticket, or else the main arm's last.

    If the main arm isn't pruned, it is the last round of all arms.

    Args:
        results: The study's finished runs.
        tolerance: The tolerance of the matching rule, as a fraction.
        round: The round that is named.

    Raises:
        LotteryError: If no run is finished, or none of the round that is named.
    """
    rounds = sorted({record.spec.round for record in results.records if record.spec.round >= 0})
    if not rounds:
        raise LotteryError("No run of the study is finished yet. `tf-lottery run` goes on with it.")
    if round is not None:
        if isinstance(round, bool) or round not in rounds:
            listed = ", ".join(map(str, rounds))
            raise LotteryError(f"Expected a round with finished runs: {listed}. Received: {round!r}")
        return round
    best = results.matching_round(tolerance)
    if best is not None:
        return best
    own = [record.spec.round for record in results.records if record.spec.arm == results.main]
    return max(own, default=0) or rounds[-1]


def runs_to_show(results: Results[Record], round: int) -> list[Record]:
    """Return the dense networks' runs, and those of a round.

    Args:
        results: The study's finished runs.
        round: The round.
    """
    return [record for record in results.records if record.spec.is_dense or record.spec.round == round]
