"""The start of a run, whoever trains it: its masks, its weights, its optimizer, its first step."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from tf_lottery import steps
from tf_lottery.arrays import Arrays
from tf_lottery.errors import LotteryError
from tf_lottery.layers.redraw import Redrawn
from tf_lottery.method.spec import RunSpec
from tf_lottery.pruning import masks as masks_
from tf_lottery.pruning.criteria import CRITERIA, Evidence
from tf_lottery.pruning.masks import Masks
from tf_lottery.pruning.schedules import layer_rates
from tf_lottery.pruning.select import select
from tf_lottery.store.store import Store

_MODEL, _OPTIMIZER = "model/", "optimizer/"


class Subject(Protocol):
    """The network that a run is started on: a study's trainer, or the network of a search."""

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Return kernel path -> shape, of all prunable kernels."""

    def dense(self, seed: int) -> Arrays:
        """Return the weights of the dense network at step 0, by name."""

    def redrawn(self, seed: int, theta_0: Arrays) -> Redrawn:
        """Return a random reinitialization of theta_0."""

    def named(self, arrays: Mapping[str, Any], prefix: str) -> dict[str, Any]:
        """Return stored arrays under the names that this network uses.

        Args:
            arrays: Weights by name, or masks by kernel path.
            prefix: `model/` for weights, an empty string for masks.
        """

    def begin(self, masks: Masks, weights: Arrays, step: int, optimizer: Arrays | None) -> None:
        """Set masks, weights and the optimizer's state; None resets the optimizer."""

    def weights(self) -> Arrays:
        """Return copies of all weights."""


@dataclass(frozen=True)
class Start:
    """Where a run begins.

    Attributes:
        weights: The weights before the masks are applied, by name.
        first_step: The number of steps that the network has had.
        optimizer: The optimizer's state; None for a fresh optimizer.
        checks: The results of assertions made on the way, for the record.
    """

    weights: Arrays
    first_step: int = 0
    optimizer: Arrays | None = None
    checks: dict[str, Any] = field(default_factory=dict)


def start_run(spec: RunSpec, store: Store, subject: Subject, steps_per_epoch: int) -> Start:
    """Bring a network to the state in which a run begins.

    Args:
        spec: The run's spec.
        store: The store that holds the runs that this one builds on.
        subject: The network that will be trained.
        steps_per_epoch: The number of steps in an epoch, for rewind points in epochs.

    Raises:
        DamagedError: If a file of an earlier run fails its checksum.
        LotteryError: If a layer would be emptied, or a reinitialization draws the same weights again.
    """
    check_start(spec)
    masks = subject.named(next_masks(spec, store, subject.shapes()), "")
    start = STARTS[spec.start](spec, store, subject, steps_per_epoch)
    weights = subject.named(start.weights, _MODEL)
    _check_kinds(spec.start, weights, subject.weights())
    subject.begin(masks, weights, start.first_step, start.optimizer)
    _check_started(subject.weights(), weights, masks)
    return start


def _initialize(spec: RunSpec, store: Store, subject: Subject, steps_per_epoch: int) -> Start:
    """The dense network: a random initialization."""
    return Start(subject.dense(spec.init_seed))


def _rewind(spec: RunSpec, store: Store, subject: Subject, steps_per_epoch: int) -> Start:
    """The winning ticket: the dense run's state at the rewind point (Frankle & Carbin 2018)."""
    step = steps.iterations(spec.rewind.to, steps_per_epoch)
    state = store.rewind_point(spec.root, step)
    optimizer = _part(state, _OPTIMIZER) if spec.rewind.optimizer == "restore" else None
    checks = {"rewind_digest": store.rewind_digest(spec.root, step)}
    return Start(_part(state, _MODEL), step, optimizer, checks)


def _reinitialize(spec: RunSpec, store: Store, subject: Subject, steps_per_epoch: int) -> Start:
    """The control: another random initialization (Frankle & Carbin 2018)."""
    drawn = subject.redrawn(spec.init_seed, _part(store.rewind_point(spec.root, 0), _MODEL))
    checks: dict[str, Any] = {"reinit_correlation_first_layer": drawn.correlation}
    return Start(drawn.weights, checks=checks | ({"reinit_kept": list(drawn.kept)} if drawn.kept else {}))


STARTS: dict[str, Callable[[RunSpec, Store, Subject, int], Start]] = {
    "initialize": _initialize,
    "rewind": _rewind,
    "reinitialize": _reinitialize,
}
"""The values that a spec's `start` may have. `store/tickets.py` says which weights a ticket of each holds."""


def check_start(spec: RunSpec) -> None:
    """Check that there is a function for a run's start.

    Raises:
        LotteryError: If there isn't.
    """
    if spec.start not in STARTS:
        raise LotteryError(
            f"Expected arm {spec.arm!r} with a start of {', '.join(STARTS)}. Received: {spec.start!r}"
        )


def next_masks(spec: RunSpec, store: Store, shapes: Mapping[str, tuple[int, ...]]) -> Masks:
    """Return a run's masks: those of another run, or the parent's, pruned once more by its last weights.

    Args:
        spec: The run's spec.
        store: The store that holds the other run.
        shapes: Kernel path -> shape, for a run that keeps all weights.

    Raises:
        DamagedError: If a file of the other run fails its checksum.
        LotteryError: If scores aren't finite, or a layer would be emptied.
    """
    if spec.masks_of is not None:
        return store.masks(spec.masks_of)
    if spec.parent is None:
        return masks_.ones(shapes)
    before, last = store.masks(spec.parent), store.weights(spec.parent)
    pruning = spec.pruning
    evidence = Evidence({path: last[_MODEL + path] for path in before}, masks=before, seed=pruning.seed)
    scores = CRITERIA[pruning.criterion](evidence)
    for path, mask in before.items():
        if np.shape(scores.get(path)) != mask.shape:
            received = np.shape(scores[path]) if path in scores else "none"
            raise LotteryError(
                f"Expected criterion {pruning.criterion!r} to score {path} in the shape {mask.shape}. "
                f"Received: {received}"
            )
    rates = layer_rates(list(before), pruning.rate, pruning.layer_rates)
    masks = select(scores, before, rates, pruning.scope, pruning.min_density)
    if not masks_.shrinks(before, masks):
        raise RuntimeError("a pruned weight came back: please report this")
    return masks


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
    expected = masks_.zeroed(weights, {_MODEL + path: mask for path, mask in masks.items()})
    for name, value in received.items():
        if value.tobytes() != expected[name].tobytes():
            raise RuntimeError(f"{name} didn't return bit for bit: please report this")


def _part(state: Arrays, prefix: str) -> Arrays:
    return {name: value for name, value in state.items() if name.startswith(prefix)}
