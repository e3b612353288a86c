"""What `tf-lottery tune --dry-run` prints, in words and as JSON."""

from itertools import product
from typing import Any

from tf_lottery.config_tune import Tuning
from tf_lottery.drivers.execution import Execution
from tf_lottery.tuning.candidate import make_candidate, most_steps
from tf_lottery.tuning.check import check_budget, check_tuning, count_examples
from tf_lottery.tuning.space import ends

MOST_CORNERS = 256
"""The most combinations of extreme values whose steps are counted."""


def look(tuning: Tuning, execution: Execution) -> dict[str, Any]:
    """Return what a tuning would try, and how many steps that could take, as JSON knows it.

    Nothing is trained.

    Args:
        tuning: The tuning.
        execution: How it would be trained.

    Raises:
        LotteryError: If the tuning is refused.
    """
    check_tuning(tuning, execution)
    tune, examples = tuning.tune, count_examples()
    reserved = check_budget(tuning, examples)
    extremes = [ends(values) for values in tune.ranges.values()]
    corners = [dict(zip(tune.ranges, each, strict=True)) for each in product(*extremes)][:MOST_CORNERS]
    own = make_candidate(tuning, 0, {})
    tried = [make_candidate(tuning, 1, values) for values in corners]
    counts = sorted((most_steps(each, examples), each.describe()) for each in tried)
    return {
        "study": tuning.study.name,
        "candidates": tune.candidates,
        "oracle": tune.oracle,
        "at_once": tune.at_once,
        "own_steps": most_steps(own, examples),
        "fewest": {"steps": counts[0][0], "values": counts[0][1]},
        "most": {"steps": counts[-1][0], "values": counts[-1][1]},
        "confirm": tune.confirm,
        "budget": tune.budget,
        "reserved_steps": reserved,
    }


def describe(found: dict[str, Any]) -> list[str]:
    """Return what `look` found, in lines."""
    fewest, most = found["fewest"], found["most"]
    lines = [
        f"Candidates: at most {found['candidates']}, proposed by {found['oracle']}, "
        f"{found['at_once']} at once",
        f"The study's own setting: at most {found['own_steps']:,} training steps",
        f"Fewest: at most {fewest['steps']:,} ({fewest['values']})",
        f"Most: at most {most['steps']:,} ({most['values']})",
        f"Confirmed on {found['confirm']} fresh seeds",
    ]
    if found["budget"]:
        reserved = found["reserved_steps"]
        lines.append(
            f"Budget: {found['budget']}" + (f", {reserved:,} of it for the confirmation" if reserved else "")
        )
    return lines
