"""How weights are distributed, as tables and words."""

from collections.abc import Sequence

from tf_lottery.analysis.tables import table
from tf_lottery.analysis.weights import Chosen, Distribution


def describe(round: int, rows: Sequence[Distribution], chosen: Sequence[Chosen]) -> list[str]:
    """Return tables of distributions, with what their columns mean.

    Args:
        round: The round that is shown beside the dense network.
        rows: How the remaining weights are distributed.
        chosen: How the initial values of kept weights differ from those of pruned ones.
    """
    lines = [f"Weights that remain: the dense network, and round {round}"]
    lines += table(rows) if rows else ["None of them were kept (storage.keep)."]
    places: dict[tuple[str, int], set[str]] = {(row.arm, row.round): set() for row in rows}
    for row in rows:
        places[row.arm, row.round].add(row.when)
    if lacking := [f"{arm} {at}" for (arm, at), whens in places.items() if "start" not in whens]:
        lines += ["", f"The weights that these start from aren't kept in the study: {', '.join(lacking)}."]
    if left := [f"{arm} {at}" for (arm, at), whens in places.items() if "end" not in whens]:
        lines += ["", f"The last weights of these aren't kept (storage.keep): {', '.join(left)}."]
    if chosen:
        lines += [
            "",
            "Values at step 0 of the weights that are kept, against those that are pruned: by chance ratios",
            "are 1, and half of the kept weights belong to the layer's smaller half",
            *table(chosen, without=("round",)),
        ]
    return lines
