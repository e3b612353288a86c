"""The checks of arms that train masks, which need neither data nor network."""

from tf_lottery.config import StudyConfig
from tf_lottery.errors import LotteryError
from tf_lottery.method.arms import function_name, settings_of
from tf_lottery.method.strong import LEARNED


def check_supermask(study: StudyConfig, arm: str) -> None:
    """Check the settings of an arm whose function is `supermask`; others pass.

    Raises:
        LotteryError: If it has a criterion, or its density is learned and it has several rounds or a pruning.
    """
    if function_name(study, arm) != "supermask":
        return
    own, settings = study.arms[arm], settings_of(study, arm)
    kind = settings.supermask.kind
    if named := own.pruning.keys() & {"criterion", "examples"}:
        raise LotteryError(
            f"Arm {arm!r} trains its scores, so its pruning takes no {min(named)}. Leave it out."
        )
    if kind in LEARNED:
        if own.pruning:
            raise LotteryError(
                f"Arm {arm!r} learns its density (supermask.kind {kind}), so it takes no pruning of its own. "
                "Leave it out."
            )
        if own.rounds is None or len(set(own.rounds)) != 1:
            raise LotteryError(
                f"Arm {arm!r} learns its density (supermask.kind {kind}), so all its rounds would be the "
                f"same run. Name one round that it stands at, such as arms.{arm}.rounds: [1]."
            )
    elif settings.pruning.min_density and settings.pruning.scope != "layer":
        raise LotteryError(
            f"Arm {arm!r} lets trained scores compete by scope {settings.pruning.scope!r}, which knows no "
            "min_density. Leave min_density out, or give the arm pruning: {scope: layer}."
        )
