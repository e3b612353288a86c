"""Strong tickets: masks that are trained while the weights stay as they are."""

from tf_lottery.config import RewindConfig
from tf_lottery.method.building import pruning_at_once, run
from tf_lottery.method.place import Place
from tf_lottery.method.recipe import Supermask
from tf_lottery.method.spec import RunSpec
from tf_lottery.seeding import derive

LEARNED = frozenset({"learned", "signed"})
"""Kinds of supermasks whose density is learned. Others have the densities of the arm that they are `on`."""


def supermask(place: Place) -> RunSpec:
    """A mask that is trained over the weights of step 0 (Zhou et al. 2019; Ramanujan et al. 2020).

    Its masks exist only after its training, so controls `on` it wait for it.
    """
    settings = place.study.supermask
    # One seed for all rounds: they differ in their densities alone.
    seed = derive(place.study.seed, place.replicate, "supermask", place.trial)
    pruning = None
    if settings.kind not in LEARNED:
        counted = pruning_at_once(place)
        pruning = counted.model_copy(update={"criterion": "supermask", "seed": 0, "examples": 0})
    return run(
        place,
        root=place.dense.key,
        pruning=pruning,
        supermask=Supermask(**settings.model_dump(), seed=seed),
        start="rewind",
        rewind=RewindConfig(),
    )
