"""The matching rule, which says which tickets do as well as the dense network.

A round is matching if validation accuracy at early stop, on the mean over replicates, is
at least the dense network's minus the tolerance, at this round AND every denser one. (An arm such as
`final` may be trained in some rounds only; these are the ones that count. Searches around `fit` monitor what
their user names.) The test set chooses nothing.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable
from statistics import mean
from typing import TypeVar

from tf_lottery.method.spec import Finished, RunSpec

Run = TypeVar("Run", bound=Finished)

ROUNDING = 1e-12
"""Accuracies this close count as equal: .98 - .97 is more than .01 in binary floating point."""


def by_round(
    records: Iterable[Run], value: Callable[[Run], float], arm: str | None = None
) -> dict[int, list[float]]:
    """Return round -> one value for each replicate, averaged over its trials; rounds are in order.

    Args:
        records: The records of finished runs.
        value: A function that reads the value from a record.
        arm: The arm whose records are read. Default: all records.
    """
    trials = defaultdict(list)
    for record in records:
        if arm in (None, record.spec.arm):
            trials[record.spec.round, record.spec.replicate].append(value(record))
    rounds = defaultdict(list)
    for (round, _), values in sorted(trials.items()):
        rounds[round].append(mean(values))
    return dict(rounds)


def main_arm(records: Iterable[Finished]) -> str:
    """Return the arm whose tickets are meant where none is named: that of the dense network."""
    return next((record.spec.arm for record in records if record.spec.is_dense), "ticket")


def matching_round(records: Iterable[Finished], tolerance: float = 0.0, arm: str | None = None) -> int | None:
    """Return the sparsest matching round, None if no pruned round matches.

    Args:
        records: The records of one study; rounds that not all replicates have finished don't count.
        tolerance: How far below the dense network's accuracy a round may be and still match, as a fraction
            (0.005 is half a point).
        arm: The arm whose rounds are compared. Default: that of the dense network.

    Examples:
        >>> import tf_lottery as lottery
        >>> lottery.matching_round([]) is None
        True
    """
    records = list(records)
    main = main_arm(records)
    arm = arm or main
    values = by_round(records, lambda record: record.monitored, arm)
    if 0 not in values:
        dense = dense_runs(records, [record for record in records if record.spec.arm == arm])
        values = by_round(dense, lambda record: record.monitored) | values
    if 0 not in values:
        return None
    needed = mean(values[0]) - tolerance
    chosen = _rounds_of_choice(records, arm)
    last, before = None, -1
    for round, replicates in values.items():
        lacks_one = round != before + 1 and round not in chosen
        if lacks_one or len(replicates) < len(values[0]) or mean(replicates) < needed - ROUNDING:
            break
        last, before = round or None, round
    return last


def _rounds_of_choice(records: list[Finished], arm: str) -> set[int]:
    """Return the rounds that don't go on from the arm's own previous one, so that it may be missing."""
    own = [record for record in records if record.spec.arm == arm]
    others = {record.key for record in records} - {record.key for record in own if record.spec.round}
    return {
        spec.round for spec in (record.spec for record in own) if spec.parent in others or spec.from_initial
    }


def setting(spec: RunSpec) -> tuple:
    """Return what two runs have in common that can be compared: the data, the network and the training."""
    place = {"name": "", "path": None, "load": None, "pipeline": "auto"}  # the digest stands for them
    return spec.data.model_copy(update=place), spec.model, spec.training, spec.until


def dense_runs(records: Iterable[Run], own: list[Run]) -> list[Run]:
    """Return the dense runs that an arm's runs are compared with, one for each replicate.

    These are trained on the same data in the same way; if there are none, the arm's own root, if at least its
    data is the same.

    Args:
        records: The records of one study.
        own: The arm's runs.
    """
    dense = [record for record in records if record.spec.is_dense]
    found = {}
    for spec in {record.spec.replicate: record.spec for record in own}.values():  # an arm's runs are alike
        of_replicate = [record for record in dense if record.spec.replicate == spec.replicate]
        alike = [record for record in of_replicate if setting(record.spec) == setting(spec)]
        roots = [record for record in of_replicate if record.key == spec.root]
        roots = [record for record in roots if setting(record.spec)[:2] == setting(spec)[:2]]
        if best := [*(r for r in roots if r in alike), *alike, *roots]:
            found[spec.replicate] = best[0]
    return [record for record in dense if found.get(record.spec.replicate) is record]
