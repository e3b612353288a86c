"""The checks of an arm's rounds: where they begin and end, and how many weights they leave."""

import math
from collections.abc import Collection, Mapping

import numpy as np

from tf_lottery import steps
from tf_lottery.config import StudyConfig
from tf_lottery.errors import LotteryError
from tf_lottery.length import Length
from tf_lottery.method.arms import (
    AT_ONCE,
    FOLLOWING,
    chain_below,
    function_name,
    is_chain,
    matched,
    scope_of,
    settings_of,
)
from tf_lottery.method.spec import RunSpec
from tf_lottery.pruning.groups import groups
from tf_lottery.pruning.schedules import layer_rates
from tf_lottery.pruning.scopes import Kept
from tf_lottery.training.learning_rates import make_learning_rates

MOST_ROUNDS = 1000


def check_span(spec: RunSpec, length: Length, below: Length) -> None:
    """Check where a pruned run begins and ends, and its learning rates.

    Args:
        spec: The run.
        length: The length of its training.
        below: The length of the dense run whose states it returns to.

    Raises:
        LotteryError: If the rewind point is too late or unclear, or the learning rate is 0 from there on.
    """
    rates = make_learning_rates(spec.training, length.per_epoch)
    if spec.rewind is None:
        return
    to = spec.rewind.to
    if to.endswith("ep") and length.per_epoch != below.per_epoch:
        raise LotteryError(
            f"An epoch of arm {spec.arm!r} has {length.per_epoch} steps and one of its dense run "
            f"{below.per_epoch}, so rewind.to {to} is unclear. Give it in steps, such as {below.step(to)}it."
        )
    own = f", in arm {spec.arm!r}" if spec.arm != "ticket" else ""
    _, last = length.span(spec.begins)
    limit = below.last if spec.begins is None else min(length.last, below.last)
    point = length.step(to)
    if to != steps.END and point >= limit:
        raise LotteryError(f"Expected a rewind point before the last step, {limit}. Received: {point}{own}")
    if last > length.last and not rates(np.array([last - 1]))[0]:
        raise LotteryError(
            f"The learning rate of {spec.training.learning_rate_schedule.name} is 0 at the end of training, "
            f"so nothing would be learned from there on{own}. Give learning_rate_schedule an end above 0, or "
            "rewind to an earlier step."
        )


def check_rates(study: StudyConfig, arm: str, kernels: Collection[str]) -> dict[str, float]:
    """Check that the patterns of an arm's rates name layers; return kernel path -> rate.

    Raises:
        LotteryError: If one of them names none.
    """
    pruning = settings_of(study, arm).pruning
    try:
        return layer_rates(list(kernels), pruning.rate, pruning.layer_rates)
    except LotteryError as error:
        own = "layer_rates" in study.arms[arm].pruning
        raise LotteryError(f"Arm {arm!r}: {error}" if own else str(error)) from error


def check_counts(
    study: StudyConfig, shapes: Mapping[str, tuple[int, ...]], unit_axes: Mapping[str, int]
) -> None:
    """Check that no round is to leave a layer without weights, as far as counting tells.

    Args:
        study: The study.
        shapes: Kernel path -> shape, in the order of the network.
        unit_axes: Kernel path -> how many of its last axes number the layer's units, where that is known.

    Raises:
        LotteryError: If one is.
    """
    for arm in study.arms:
        if is_chain(study, arm) and function_name(study, arm) not in FOLLOWING:
            _check_chain(study, arm, shapes, unit_axes)
        elif function_name(study, arm) in AT_ONCE:
            _check_at_once(study, arm, shapes, unit_axes)


def _check_chain(
    study: StudyConfig, arm: str, shapes: Mapping[str, tuple[int, ...]], unit_axes: Mapping[str, int]
) -> None:
    pruning = settings_of(study, arm).pruning
    if pruning.rounds is None and pruning.target_density is None:
        return  # the accuracy alone ends it
    grouped = groups(
        pruning.pattern, shapes, layer_rates(list(shapes), pruning.rate, pruning.layer_rates), unit_axes
    )
    if not grouped.pattern.is_whole:
        return  # N of each group stay
    remaining = full = grouped.full()
    total = sum(math.prod(shape) for shape in shapes.values())
    last = MOST_ROUNDS if pruning.rounds is None else pruning.rounds
    for round in range(1, last + 1):
        before = sum(remaining.values())
        counts = grouped.kept_of(remaining, pruning.scope)
        _check(arm, round, counts, full, pruning.min_density, grouped.pattern.noun)
        for paths, count in counts.items():  # which layer of a group keeps how many isn't known
            remaining = remaining | dict.fromkeys(paths, 0) | {paths[0]: count}
        if sum(remaining.values()) == before:
            return
        if pruning.target_density is not None and grouped.fewest(counts) / total <= pruning.target_density:
            return


def _check_at_once(
    study: StudyConfig, arm: str, shapes: Mapping[str, tuple[int, ...]], unit_axes: Mapping[str, int]
) -> None:
    pruning, counting = settings_of(study, arm).pruning, matched(study, arm)
    scope = scope_of(study, arm)
    grouped = groups(
        pruning.pattern, shapes, layer_rates(list(shapes), counting.rate, counting.layer_rates), unit_axes
    )
    if not grouped.pattern.is_whole:
        return
    if uneven := [path for path, sizes in grouped.sizes.items() if sizes.min() < sizes.max()]:
        raise LotteryError(
            f"Arm {arm!r} can't have as many weights as arm {study.arms[arm].on!r}, since blocks at the "
            f"edges of {uneven[0]}, of shape {tuple(shapes[uneven[0]])}, are smaller. Choose blocks that "
            "divide it, or leave the layer whole with layer_rates of 0."
        )
    full = grouped.full()
    last = settings_of(study, chain_below(study, arm)).pruning.rounds
    rounds = study.arms[arm].rounds or range(1, (last or 0) + 1)
    for round in sorted(rounds):
        if last is not None and round > last:
            return
        counted = "layer" if counting.scope == "layer" else "global"
        try:
            counts = grouped.kept_of(full, scope, round, counted)
        except LotteryError as error:
            raise LotteryError(f"Arm {arm!r} at round {round}: {error}") from error
        _check(arm, round, counts, full, pruning.min_density, grouped.pattern.noun)


def _check(
    arm: str, round: int, counts: Kept, full: Mapping[str, int], min_density: float, noun: str
) -> None:
    for paths, count in counts.items():
        least = sum(max(1, math.ceil(min_density * full[path])) for path in paths)
        if count < least:
            what = paths[0] if len(paths) == 1 else f"all {len(paths)} layers"
            raise LotteryError(
                f"Arm {arm!r} would keep {count} {noun} of {what} at round {round}, where at least {least} "
                "have to stay. Stop a round earlier, lower its rate with layer_rates, or lower min_density."
            )
