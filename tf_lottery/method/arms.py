"""Arms, the lines of the paper's plots. To add one, write a function and a line in `CHAINS` or `ARMS`.

An arm is a function from a `Place` in the study to the run that is trained there. It is pure: it may look
at the study's settings and at the specs of other runs, never at what those runs found.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tf_lottery.config import ArmConfig, StudyConfig
from tf_lottery.errors import LotteryError
from tf_lottery.method.spec import Pruning, RunSpec
from tf_lottery.pruning.criteria import DRAWING
from tf_lottery.seeding import derive


@dataclass(frozen=True)
class Place:
    """A run's place in a study, which is all that an arm may look at.

    Attributes:
        study: The study, with the arm's own settings laid over it.
        arm: The arm's name in the study, which may differ from the name of its function.
        replicate: Which replicate, counted from 0.
        round: Which round, counted from 1; round 0 is the dense network.
        trial: Which of the arm's trials, counted from 0.
        dense: The run of round 0.
        before: This arm's run of the previous round; None unless the arm is a chain.
        same: The run of the arm named by `on` at the same round; None for a chain.
    """

    study: StudyConfig
    arm: str
    replicate: int
    round: int
    trial: int
    dense: RunSpec
    before: RunSpec | None = None
    same: RunSpec | None = None


Arm = Callable[[Place], RunSpec]


def dense(study: StudyConfig, replicate: int, arm: str = "ticket") -> RunSpec:
    """Return round 0 of every arm: the dense network, trained from a random initialization.

    Args:
        study: The study, with the arm's own settings laid over it.
        replicate: Which replicate.
        arm: The arm that the run is labelled with.
    """
    return RunSpec(
        arm=arm,
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


def ticket(place: Place) -> RunSpec:
    """The winning ticket: survivors return to the rewind point (Frankle & Carbin 2018)."""
    return _pruned(place, start="rewind", rewind=place.study.rewind)


def random_reinit(place: Place) -> RunSpec:
    """The control: another arm's masks with newly drawn weights, from step 0 (Frankle & Carbin 2018)."""
    seed = derive(place.study.seed, place.replicate, f"reinit/{place.round}", place.trial)
    return _edited(place, start="reinitialize", init_seed=seed)


CHAINS: dict[str, Arm] = {"ticket": ticket}
"""Arms whose every round goes on from their own previous round."""

ARMS: dict[str, Arm] = {"random_reinit": random_reinit}
"""Arms whose every run follows from the dense network, or from another arm's run at the same round."""


def function_name(name: str, settings: ArmConfig) -> str:
    """Return the name of an arm's function: the one named by `like`, or else its own name."""
    return settings.like or name


def is_chain(study: StudyConfig, arm: str) -> bool:
    """Return whether the runs of an arm go on from its own previous round."""
    settings = study.arms.get(arm)
    return settings is not None and function_name(arm, settings) in CHAINS


def check_names(study: StudyConfig) -> None:
    """Check that every arm of a study has a function, and no settings that its function doesn't read.

    Raises:
        LotteryError: If an arm has no function or another one than its name says, a chain is given `rounds`,
            `trials` or `on`, or another arm `pruning` or `rewind`.
    """
    for name, settings in study.arms.items():
        function = function_name(name, settings)
        if function not in (CHAINS | ARMS):
            what = f"arms.{name}.like" if settings.like else "arms"
            raise LotteryError(f"Expected {what} of {', '.join(CHAINS | ARMS)}. Received: {function!r}")
        if name in (CHAINS | ARMS) and function != name:
            raise LotteryError(f"Arm {name!r} can't be like {function!r}. Give it another name.")
        if function in ARMS and (settings.pruning or settings.rewind):
            raise LotteryError(
                f"Arm {name!r} has the masks of arm {settings.on!r} and takes no pruning or rewind of its "
                f"own. Give them to {settings.on!r}, or leave them out."
            )
        if function in CHAINS and (
            settings.rounds is not None or settings.trials != 1 or settings.on != "ticket"
        ):
            raise LotteryError(
                f"Arm {name!r} is trained once in every round, from its own previous one, so it takes no "
                "rounds, trials or on. Leave them out."
            )


def _pruned(place: Place, **start: Any) -> RunSpec:
    """Return the run that starts by pruning the arm's previous run."""
    pruning = place.study.pruning
    draws = pruning.criterion in DRAWING
    return _run(
        place,
        root=place.dense.key,
        parent=place.before.key,
        pruning=Pruning(
            criterion=pruning.criterion,
            scope=pruning.scope,
            rate=pruning.rate,
            layer_rates=pruning.layer_rates,
            seed=derive(place.study.seed, place.replicate, "prune", place.round) if draws else 0,
            min_density=pruning.min_density,
        ),
        **start,
    )


def _edited(place: Place, **start: Any) -> RunSpec:
    """Return a run with another run's masks. It waits for that run only if no recipe gives those masks."""
    same = place.same
    if same.parent is not None:
        return _run(place, root=same.root, parent=same.parent, pruning=same.pruning, **start)
    return _run(place, root=same.root or same.key, masks_of=same.masks_of or same.key, **start)


def _run(place: Place, **settings: Any) -> RunSpec:
    study = place.study
    return RunSpec(
        arm=place.arm,
        replicate=place.replicate,
        round=place.round,
        trial=place.trial,
        data=study.data,
        model=study.model,
        training=study.training,
        order_seed=_order_seed(study, place.replicate, f"{place.arm}/{place.round}", place.trial),
        **settings,
    )


def _order_seed(study: StudyConfig, replicate: int, run: str, trial: int = 0) -> int:
    purpose = "order" if study.data.order == "replay" else f"order/{run}"
    return derive(study.seed, replicate, purpose, trial if study.data.order == "fresh" else 0)
