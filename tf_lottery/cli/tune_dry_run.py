"""The lines that `tf-lottery tune --dry-run` prints."""

from itertools import product

from tf_lottery.config_tune import Tuning
from tf_lottery.drivers.execution import Execution
from tf_lottery.tuning.candidate import make_candidate, most_steps
from tf_lottery.tuning.check import check_budget, check_tuning, count_examples
from tf_lottery.tuning.space import ends

MOST_CORNERS = 256
"""The most combinations of extreme values whose steps are counted."""


def described(tuning: Tuning, execution: Execution) -> list[str]:
    """Return lines that say what a tuning would try, and how many steps that could take. Nothing is trained.

    Args:
        tuning: The tuning.
        execution: How it would be trained.
    """
    check_tuning(tuning, execution)
    tune, examples = tuning.tune, count_examples()
    reserved = check_budget(tuning, examples)
    extremes = [ends(values) for values in tune.ranges.values()]
    corners = [dict(zip(tune.ranges, each, strict=True)) for each in product(*extremes)][:MOST_CORNERS]
    own = make_candidate(tuning, 0, {})
    tried = [make_candidate(tuning, 1, values) for values in corners]
    counts = sorted((most_steps(each, examples), each.describe()) for each in tried)
    lines = [
        f"Candidates: at most {tune.candidates}, proposed by {tune.oracle}, {tune.at_once} at once",
        f"The study's own setting: at most {most_steps(own, examples):,} training steps",
        f"Fewest: at most {counts[0][0]:,} ({counts[0][1]})",
        f"Most: at most {counts[-1][0]:,} ({counts[-1][1]})",
        f"Confirmed on {tune.confirm} fresh seeds",
    ]
    if tune.budget:
        lines.append(
            f"Budget: {tune.budget}" + (f", {reserved:,} of it for the confirmation" if reserved else "")
        )
    return lines
