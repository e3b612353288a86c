"""The start of a run, whoever trains it: its masks, its weights, its optimizer, its first step."""

from tf_lottery.arrays import Arrays
from tf_lottery.errors import LotteryError
from tf_lottery.length import Length
from tf_lottery.method.spec import RunSpec
from tf_lottery.pruning import masks as masks_
from tf_lottery.pruning.masks import Masks
from tf_lottery.runs.masks import masks_of
from tf_lottery.runs.starts import STARTS
from tf_lottery.runs.subject import MODEL, Origin, Start, Subject
from tf_lottery.store.store import Store


def start_run(spec: RunSpec, store: Store, subject: Subject, length: Length) -> Start:
    """Bring a network to the state in which a run begins.

    Args:
        spec: The run's spec.
        store: The store that holds the runs that this one builds on.
        subject: The network that will be trained.
        length: The length of the run's training.

    Raises:
        DamagedError: If a file of an earlier run fails its checksum.
        LotteryError: If a layer would be emptied, or a reinitialization draws the same weights again.
    """
    check_start(spec)
    masks = masks_of(spec, store, subject)
    start = STARTS[spec.start](Origin(spec, store, subject, length, masks))
    _check_kinds(spec.start, start.weights, subject.weights())
    subject.begin(masks, start.weights, start.first_step, start.optimizer)
    _check_started(subject.weights(), start.weights, masks)
    return start


def check_start(spec: RunSpec) -> None:
    """Check that there is a function for a run's start.

    Raises:
        LotteryError: If there isn't.
    """
    if spec.start not in STARTS:
        raise LotteryError(
            f"Expected arm {spec.arm!r} with a start of {', '.join(STARTS)}. Received: {spec.start!r}"
        )


def _check_kinds(start: str, weights: Arrays, present: Arrays) -> None:
    """Check that a start has given every variable of the network, in the shape and type that it has there."""
    for name, value in present.items():
        given = weights.get(name)
        if given is None or (given.shape, given.dtype) != (value.shape, value.dtype):
            received = "none" if given is None else f"{given.dtype} of shape {given.shape}"
            raise LotteryError(
                f"Expected start {start!r} to return {value.dtype} of shape {value.shape} for {name}. "
                f"Received: {received}"
            )


def _check_started(received: Arrays, weights: Arrays, masks: Masks) -> None:
    """Assert that every weight is the expected one, bit for bit, and that pruned weights are 0.0."""
    expected = masks_.zeroed(weights, {MODEL + path: mask for path, mask in masks.items()})
    for name, value in received.items():
        if value.tobytes() != expected[name].tobytes():
            raise RuntimeError(f"{name} didn't return bit for bit: please report this")
