"""What a round's runs answer to the test set, as tables and words."""

from tf_lottery.analysis.classes import Classes
from tf_lottery.analysis.tables import table

_CALIBRATION = ("confidence", "calibration_error", "negative_log_likelihood", "brier")


def describe(found: Classes) -> list[str]:
    """Return tables of what was found, with what their columns mean.

    Args:
        found: What the runs of a round answer.
    """
    lines = [
        f"Test examples at early stop: the dense network, and round {found.round}. The class with the lowest "
        "accuracy, and the",
        "one that is farthest below the dense network of the same replicate, in points",
        *table(found.summaries, without=_CALIBRATION),
        "",
        *_calibration(found),
    ]
    if found.churn:
        lines += ["", "Examples for which two networks choose different classes, and only one is right"]
        lines += table(found.churn, without=("examples",))
    main = found.summaries[0].arm
    rows = [row for row in found.by_class if row.arm == main]
    heading = "By class: accuracy, and the difference to the dense network in points, with its 95% interval"
    lines += ["", heading]
    lines += table(rows)
    told = [row.low is not None for row in rows if row.difference is not None]
    if any(told):
        lines += ["Each interval holds for its class alone: of twenty, chance puts one beside the truth."]
    if not all(told):
        lines += ["Where there is no interval, so few replicates can't tell one."]
    if any(row.arm != main for row in found.by_class):
        lines += ["Classes of the other arms: --json."]
    return lines


def _calibration(found: Classes) -> list[str]:
    if all(row.confidence is None for row in found.summaries):
        return ["Calibration isn't told: the outputs of this loss are no probabilities of one class."]
    shown = ("arm", "round", "accuracy", *_CALIBRATION)
    without = [name for name in vars(found.summaries[0]) if name not in shown]
    heading = "Calibration: confidence against accuracy, its expected error (15 bins), nats, and Brier score"
    return [heading, *table(found.summaries, without=without)]
