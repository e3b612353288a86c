"""Rows about what runs answer: by class, by arm, and by pairs of networks."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations
from math import isfinite
from statistics import mean

import numpy as np

from tf_lottery.analysis.answers import Answers
from tf_lottery.analysis.calibration import Calibration
from tf_lottery.analysis.statistics import interval

DENSE = "dense"
"""What a dense network is called where two networks are compared."""


@dataclass(frozen=True)
class Summary:
    """An arm's round on the test set: means over replicates, whose trials are averaged first.

    Attributes:
        arm: The arm.
        round: The round; 0 is the dense network.
        density: The fraction of prunable weights that remain.
        runs: The number of replicates.
        accuracy: The fraction of test examples that are classified right, as in the records.
        worst_class: The class with the lowest accuracy.
        worst_accuracy: Its accuracy.
        most_lost_class: The class that is farthest below the dense network; None if none is below it.
        most_lost: That difference, in points.
        confidence: The mean probability of the class that is chosen. This and what follows is None where the
            outputs are no probabilities.
        calibration_error: The expected calibration error with 15 bins of one width, a fraction.
        negative_log_likelihood: In nats an example.
        brier: The Brier score, from 0 to 2.
    """

    arm: str
    round: int
    density: float
    runs: int
    accuracy: float
    worst_class: int
    worst_accuracy: float
    most_lost_class: int | None
    most_lost: float | None
    confidence: float | None
    calibration_error: float | None
    negative_log_likelihood: float | None
    brier: float | None


@dataclass(frozen=True)
class ClassAccuracy:
    """How often an arm's round is right on the test examples of one class: means over replicates.

    Attributes:
        arm: The arm.
        round: The round; 0 is the dense network.
        label: The class.
        examples: Its number of test examples.
        runs: The number of replicates.
        accuracy: The fraction of these examples that are classified right; None if there are none.
        difference: By how many points that is above the dense network of the same replicate, the mean; None
            for the dense network itself, and where the study has none that was trained alike.
        low: The lower end of the difference's 95% interval; None if the replicates can't tell.
        high: The upper end.
    """

    arm: str
    round: int
    label: int
    examples: int
    runs: int
    accuracy: float | None
    difference: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True)
class Churn:
    """On which test examples two networks answer differently: means over pairs.

    Attributes:
        first: The first network: the `dense` one; with the arm's name where it isn't the first one's.
        second: The second one: an arm, paired by replicate; or the dense network of another replicate, which
            says how much two networks differ by the luck of their seeds.
        round: The second one's round.
        pairs: The number of pairs.
        examples: The number of test examples.
        differ: The fraction for which they choose different classes.
        only_first: The fraction for which only the first one is right.
        only_second: The fraction for which only the second one is right.
    """

    first: str
    second: str
    round: int
    pairs: int
    examples: int
    differ: float
    only_first: float
    only_second: float


def summary(runs: Sequence[Answers], dense: Sequence[Answers] = ()) -> Summary:
    """Return the summary of an arm's round.

    Args:
        runs: Its runs.
        dense: The dense networks that it is compared with. Default: none.
    """
    rows = [row for row in by_class(runs, dense) if row.examples]
    worst = min(rows, key=lambda row: row.accuracy)
    below = [row for row in rows if row.difference is not None and row.difference < 0]
    lost = min(below, key=lambda row: row.difference, default=None)

    def calibrated(read: Callable[[Calibration], float]) -> float | None:
        if any(run.calibration is None for run in runs):
            return None
        return _average(runs, lambda run: read(run.calibration))

    spec = runs[0].record.spec
    return Summary(
        spec.arm,
        spec.round,
        _average(runs, lambda run: run.record.density),
        len(_by_replicate(runs, _hit_rate)),
        _average(runs, _hit_rate),
        worst.label,
        worst.accuracy,
        None if lost is None else lost.label,
        None if lost is None else lost.difference,
        calibrated(lambda found: found.confidence),
        calibrated(lambda found: found.calibration_error),
        calibrated(lambda found: found.negative_log_likelihood),
        calibrated(lambda found: found.brier),
    )


def by_class(runs: Sequence[Answers], dense: Sequence[Answers] = ()) -> list[ClassAccuracy]:
    """Return a row for each class of an arm's round.

    Args:
        runs: Its runs.
        dense: The dense networks that it is compared with. Default: none.
    """
    return [_of_class(label, runs, dense) for label in range(runs[0].classes)]


def _of_class(label: int, runs: Sequence[Answers], dense: Sequence[Answers]) -> ClassAccuracy:
    spec, examples = runs[0].record.spec, int(np.count_nonzero(runs[0].labels == label))

    def accuracy(run: Answers) -> float:
        return float(run.right[run.labels == label].mean())

    own = _by_replicate(runs, accuracy) if examples else {}
    before = _by_replicate(dense, accuracy) if examples else {}
    shared = sorted(own.keys() & before.keys())
    points = [round(100 * (own[each] - before[each]), 9) for each in shared]  # without the arithmetic's error
    found = interval(points) if points else None
    ends = (None, None) if found is None else (_finite(found.low), _finite(found.high))
    replicates = len({run.record.spec.replicate for run in runs})
    average = mean(own.values()) if own else None
    effect = None if found is None else found.mean
    return ClassAccuracy(spec.arm, spec.round, label, examples, replicates, average, effect, *ends)


def churn(runs: Sequence[Answers], dense: Sequence[Answers], name: str = DENSE) -> Churn | None:
    """Return on which examples an arm's runs and the dense networks of their replicates differ.

    Args:
        runs: The runs of an arm's round.
        dense: The dense networks that it is compared with.
        name: What the dense networks are called.

    Returns:
        The row; None if no run has a dense network.
    """
    of_replicate = {run.record.spec.replicate: run for run in dense}
    spec = runs[0].record.spec
    pairs = [(before, run) for run in runs if (before := of_replicate.get(run.record.spec.replicate))]
    return _churn(name, spec.arm, spec.round, pairs)


def churn_of_seeds(dense: Sequence[Answers], name: str = DENSE) -> Churn | None:
    """Return on which examples dense networks of two replicates differ; None if there is only one.

    Args:
        dense: Dense networks that are trained alike.
        name: What they are called.
    """
    return _churn(name, name, 0, [*combinations(dense, 2)])


def _churn(first: str, second: str, round: int, pairs: Sequence[tuple[Answers, Answers]]) -> Churn | None:
    if not pairs:
        return None

    def share(count: Callable[[Answers, Answers], np.ndarray]) -> float:
        return mean(float(count(*pair).mean()) for pair in pairs)

    return Churn(
        first,
        second,
        round,
        len(pairs),
        len(pairs[0][0].labels),
        share(lambda first, second: first.chosen != second.chosen),
        share(lambda first, second: first.right & ~second.right),
        share(lambda first, second: second.right & ~first.right),
    )


def _by_replicate(runs: Iterable[Answers], read: Callable[[Answers], float]) -> dict[int, float]:
    trials: dict[int, list[float]] = defaultdict(list)
    for run in runs:
        trials[run.record.spec.replicate].append(read(run))
    return {replicate: mean(values) for replicate, values in trials.items()}


def _average(runs: Iterable[Answers], read: Callable[[Answers], float]) -> float:
    return mean(_by_replicate(runs, read).values())


def _hit_rate(run: Answers) -> float:
    return float(run.right.mean())


def _finite(value: float) -> float | None:
    return value if isfinite(value) else None
