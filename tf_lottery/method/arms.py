"""Arms: the lines of the paper's plots. A further one is a function and a line in `ARMS`.

An arm says what its run at one round is, given the replicate's `ticket` runs so far.
"""

from collections.abc import Callable, Sequence

from tf_lottery.config import StudyConfig
from tf_lottery.method.spec import Pruning, RunSpec
from tf_lottery.seeding import derive

Chain = Sequence[RunSpec]
"""A replicate's ticket runs by round, the dense network first."""


def dense(study: StudyConfig, replicate: int) -> RunSpec:
    """Round 0 of every arm: the dense network, trained from a random initialization."""
    return RunSpec(
        arm="ticket",
        replicate=replicate,
        round=0,
        data=study.data,
        model=study.model,
        training=study.training,
        order_seed=_order_seed(study, replicate, "ticket/0"),
        start="initialize",
        init_seed=derive(study.seed, replicate, "init"),
        snapshots=tuple(dict.fromkeys(("0it", study.rewind.to))),
    )


def ticket(study: StudyConfig, chain: Chain, round: int, trial: int) -> RunSpec:
    """The winning ticket: survivors return to the rewind point (Frankle & Carbin 2018)."""
    return _pruned(study, chain, "ticket", round, trial, start="rewind", rewind=study.rewind)


def random_reinit(study: StudyConfig, chain: Chain, round: int, trial: int) -> RunSpec:
    """The control: the ticket's masks, weights drawn afresh, trained from step 0."""
    seed = derive(study.seed, chain[0].replicate, f"reinit/{round}", trial)
    return _pruned(study, chain, "random_reinit", round, trial, start="reinitialize", init_seed=seed)


ARMS: dict[str, Callable[[StudyConfig, Chain, int, int], RunSpec]] = {
    "ticket": ticket,
    "random_reinit": random_reinit,
}


def _pruned(study: StudyConfig, chain: Chain, arm: str, round: int, trial: int, **start) -> RunSpec:
    replicate = chain[0].replicate
    pruning = study.pruning
    draws = pruning.criterion == "random"
    return RunSpec(
        arm=arm,
        replicate=replicate,
        round=round,
        trial=trial,
        data=study.data,
        model=study.model,
        training=study.training,
        order_seed=_order_seed(study, replicate, f"{arm}/{round}", trial),
        root=chain[0].key,
        parent=chain[round - 1].key,
        pruning=Pruning(
            criterion=pruning.criterion,
            scope=pruning.scope,
            rate=pruning.rate,
            layer_rates=pruning.layer_rates,
            seed=derive(study.seed, replicate, "prune", round) if draws else 0,
            min_density=pruning.min_density,
        ),
        **start,
    )


def _order_seed(study: StudyConfig, replicate: int, run: str, trial: int = 0) -> int:
    purpose = "order" if study.data.order == "replay" else f"order/{run}"
    return derive(study.seed, replicate, purpose, trial if study.data.order == "fresh" else 0)
