"""The checks of what an arm prunes together: patterns, and what goes with them."""

from tf_lottery.config import StudyConfig
from tf_lottery.errors import LotteryError
from tf_lottery.method.arms import AT_ONCE, function_name, is_chain, matched, settings_of
from tf_lottery.pruning.criteria import ITERATED
from tf_lottery.pruning.groups import check_fixed, check_grouped_scope
from tf_lottery.pruning.patterns import SINGLE, pattern

_GROUPED = frozenset(
    {"ticket", "dense_longer", "one_shot", "at_init", "random_reinit", "keep_signs", "constant_sign"}
    | {"reshuffle", "shuffled", "fork", "final", "transfer"}
)
"""Functions of arms that prune units, blocks and N:M, or take such masks as they are."""


def check_pattern(study: StudyConfig, arm: str, where: str) -> None:
    """Check an arm's pattern.

    Args:
        study: The study.
        arm: The arm.
        where: Where its settings of pruning stand.

    Raises:
        LotteryError: If there is no such pattern, or other settings or the arm's function don't go with it.
    """
    pruning, function = settings_of(study, arm).pruning, function_name(study, arm)
    kind = pattern(pruning.pattern, f"{where}.pattern")
    if kind.kind == SINGLE:
        return
    has = f"pattern {pruning.pattern} of {where}"
    if function not in _GROUPED:
        raise LotteryError(f"Arm {arm!r} is for single weights, so it doesn't go with {has}. Leave it out.")
    check_grouped_scope(pruning.scope, f"{where}.scope with pattern {pruning.pattern}")
    if function == "shuffled" and (not kind.is_whole or _is_transferred(study, arm)):
        why = "has its masks from another network" if kind.is_whole else "keeps as many weights in each group"
        raise LotteryError(
            f"Arm {arm!r} shuffles whole units or blocks, but arm {study.arms[arm].on!r} {why}. Leave it out."
        )
    if function in AT_ONCE and (pruning.scope, matched(study, arm).scope) != ("layer", "layer"):
        raise LotteryError(
            f"Arm {arm!r} can't have as many weights as arm {study.arms[arm].on!r} with {has} and scope "
            "'global', since groups of different layers differ in size. Use scope 'layer'."
        )
    if kind.is_whole:
        return
    check_fixed(
        kind, pruning.rate, pruning.layer_rates.values(), pruning.scope, pruning.min_density, f"{where}."
    )
    if is_chain(study, arm) and pruning.rounds != 1:
        raise LotteryError(
            f"Expected {where}.rounds 1 with pattern {pruning.pattern}, which fixes the density. "
            f"Received: {pruning.rounds}"
        )
    if pruning.criterion in ITERATED:
        raise LotteryError(
            f"Criterion {pruning.criterion} prunes in many small steps, which {has} doesn't. Choose another."
        )


def _is_transferred(study: StudyConfig, arm: str) -> bool:
    """Return whether the masks of an arm that isn't a chain have come from another network."""
    while not is_chain(study, arm):
        arm = study.arms[arm].on
        if function_name(study, arm) == "transfer":
            return True
    return False
