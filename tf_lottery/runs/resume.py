"""Where an interrupted run is resumed."""

from typing import Any

from tf_lottery.errors import StudyError
from tf_lottery.method.spec import RunSpec
from tf_lottery.runs.observe import StudyObserver
from tf_lottery.store.store import Store
from tf_lottery.training.checkpoint import Checkpoint
from tf_lottery.training.replicas import from_chief
from tf_lottery.training.trainer import Trainer


def checkpoint_of(
    spec: RunSpec,
    store: Store,
    trainer: Trainer,
    snapshots: set[int],
    context: dict[str, Any],
    observer: StudyObserver,
) -> Checkpoint | None:
    """Return the checkpoint from which a run is resumed; None if it starts anew.

    With several workers the chief decides.

    Args:
        spec: The run's spec.
        store: The store that may hold a checkpoint.
        trainer: What trains the run.
        snapshots: The steps of the rewind points that are asked for.
        context: As of a `Checkpoint`: what a checkpoint must have been made with.
        observer: Hears why one isn't used.

    Raises:
        StudyError: If this worker finds another checkpoint than the chief.
    """
    checkpoint = store.checkpoint(spec.key, observer.noted)
    usable = checkpoint and _usable_step(checkpoint, snapshots, context, observer)
    step = from_chief(trainer.strategy, usable)
    if step is None:
        return None
    if checkpoint is None or checkpoint.step != step:
        raise StudyError(
            f"Expected to go on from step {step}, as worker 0 does. Received: another checkpoint, or none. "
            "Give all workers a directory that all see."
        )
    return checkpoint


def _usable_step(
    checkpoint: Checkpoint, snapshots: set[int], context: dict[str, Any], observer: StudyObserver
) -> int | None:
    """Return a checkpoint's step; None if resuming from it wouldn't give the right bits."""
    needed = {f"rewind/{step}it" for step in snapshots if step <= checkpoint.step}
    if not needed <= checkpoint.rewind_digests.keys():
        return None  # it is past a rewind point that is asked for since
    if checkpoint.context != context:
        observer.noted(
            f"The checkpoint at step {checkpoint.step} is of another network, other packages or another "
            "machine: the run is trained from its start."
        )
        return None
    return checkpoint.step
