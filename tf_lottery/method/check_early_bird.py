"""The checks of a search whose rounds end once their next pruning has settled."""

from tf_lottery import steps
from tf_lottery.config import StudyConfig
from tf_lottery.errors import LotteryError
from tf_lottery.method.arms import chain_below, in_full, settings_of
from tf_lottery.pruning.criteria import DRAWING, of_weights
from tf_lottery.pruning.patterns import SINGLE

SETTLING = tuple(name for name in of_weights() if name not in DRAWING)
"""Criteria that look at the present weights alone and draw nothing, so that their masks settle."""


def check_early_bird(study: StudyConfig) -> None:
    """Check that the rounds of a search can end early, if they are to.

    Raises:
        LotteryError: If a chain prunes by something whose masks don't settle, or some arm returns to a state
            that the dense run may not have had by then.
    """
    if study.search is None or study.search.early_bird is None:
        return
    for arm in study.arms:
        settings = settings_of(study, arm)
        if settings.search is not None:
            _check_chain(arm, settings)
        _check_rewinding(study, arm)


def _check_chain(arm: str, settings: StudyConfig) -> None:
    pruning = settings.pruning
    if pruning.pattern != SINGLE:
        raise LotteryError(
            f"search.early_bird looks at single weights. Received: pattern {pruning.pattern!r} of arm "
            f"{arm!r}. Leave early_bird out."
        )
    if pruning.criterion not in SETTLING:
        raise LotteryError(
            f"search.early_bird takes criterion {' or '.join(SETTLING)}. Received: {pruning.criterion!r} of "
            f"arm {arm!r}. Choose one of these, or leave early_bird out."
        )
    if settings.rewind.to == steps.END:
        raise LotteryError(
            f"search.early_bird ends trainings early, but arm {arm!r} goes on from their end. Give it "
            "another rewind.to, or leave early_bird out."
        )


def _check_rewinding(study: StudyConfig, arm: str) -> None:
    """The dense run goes on to its chain's own rewind point, and not to those of other arms."""
    own, chain = in_full(study, arm).rewind, in_full(study, chain_below(study, arm)).rewind
    kept = {"0it", chain.to if chain.weights == "rewound" else "0it"}
    searched = settings_of(study, chain_below(study, arm)).search is not None
    if searched and own.weights == "rewound" and own.to not in kept:
        raise LotteryError(
            f"Arm {arm!r} returns to {own.to}, and search.early_bird may end the dense run before. Give it "
            "the rewind.to of its chain, or leave early_bird out."
        )
