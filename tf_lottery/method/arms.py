"""Arms, the lines of the papers' plots. To add one, write a function and a line in `CHAINS` or `ARMS`.

An arm is a function from a `Place` in the study to the run that is trained there. It is pure: it may look
at the study's settings and at the specs of other runs, never at what those runs found.
"""

from collections.abc import Callable

from tf_lottery.config import PruningConfig, RewindConfig, StudyConfig
from tf_lottery.errors import LotteryError
from tf_lottery.method.baselines import drawn_scope, gradual, rigl, set_, small_dense, static
from tf_lottery.method.building import (
    back,
    edited,
    pruned_further,
    pruning_at_once,
    redrawn,
    restarted,
    run,
)
from tf_lottery.method.early_bird import until
from tf_lottery.method.place import Place
from tf_lottery.method.recipe import Edit
from tf_lottery.method.spec import RunSpec
from tf_lottery.method.strong import supermask
from tf_lottery.seeding import derive

Arm = Callable[[Place], RunSpec]


def ticket(place: Place) -> RunSpec:
    """The winning ticket: survivors return to the rewind point (Frankle & Carbin 2018; Renda et al. 2020)."""
    return run(
        place,
        root=place.dense.key,
        parent=place.before.key,
        pruning=pruned_further(place),
        until=until(place.study, place.replicate, place.round),
        **back(place.study),
    )


def dense_longer(place: Place) -> RunSpec:
    """The dense network, trained on for as many steps as a ticket's round: nothing is pruned."""
    rewind = place.study.rewind
    if rewind.weights == "rewound":
        rewind = rewind.model_copy(update={"weights": "trained", "optimizer": "reset"})
    return run(place, root=place.dense.key, parent=place.before.key, start="trained", rewind=rewind)


def one_shot(place: Place) -> RunSpec:
    """One pruning of the dense network to the density of as many rounds (Frankle & Carbin 2018)."""
    dense, pruning = place.dense.key, pruning_at_once(place)
    return run(place, root=dense, parent=dense, pruning=pruning, **back(place.study))


def at_init(place: Place) -> RunSpec:
    """A pruning before any training, to the density of as many rounds (Lee et al. 2019)."""
    pruning = pruning_at_once(place)
    return run(place, root=place.dense.key, pruning=pruning, start="rewind", rewind=RewindConfig())


def smart_ratio(place: Place) -> RunSpec:
    """A random pruning before any training whose layers have the smart ratios (Su et al. 2020)."""
    changes = {"criterion": "random", "scope": "smart_ratio"}
    pruning = place.study.pruning.model_copy(update=changes)
    return at_init(place.with_study(place.study.model_copy(update={"pruning": pruning})))


def random_reinit(place: Place) -> RunSpec:
    """The control: another arm's masks with newly drawn weights, from step 0 (Frankle & Carbin 2018)."""
    return redrawn(place, "reinitialize", "reinit")


def keep_signs(place: Place) -> RunSpec:
    """Another arm's masks with newly drawn weights that have the signs of the original ones (Zhou 2019)."""
    return redrawn(place, "keep_signs", "reinit")


def constant_sign(place: Place) -> RunSpec:
    """Another arm's masks with weights of one size a layer and the original signs (Zhou et al. 2019)."""
    return restarted(place, "constant_sign", None)


def reshuffle(place: Place) -> RunSpec:
    """Another arm's masks, the original weights shuffled among those that remain (Zhou et al. 2019)."""
    return redrawn(place, "reshuffle", "reshuffle")


def shuffled(place: Place) -> RunSpec:
    """Another arm's run, its masks shuffled within each layer (Frankle et al. 2021)."""
    if place.same.start == "trained" and place.same.parent != place.same.root:
        raise LotteryError(
            f"Arm {place.arm!r} would shuffle masks over trained weights, most of which are pruned already. "
            f"Give arm {place.on!r} rewound weights."
        )
    seed = derive(place.study.seed, place.replicate, f"shuffle/{place.round}", place.trial)
    return edited(place, edits=(*place.same.edits, Edit(kind="shuffled", seed=seed)))


def inverted(place: Place) -> RunSpec:
    """Another arm's run whose last pruning took the highest scores, in each layer (Frankle et al. 2021)."""
    if place.same.pruning is None or place.same.edits or place.same.learns_masks:
        raise LotteryError(
            f"Arm {place.arm!r} inverts the scores of the last pruning, but the masks of arm {place.on!r} "
            "don't come from scores alone. Name another arm with `on`."
        )
    return edited(place, edits=(Edit(kind="inverted"),))


def fork(place: Place) -> RunSpec:
    """Another arm's run in another order of the examples (Frankle et al. 2020)."""
    purpose = f"fork/{place.round}/{place.same.order_seed}"
    seed = derive(place.study.seed, place.replicate, purpose, place.trial)
    if place.round:
        return edited(place, order_seed=seed)
    # The dense network goes on from the rewind point as it did, so that the order alone differs.
    rewind = place.study.rewind
    rewind = RewindConfig(to=rewind.to if rewind.weights == "rewound" else "0it", optimizer="restore")
    forked = run(place, root=place.dense.key, start="rewind", rewind=rewind)
    return forked.model_copy(update={"order_seed": seed})


def final(place: Place) -> RunSpec:
    """The mask that a cheaper search has found, trained from its rewind point in full."""
    return edited(place)


def transfer(place: Place) -> RunSpec:
    """Another arm's masks and starting weights on other data, or with another optimizer (Morcos et al. 2019).

    Layers of another shape, such as the output for another number of classes, are drawn anew and not pruned.
    """
    if place.same.start != "rewind":
        raise LotteryError(
            f"Arm {place.arm!r} transfers weights that were rewound, but those of arm {place.on!r} start by "
            f"{place.same.start!r}. Name another arm with `on`."
        )
    rewind = place.same.rewind.model_copy(update={"optimizer": "reset", "steps": None})
    is_moved = place.same.data.digest != place.study.data.digest
    seed = derive(place.study.seed, place.replicate, "transfer", place.trial) if is_moved else None
    # The recipe of the masks is one for the other network, so they are taken from its run.
    masks = {"masks_of": place.same.key, "parent": None, "pruning": None, "edits": ()}
    return edited(place, start="transfer", rewind=rewind, transfer_seed=seed, **masks)


REWINDS: dict[str, str] = {"rewound": "rewind", "trained": "trained"}
"""The values that `rewind.weights` may have, each with the kind of start of its pruned runs."""

CHAINS: dict[str, Arm] = {"ticket": ticket, "dense_longer": dense_longer}
"""Arms whose every round goes on from their own previous round."""

FOLLOWING = frozenset({"dense_longer"})
"""Chains that prune nothing. They have as many rounds as the chain that they are `on`."""

DRAWN = frozenset({"smart_ratio", "static", "set", "rigl"})
"""Arms that begin with random masks, whatever `pruning.criterion` says."""

AT_ONCE = frozenset({"one_shot", "at_init", "gradual", "small_dense", "supermask"}) | DRAWN
"""Arms that come to the density that another arm reaches in several rounds in one training."""

ARMS: dict[str, Arm] = {
    "one_shot": one_shot,
    "at_init": at_init,
    "smart_ratio": smart_ratio,
    "gradual": gradual,
    "static": static,
    "set": set_,
    "rigl": rigl,
    "small_dense": small_dense,
    "supermask": supermask,
    "random_reinit": random_reinit,
    "keep_signs": keep_signs,
    "constant_sign": constant_sign,
    "reshuffle": reshuffle,
    "shuffled": shuffled,
    "inverted": inverted,
    "fork": fork,
    "final": final,
    "transfer": transfer,
}
"""Arms whose every run follows from the dense network, or from another arm's run at the same round."""


def function_name(study: StudyConfig, arm: str) -> str:
    """Return the name of an arm's function: the one named by `like`, or else its own name."""
    return study.arms[arm].like or arm


def is_chain(study: StudyConfig, arm: str) -> bool:
    """Return whether the runs of an arm go on from its own previous round."""
    return arm in study.arms and function_name(study, arm) in CHAINS


def chain_below(study: StudyConfig, arm: str) -> str:
    """Return the chain that an arm builds on, which is the arm itself if it is one."""
    while not is_chain(study, arm):
        arm = study.arms[arm].on
    return arm


def settings_of(study: StudyConfig, arm: str) -> StudyConfig:
    """Return the study as an arm trains it: with its own settings, those of the arm that it is on below them.

    The chains that find masks are trained as `search` says, all others in full.
    """
    settings = in_full(study, arm)
    if study.search is None:
        return settings
    if not is_chain(study, arm) or function_name(study, arm) in FOLLOWING:
        return settings.model_copy(update={"search": None})
    steps, share = study.search.steps, study.search.data
    training = settings.training.model_copy(update={"steps": steps} if steps else {})
    data = settings.data.model_copy(update={"share": share} if share else {})
    return settings.model_copy(update={"training": training, "data": data})


def searched(study: StudyConfig) -> list[tuple[str, str]]:
    """Return the chains that a cheaper search trains, each with the arm that trains in full what it finds."""
    finals = [arm for arm in study.arms if function_name(study, arm) == "final"]
    return [(study.arms[arm].on, arm) for arm in finals if is_chain(study, study.arms[arm].on)]


def in_full(study: StudyConfig, arm: str) -> StudyConfig:
    """Return the study as an arm would train it without a cheaper search."""
    if is_chain(study, arm) and function_name(study, arm) not in FOLLOWING:
        return study.of_arm(arm)
    return study.of_arm(arm, over=in_full(study, study.arms[arm].on))


def scope_of(study: StudyConfig, arm: str) -> str:
    """Return the scope of an arm's prunings."""
    function = function_name(study, arm)
    if function in DRAWN:
        return function if function == "smart_ratio" else drawn_scope(study, arm)
    return settings_of(study, arm).pruning.scope


def matched(study: StudyConfig, arm: str) -> PruningConfig:
    """Return the pruning whose densities an arm has that isn't iterative: that of the chain below it."""
    return in_full(study, chain_below(study, study.arms[arm].on)).pruning
