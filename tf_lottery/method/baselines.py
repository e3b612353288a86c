"""The arms that reviewers ask for: pruning within a training, dynamic and static sparse training."""

from tf_lottery.config import RewindConfig, StudyConfig
from tf_lottery.method.building import pruning_at_once, run
from tf_lottery.method.place import Place
from tf_lottery.method.recipe import Pruning, Updates
from tf_lottery.method.spec import RunSpec
from tf_lottery.pruning.criteria import DRAWING
from tf_lottery.seeding import derive

SCOPE = "erk"
"""The scope of arms that draw their masks, unless they are given another (Evci et al. 2020)."""


def gradual(place: Place) -> RunSpec:
    """One training from step 0, pruned little by little to a density (Zhu & Gupta 2017)."""
    pruning = pruning_at_once(place)
    draws = pruning.criterion in DRAWING
    updates = _updates(place, draws=draws).model_copy(update={"pruning": pruning})
    return run(place, root=place.dense.key, start="rewind", rewind=RewindConfig(), updates=updates)


def static(place: Place) -> RunSpec:
    """Random masks of the density of as many rounds, trained from step 0 (Evci et al. 2020, static)."""
    return _drawn(place)


def set_(place: Place) -> RunSpec:
    """Random masks; small weights are dropped and others grow at random (Mocanu et al. 2018, SET)."""
    return _drawn(place, _updates(place, begin=0.0, draws=True, fraction=place.study.updates.fraction))


def rigl(place: Place) -> RunSpec:
    """Random masks; small weights are dropped, those of large gradients grow (Evci et al. 2020)."""
    return _drawn(place, _updates(place, begin=0.0, fraction=place.study.updates.fraction))


def small_dense(place: Place) -> RunSpec:
    """A narrower dense network, of as nearly as possible the weights that so many rounds leave.

    It is the baseline `Small-Dense` of Evci et al. 2020.
    """
    study = place.study
    pruning = study.pruning.model_copy(update={"criterion": "magnitude"})  # only the number counts
    place = place.with_study(study.model_copy(update={"pruning": pruning}))
    seed = derive(study.seed, place.replicate, "init/small_dense", place.trial)
    small = pruning_at_once(place)
    return run(place, root=place.dense.key, start="initialize", init_seed=seed, small=small)


def drawn_scope(study: StudyConfig, arm: str) -> str:
    """Return the scope of the random masks that an arm begins with: its own one, or else ERK."""
    own = study.arms.get(arm)
    return own.pruning.get("scope", SCOPE) if own else SCOPE


def _drawn(place: Place, updates: Updates | None = None) -> RunSpec:
    changes = {"criterion": "random", "scope": drawn_scope(place.study, place.arm)}
    pruning = place.study.pruning.model_copy(update=changes)
    masks = _masks(place.with_study(place.study.model_copy(update={"pruning": pruning})))
    return run(
        place, root=place.dense.key, pruning=masks, start="rewind", rewind=RewindConfig(), updates=updates
    )


def _masks(place: Place) -> Pruning:
    """Return the recipe of random masks, which are the same for all arms that begin with them."""
    seed = derive(place.study.seed, place.replicate, "prune/static", place.trial)
    return pruning_at_once(place).model_copy(update={"seed": seed})


def _updates(place: Place, begin: float | None = None, draws: bool = False, fraction: float = 0.0) -> Updates:
    own, kind = place.study.updates, place.function
    purpose = f"updates/{kind}/{place.round}"
    return Updates(
        kind=kind,
        every=own.every,
        begin=own.begin if begin is None else begin,
        end=own.end,
        fraction=fraction,
        seed=derive(place.study.seed, place.replicate, purpose, place.trial) if draws else 0,
    )
