"""The checks of a study's arms that need neither data nor network."""

from tf_lottery.config import OVERLAID, StudyConfig
from tf_lottery.errors import LotteryError
from tf_lottery.importing import imported
from tf_lottery.method.arms import (
    ARMS,
    AT_ONCE,
    CHAINS,
    DRAWN,
    FOLLOWING,
    REWINDS,
    chain_below,
    function_name,
    in_full,
    is_chain,
    matched,
    scope_of,
    settings_of,
)
from tf_lottery.method.check_early_bird import check_early_bird
from tf_lottery.method.check_pattern import check_pattern
from tf_lottery.method.check_strong import check_supermask
from tf_lottery.method.dense import PRETRAIN
from tf_lottery.pruning.criteria import CRITERIA, of_weights
from tf_lottery.pruning.scopes import check_scope

TAKES: dict[str, tuple[str, ...]] = {
    "dense_longer": ("rewind", "training"),
    "one_shot": ("pruning", "rewind", "training"),
    "at_init": ("pruning", "training"),
    "gradual": ("pruning", "updates", "training"),
    "static": ("pruning", "training"),
    "set": ("pruning", "updates", "training"),
    "rigl": ("pruning", "updates", "training"),
    "small_dense": ("training",),
    "supermask": ("pruning", "training", "supermask"),
    "transfer": ("training", "data"),
}
"""Arm's function -> the sections in which it reads settings of its own. Default: chains read all sections
but `updates` and `supermask`, other functions `training`."""

_OF_CHAINS = tuple(section for section in OVERLAID if section not in ("updates", "supermask"))

_MATCHED = {"criterion", "scope", "min_density", "examples"}
"""Settings of pruning that may differ in an arm whose densities are those of another one."""


_CHANGES = {"magnitude_increase", "movement"}
"""Criteria that are 0 for every weight before any training."""


def check_arms(study: StudyConfig) -> None:
    """Check that every arm of a study has a function, and no settings that its function doesn't read.

    Raises:
        LotteryError: If an arm, a criterion or a scope is unknown, or settings don't go together.
    """
    for arm in study.arms:
        _check_function(study, arm)
    for arm in study.arms:
        try:
            in_full(study, arm)
        except ValueError as error:  # its own settings don't go with those of the arm that it is on
            raise LotteryError(str(error)) from error
    for arm in study.arms:
        _check_sections(study, arm)
        _check_updates(study, arm)
        _check_rounds(study, arm)
        _check_pruning(study, arm)
        check_pattern(study, arm, where(study, arm, "pruning"))
        _check_rewinding(study, arm)
        check_supermask(study, arm)
    _check_search(study)


def where(study: StudyConfig, arm: str, section: str) -> str:
    """Return where an arm's settings of a section stand in the study's config."""
    return f"arms.{arm}.{section}" if getattr(study.arms[arm], section) else section


def _check_function(study: StudyConfig, arm: str) -> None:
    settings, function = study.arms[arm], function_name(study, arm)
    if arm == PRETRAIN:
        raise LotteryError(f"Runs before round 0 are called {arm!r}. Give the arm another name.")
    if function not in (CHAINS | ARMS):
        what = f"arms.{arm}.like" if settings.like else "arms"
        known = ", ".join(CHAINS | ARMS)
        raise LotteryError(f"Expected {what} of {known}. Received: {function!r}{_of_imports(study)}")
    if arm in (CHAINS | ARMS) and function != arm:
        raise LotteryError(f"Arm {arm!r} can't be like {function!r}. Give it another name.")


def _of_imports(study: StudyConfig) -> str:
    """Return a hint for commands that read a study and import nothing that its directory names."""
    missing = [name for name in study.imports if name not in imported()]
    options = " ".join(f"--import {name}" for name in missing)
    return f". Its config imports {', '.join(missing)}: use `tf-lottery {options} ...`" if missing else ""


def _check_sections(study: StudyConfig, arm: str) -> None:
    settings, function = study.arms[arm], function_name(study, arm)
    takes = TAKES.get(function, _OF_CHAINS if function in CHAINS else ("training",))
    given = [section for section in OVERLAID if getattr(settings, section)]
    if refused := [section for section in given if section not in takes]:
        what = f"takes no {' or '.join(refused)} of its own"
        if function in CHAINS or function in AT_ONCE:
            raise LotteryError(f"Arm {arm!r} is like {function!r} and {what}. Leave it out.")
        raise LotteryError(
            f"Arm {arm!r} has the masks of arm {settings.on!r} and {what}. Give it to {settings.on!r}, or "
            "leave it out."
        )
    if function == "transfer" and not given:
        raise LotteryError(
            f"Arm {arm!r} needs data or training of its own to transfer to. Give it some, such as data: "
            "{name: fashion_mnist}."
        )


_UNREAD = {"gradual": {"fraction"}, "set": {"begin"}, "rigl": {"begin"}}
"""Arm's function -> settings of `updates` that it doesn't read."""


def _check_updates(study: StudyConfig, arm: str) -> None:
    function = function_name(study, arm)
    if unread := study.arms[arm].updates.keys() & _UNREAD.get(function, set()):
        raise LotteryError(
            f"Arm {arm!r} is like {function!r} and takes no updates.{min(unread)}. Leave it out."
        )


def _functions_below(study: StudyConfig, arm: str) -> set[str]:
    """Return the functions of the arms that an arm builds on."""
    functions = set()
    while not is_chain(study, arm):
        arm = study.arms[arm].on
        functions.add(function_name(study, arm))
    return functions


def _check_rounds(study: StudyConfig, arm: str) -> None:
    settings, function = study.arms[arm], function_name(study, arm)
    if 0 in (settings.rounds or ()):
        _check_dense_fork(study, arm)
    if function not in CHAINS:
        return
    names = [] if function in FOLLOWING else ["on"] * (settings.on != "ticket")
    names += ["rounds"] * (settings.rounds is not None) + ["trials"] * (settings.trials != 1)
    if names:
        raise LotteryError(
            f"Arm {arm!r} is trained once in every round, from its own previous one, so it takes no "
            "rounds, trials or on. Leave them out."
        )
    if function in FOLLOWING and (not is_chain(study, settings.on) or settings.on == arm):
        raise LotteryError(
            f"Expected arms.{arm}.on as a chain that prunes, since it has as many rounds. "
            f"Received: {settings.on!r}"
        )


def _check_dense_fork(study: StudyConfig, arm: str) -> None:
    settings = study.arms[arm]
    if not is_chain(study, settings.on):
        raise LotteryError(
            f"Round 0 of arm {arm!r} is the dense network of a chain, which arm {settings.on!r} isn't. Leave "
            "0 out of its rounds, or name a chain with `on`."
        )
    if settings.training or study.search is not None:
        what = "has training of its own" if settings.training else "is in a study with a search"
        raise LotteryError(
            f"Arm {arm!r} {what}, so that its round 0 would differ from the dense network in more than the "
            "order of the examples. Leave 0 out of its rounds."
        )


def _check_pruning(study: StudyConfig, arm: str) -> None:
    pruning = settings_of(study, arm).pruning
    place = where(study, arm, "pruning")
    if pruning.criterion not in CRITERIA:
        raise LotteryError(
            f"Expected {place}.criterion as one of {', '.join(CRITERIA)}. "
            f"Received: {pruning.criterion!r}{_of_imports(study)}"
        )
    check_scope(pruning.scope, f"{place}.scope")
    if is_chain(study, arm):
        if (pruning.rounds, pruning.target_density, pruning.max_accuracy_drop) == (None, None, None):
            raise LotteryError(
                f"Expected {place}.rounds, target_density or max_accuracy_drop: none says when to stop"
            )
        try:
            pruning.check_rates()
        except ValueError as error:
            raise LotteryError(f"{place}: {error}") from error
        return
    own, function = study.arms[arm].pruning, function_name(study, arm)
    if function in AT_ONCE and "transfer" in _functions_below(study, arm):
        raise LotteryError(
            f"Arm {arm!r} prunes the network of the study's own data, so it can't be on arm "
            f"{study.arms[arm].on!r}. Name another arm with `on`."
        )
    if function in AT_ONCE and (others := _functions_below(study, arm) & {"small_dense", "supermask"}):
        raise LotteryError(
            f"Arm {arm!r} has the densities of a pruning, so it can't be on one like {min(others)!r}. Name "
            "another arm with `on`."
        )
    if function == "small_dense" and study.pretrain is not None:
        raise LotteryError(
            f"Arm {arm!r} trains a narrower network, which can't start from the weights of `pretrain`. Leave "
            "one of them out."
        )
    if function in AT_ONCE and function_name(study, chain_below(study, arm)) in FOLLOWING:
        raise LotteryError(
            f"Arm {arm!r} has the densities of arm {study.arms[arm].on!r}, which prunes nothing. Name "
            "another arm with `on`."
        )
    if function == "at_init" and pruning.criterion in _CHANGES:
        raise LotteryError(
            f"{place}.criterion {pruning.criterion} compares weights with those of step 0, which are the "
            f"same before any training. Give arm {arm!r} another one."
        )
    if function == "gradual" and pruning.criterion not in of_weights():
        raise LotteryError(
            f"Arm {arm!r} scores the weights that it has at each update. Give it pruning.criterion of "
            f"{', '.join(of_weights())}. Received: {pruning.criterion!r}"
        )
    if function in DRAWN and (drawn := own.keys() & {"criterion", "examples"}):
        raise LotteryError(
            f"Arm {arm!r} begins with random masks, so its pruning takes no {min(drawn)}. Leave it out."
        )
    takes = _MATCHED - ({"criterion", "examples"} if function in DRAWN | {"supermask"} else set())
    if refused := own.keys() - _MATCHED:
        raise LotteryError(
            f"Arm {arm!r} has the densities of arm {study.arms[arm].on!r}, so its pruning takes only "
            f"{', '.join(sorted(takes))}. Received: {', '.join(sorted(refused))}"
        )
    if own and scope_of(study, arm) == "layer" and matched(study, arm).scope != "layer":
        raise LotteryError(
            f"Arm {arm!r} can't have scope 'layer', since arm {study.arms[arm].on!r} counts its weights over "
            "all layers together. Use scope 'global' or 'erk'."
        )


def _check_rewinding(study: StudyConfig, arm: str) -> None:
    settings, below = settings_of(study, arm), settings_of(study, chain_below(study, arm))
    rewind = settings.rewind
    if rewind.weights not in REWINDS:
        raise LotteryError(
            f"Expected {where(study, arm, 'rewind')}.weights of {', '.join(REWINDS)}. "
            f"Received: {rewind.weights!r}"
        )
    training, before = settings.training, below.training
    if (training.precision == "float64") != (before.precision == "float64"):
        raise LotteryError(
            f"Arm {arm!r} has training.precision {training.precision}, and the weights that it starts from "
            f"have {before.precision}. Give both the same."
        )
    if function_name(study, arm) == "supermask":
        return  # its optimizer is one of scores, and begins with them
    optimizers = [(each.optimizer, each.optimizer_options) for each in (training, before)]
    if rewind.optimizer == "restore" and optimizers[0] != optimizers[1]:
        raise LotteryError(
            f"Arm {arm!r} has another optimizer than its dense run, whose state it can't restore. Set "
            "rewind.optimizer: reset."
        )
    if (rewind.weights, rewind.optimizer) == ("trained", "restore") and study.storage.keep != "all":
        raise LotteryError(
            f"{where(study, arm, 'rewind')}.optimizer: restore takes the optimizer's last state, which isn't "
            "kept. Set storage.keep: all, or optimizer: reset."
        )


def _check_search(study: StudyConfig) -> None:
    finals = [arm for arm in study.arms if function_name(study, arm) == "final"]
    for arm in finals:
        if not is_chain(study, study.arms[arm].on):
            raise LotteryError(
                f"Expected arms.{arm}.on as a chain, which finds masks. Received: {study.arms[arm].on!r}"
            )
    if (
        study.search is not None
        and study.search.steps
        and any(settings_of(study, arm).rewind.steps for arm in study.arms)
    ):
        raise LotteryError(
            "search.steps and rewind.steps both say how long the rounds of the search train. Leave one of "
            "them out."
        )
    check_early_bird(study)
    if study.search is not None and not finals:
        raise LotteryError(
            "The study has a cheaper search, but no arm trains in full what it finds. Add final: {} to arms, "
            "or leave search out."
        )
    if finals and study.search is None:
        raise LotteryError(
            f"Arm {finals[0]!r} trains in full what a cheaper search finds, but the study has no search. Add "
            "search: {steps: 2000it}, or leave the arm out."
        )
