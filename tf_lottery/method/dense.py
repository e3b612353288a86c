"""Round 0 of every arm, and the run before it."""

from tf_lottery.config import RewindConfig, StudyConfig
from tf_lottery.method.early_bird import until
from tf_lottery.method.recipe import WeightsFile
from tf_lottery.method.spec import RunSpec
from tf_lottery.seeding import derive

PRETRAIN = "pretrain"
"""The label of runs before round 0."""


def dense(study: StudyConfig, replicate: int, arm: str = "ticket", before: RunSpec | None = None) -> RunSpec:
    """Return round 0 of every arm: the dense network, trained from a random initialization.

    Args:
        study: The study, with the arm's own settings laid over it.
        replicate: Which replicate.
        arm: The arm that the run is labelled with.
        before: The run whose last weights it starts from, as `pretraining` returns it. Default: none.
    """
    file = study.pretrain.file if study.pretrain else None
    return RunSpec(
        arm=arm,
        replicate=replicate,
        round=0,
        data=study.data,
        model=study.model,
        training=study.training,
        order_seed=order_seed(study, replicate, "ticket/0"),
        start="pretrained" if before or file else "initialize",
        init_seed=derive(study.seed, replicate, "init"),
        pretrained=before.key if before else None,
        weights=WeightsFile(path=file, digest=study.pretrain.digest or "unknown") if file else None,
        until=until(study, replicate, 0),
        snapshots=rewind_points(study.rewind),
    )


def pretraining(study: StudyConfig, replicate: int) -> RunSpec | None:
    """Return the run before round 0, None if the study has none (Chen et al. 2020)."""
    if study.pretrain is None or study.pretrain.file:
        return None
    own = study.pretraining()
    return RunSpec(
        arm=PRETRAIN,
        replicate=replicate,
        round=-1,
        data=own.data,
        model=own.model,
        training=own.training,
        order_seed=derive(study.seed, replicate, "order/pretrain"),
        start="initialize",
        init_seed=derive(study.seed, replicate, "init"),
        snapshots=("0it",),
    )


def rewind_points(rewind: RewindConfig) -> tuple[str, ...]:
    """Return the rewind points that the dense run keeps: its beginning, and where weights are rewound to."""
    return tuple(dict.fromkeys(("0it", rewind.to))) if rewind.weights == "rewound" else ("0it",)


def order_seed(study: StudyConfig, replicate: int, run: str, trial: int = 0) -> int:
    """Return the seed of the order of training examples.

    Args:
        study: The study.
        replicate: Which replicate.
        run: Which run, if each has an order of its own.
        trial: Which trial, likewise.
    """
    purpose = "order" if study.data.order == "replay" else f"order/{run}"
    return derive(study.seed, replicate, purpose, trial if study.data.order == "fresh" else 0)
