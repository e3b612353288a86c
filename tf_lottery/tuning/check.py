"""The checks that are made before a tuning trains anything."""

import math
from typing import Any

from tf_lottery.config import StudyConfig
from tf_lottery.config_tune import RangeConfig, Tuning
from tf_lottery.data import sources
from tf_lottery.data.split import split
from tf_lottery.drivers.execution import Execution
from tf_lottery.errors import LotteryError
from tf_lottery.importing import import_modules
from tf_lottery.method.check import check_arms
from tf_lottery.method.plan import foreseen
from tf_lottery.tuning.candidate import Examples, make_candidate, most_steps
from tf_lottery.tuning.oracle import UNITS
from tf_lottery.tuning.space import check_names, ends, with_values
from tf_lottery.workers import MULTI_WORKER


def check_tuning(tuning: Tuning, execution: Execution) -> None:
    """Import the modules that a tuning's study names, and check the tuning.

    Raises:
        LotteryError: If a range is over a setting that doesn't exist, that can't be tuned or that changes
            nothing, or one of its values isn't a value of the setting.
    """
    import_modules(tuning.study.imports)
    check_names(tuning.tune)
    if execution.shard is not None:
        raise LotteryError("A tuning has no shards: start the same command on several machines instead.")
    if tuning.study.training.strategy == MULTI_WORKER:
        raise LotteryError("Expected training.strategy=auto for a tuning. Received: multi_worker")
    combinations = math.prod(map(_count, tuning.tune.ranges.values()))
    if tuning.tune.oracle == "hyperband" and combinations < UNITS:
        raise LotteryError(
            f"tune.oracle: expected ranges of at least {UNITS} combinations for hyperband, which would train "
            f"none of fewer in full. Received: {combinations:g}. Use grid."
        )
    _check(tuning, {})
    for name, values in tuning.tune.ranges.items():
        first, *others = ({each: _check(tuning, {name: each})} for each in ends(values))
        keys = list(first.values())
        for other in others:
            keys += other.values()
        if len(keys) > 1 and len(set(keys)) == 1:
            raise LotteryError(
                f"tune.ranges.{name}: expected a setting that changes what is trained. The runs are the "
                "same with each of these values."
            )


def _count(values: list[Any] | RangeConfig) -> float:
    """Return how many values a range has; infinity for numbers without a step."""
    if isinstance(values, list):
        return len(values)
    least, most, step = values.bounds
    whole = all(isinstance(each, int) for each in (least, most)) and values.sampling == "linear"
    step = step or (1 if whole else 0)
    return int((most - least) / step * (1 + 1e-9)) + 1 if step else math.inf


def _check(tuning: Tuning, values: dict[str, Any]) -> frozenset[str]:
    """Check the study with a value in place of its own; return the keys of its first runs."""
    where = "".join(f"tune.ranges.{name}: " for name in values)
    with_values(tuning.study, values)  # its message names the range
    try:
        study = make_candidate(tuning, 0, values).study
        check_arms(study)
    except LotteryError as error:
        raise LotteryError(f"{where}{error}") from error
    ending = {"rounds": 1, "target_density": None, "max_accuracy_drop": None}
    short = study.model_copy(update={"pruning": study.pruning.model_copy(update=ending)})
    short = short.with_digests(lambda data: f"{data.name} {data.path} {data.load}")
    if short.pretrain is not None and short.pretrain.file:
        file = short.pretrain.model_copy(update={"digest": short.pretrain.file})
        short = short.model_copy(update={"pretrain": file})
    return frozenset(spec.key for spec in foreseen(short) or [])


def check_budget(tuning: Tuning, examples: Examples) -> int:
    """Return the steps that the confirmation may take.

    Args:
        tuning: The tuning.
        examples: A function from a study to the number of its training examples.

    Raises:
        LotteryError: If the budget doesn't hold a single candidate.
    """
    tune, own = tuning.tune, make_candidate(tuning, 0, {})
    if tune.budget_steps is None:
        return 0
    most = most_steps(own, examples)
    reserved = 2 * tune.confirm * (most // own.study.replicates)
    if most + reserved > tune.budget_steps:
        raise LotteryError(
            f"tune.budget: expected at least {most + reserved:,} steps, which the study's own setting "
            f"({most:,}) and the confirmation ({reserved:,}) may take. Received: {tune.budget}"
        )
    return reserved


def count_examples() -> Examples:
    """Return a function from a study to the number of its training examples, which loads data once."""
    known: dict[str, int] = {}

    def count(study: StudyConfig) -> int:
        key = study.data.model_dump_json()
        if key not in known:
            known[key] = len(split(sources.load(study.data), study.data).train)
        return known[key]

    return count
