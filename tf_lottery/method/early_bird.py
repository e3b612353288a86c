"""Recipes of prunings, and of the trainings that end once the next pruning has settled (Early-Bird)."""

from tf_lottery.config import PruningConfig, StudyConfig
from tf_lottery.method.recipe import EarlyBird, Pruning
from tf_lottery.pruning.criteria import DRAWING, LOOKING
from tf_lottery.seeding import derive


def pruned_by(pruning: PruningConfig, counted: PruningConfig, seed: int) -> Pruning:
    """Return the recipe of a pruning.

    Args:
        pruning: What says which weights go.
        counted: What says how many go.
        seed: The seed of a criterion that draws.
    """
    looks = pruning.criterion in LOOKING
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


def of_round(study: StudyConfig, replicate: int, round: int) -> Pruning:
    """Return the recipe of the masks of a chain's round, which are pruned once more than those before."""
    seed = derive(study.seed, replicate, "prune", round)
    return pruned_by(study.pruning, study.pruning, seed)


def until(study: StudyConfig, replicate: int, round: int) -> EarlyBird | None:
    """Return what ends a chain's training before its last step; None if nothing does (You et al. 2020).

    Args:
        study: The study, as the chain trains it: with a search only if it is trained as the search says.
        replicate: Which replicate.
        round: The round that is trained.
    """
    own = study.search.early_bird if study.search else None
    if own is None:
        return None
    pruning = of_round(study, replicate, round + 1)
    after = study.rewind.to if study.rewind.weights == "rewound" else "0it"
    return EarlyBird(pruning=pruning, distance=own.distance, masks=own.masks, every=own.every, after=after)
