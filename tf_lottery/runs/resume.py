"""The decision from where an interrupted run is resumed."""

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
    """Return the checkpoint from which a run is resumed; None if the run starts from its beginning.

    With several workers the chief decides.

    Args:
        spec: The run's spec.
        store: The store that may hold a checkpoint.
        trainer: The trainer of the run.
        snapshots: The steps of the rewind points that the run is to keep.
        context: The context that a usable checkpoint was made in, as in a `Checkpoint`.
        observer: The observer that hears why a checkpoint isn't used.

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
            f"Worker 0 resumes from step {step}, but this worker finds another checkpoint or none. "
            "Give all workers a directory that all of them can see."
        )
    return checkpoint


def _usable_step(
    checkpoint: Checkpoint, snapshots: set[int], context: dict[str, Any], observer: StudyObserver
) -> int | None:
    """Return a checkpoint's step; None if resuming from it wouldn't give the right bits."""
    needed = {f"rewind/{step}it" for step in snapshots if step <= checkpoint.step}
    if not needed <= checkpoint.rewind_digests.keys():
        return None  # it is past a rewind point that was asked for later
    if checkpoint.context != context:
        observer.noted(
            f"The checkpoint at step {checkpoint.step} was made with another network, other packages or "
            "another machine: the run is trained from its start."
        )
        return None
    return checkpoint.step
