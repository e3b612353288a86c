"""Learning curves of the rounds that are looked at closer (Frankle & Carbin 2018, Figure 3)."""

from collections import defaultdict
from statistics import mean

from tf_lottery.analysis.shown import round_to_show
from tf_lottery.analysis.tensorboard.points import Chart, Points, band
from tf_lottery.method.results import Results
from tf_lottery.method.spec import Record
from tf_lottery.store.store import Store

MOST = 500
"""The most points of a curve. Of more than 1,000 TensorBoard drops some, not the same of mean and band."""
MOST_ROUNDS = 5
"""The most rounds that are looked at closer."""
CURVES = {
    "validation_accuracy": ("Validation accuracy (%), by training step", 100),
    "validation_loss": ("Validation loss, by training step", 1),
}
"""A curve of a run -> the chart's title, and the factor."""


def rounds_to_show(results: Results[Record], tolerance: float) -> list[int]:
    """Return the main arm's rounds that are looked at closer: five at most.

    Of more they are the dense one, those a third and two thirds of the way, the sparsest that matches, and
    the last.
    Those in between are chosen where random reinitializations are there to compare with, if there are any.

    Args:
        results: The study's finished runs.
        tolerance: The tolerance of the matching rule, as a fraction.

    Raises:
        LotteryError: If no run is finished.
    """
    shown = round_to_show(results, tolerance)
    own = sorted({record.spec.round for record in results.of_arm(results.main)})
    if len(own) <= MOST_ROUNDS:
        return own
    compared = {record.spec.round for record in results.records if record.spec.start == "reinitialize"}
    between = sorted(compared & set(own)) or own
    parts = {between[len(between) // 3], between[2 * len(between) // 3]}
    return sorted({own[0], own[-1], *parts} | ({shown} & set(own)))


def learning_curves(runs: list[Record], store: Store, data: str) -> dict[Chart, Points]:
    """Return the curves of one arm's round: mean, minimum and maximum over replicates, in each chart.

    Only steps at which all replicates were evaluated count.

    Args:
        runs: The records of the arm's round, of all replicates and trials.
        store: The store that holds their curves.
        data: The name of their data.

    Raises:
        DamagedError: If curves fail their checksum.
    """
    read = [(record.spec.replicate, store.curves(record.key)) for record in runs]
    common = sorted(set.intersection(*(set(curves["step"]) for _, curves in read)))
    thinned = set(common[:: -(-len(common) // MOST)] + common[-1:]) if common else set()
    found = {}
    for name, (title, factor) in CURVES.items():
        values: dict[int, dict[int, list[float]]] = defaultdict(lambda: defaultdict(list))
        for replicate, curves in read:
            for step, value in zip(curves["step"], curves[name], strict=True):
                if step in thinned:
                    values[step][replicate].append(factor * value)
        chart = Chart(f"{name}, {data}", title, f"Learning curves on {data}")
        found[chart] = {
            step: band(mean(trials) for trials in values[step].values()) for step in sorted(values)
        }
    return found
