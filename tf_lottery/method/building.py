"""What arms make their runs of: recipes of masks, where runs start, edits of another arm's run."""

from typing import Any

from tf_lottery.config import PruningConfig, StudyConfig
from tf_lottery.errors import LotteryError
from tf_lottery.method.dense import order_seed
from tf_lottery.method.place import Place
from tf_lottery.method.recipe import Pruning
from tf_lottery.method.spec import RunSpec
from tf_lottery.pruning.criteria import DRAWING, LOOKING
from tf_lottery.seeding import derive


def back(study: StudyConfig) -> dict[str, Any]:
    """Return where a pruned run starts, by the study's rewinding."""
    return {
        "start": {"rewound": "rewind", "trained": "trained"}[study.rewind.weights],
        "rewind": study.rewind,
    }


def pruned_further(place: Place) -> Pruning:
    """Return the recipe of masks that are pruned one round further."""
    seed = derive(place.study.seed, place.replicate, "prune", place.round)
    return _recipe(place, place.study.pruning, seed)


def pruning_at_once(place: Place) -> Pruning:
    """Return the recipe of masks with as many weights as another arm's prunings leave, one after another."""
    seed = derive(place.study.seed, place.replicate, f"prune/{place.function}", place.trial)
    recipe = _recipe(place, place.matched, seed)
    counted = _counting(place.matched) if _counting(place.matched) != _counting(place.study.pruning) else None
    return recipe.model_copy(update={"rounds": place.round, "counted": counted})


def _recipe(place: Place, counted: PruningConfig, seed: int) -> Pruning:
    pruning, looks = place.study.pruning, place.study.pruning.criterion in LOOKING
    return Pruning(
        criterion=pruning.criterion,
        scope=pruning.scope,
        rate=counted.rate,
        layer_rates=counted.layer_rates,
        pattern=pruning.pattern,
        seed=seed if looks or pruning.criterion in DRAWING else 0,
        min_density=pruning.min_density,
        examples=pruning.examples if looks else 0,
    )


def _counting(pruning: PruningConfig) -> str:
    return "layer" if pruning.scope == "layer" else "global"


def redrawn(place: Place, start: str, purpose: str) -> RunSpec:
    """Return another run with its masks, but with weights that are newly drawn, from step 0."""
    seed = derive(place.study.seed, place.replicate, f"{purpose}/{place.round}", place.trial)
    return restarted(place, start, seed)


def restarted(place: Place, start: str, seed: int | None) -> RunSpec:
    """Return another run with its masks, but with other weights, from step 0."""
    if place.same.start in ("reinitialize", "keep_signs", "constant_sign", "reshuffle"):
        raise LotteryError(
            f"Arm {place.arm!r} gives the masks of arm {place.on!r} other weights, which that arm does "
            f"already. Name the arm that {place.on!r} is on."
        )
    return edited(place, start=start, init_seed=seed, rewind=None)


def edited(place: Place, **changes: Any) -> RunSpec:
    """Return another run with some changes. It waits for that run only if no recipe gives its masks."""
    same, study = place.same, place.study
    if same.parent is None and same.pruning is None:
        changes = {"root": same.root or same.key, "masks_of": same.masks_of or same.key} | changes
    own = {"data": study.data, "model": study.model, "training": study.training, "snapshots": ()}
    if study.data.order == "replay":  # the order of the run that is edited, which may be a fork
        own["order_seed"] = same.order_seed
    return same.model_copy(update=_labels(place) | own | changes)


def run(place: Place, **settings: Any) -> RunSpec:
    """Return a run of an arm, with the arm's own data, network and training."""
    study = place.study
    return RunSpec(**_labels(place), data=study.data, model=study.model, training=study.training, **settings)


def _labels(place: Place) -> dict[str, Any]:
    return {
        "arm": place.arm,
        "replicate": place.replicate,
        "round": place.round,
        "trial": place.trial,
        "order_seed": order_seed(place.study, place.replicate, f"{place.arm}/{place.round}", place.trial),
    }
