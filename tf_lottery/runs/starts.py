"""The kinds of start. To add one, write a function and add a line to `STARTS`.

A start returns every variable of the network, by name, in the type that it has there. Whatever it promises of
its weights, it checks itself.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from tf_lottery.arrays import Arrays
from tf_lottery.errors import LotteryError
from tf_lottery.runs import weights_file
from tf_lottery.runs.subject import MODEL, OPTIMIZER, Origin, Start, part
from tf_lottery.runs.transferred import crosses, fitted_weights


def initialize(origin: Origin) -> Start:
    """The dense network: a random initialization."""
    return Start(origin.subject.dense(origin.spec.init_seed))


def pretrained(origin: Origin) -> Start:
    """The dense network from weights trained before round 0, or read from a file (Chen et al. 2020).

    What has another shape in this network, such as the output for other classes, is drawn anew.
    """
    spec = origin.spec
    if spec.pretrained:
        stored = part(origin.store.weights(spec.pretrained), MODEL)
        checks = {"started_from": origin.store.record(spec.pretrained).digests["weights_last"]}
    else:
        stored, checks = weights_file.read(spec.weights), {"started_from": spec.weights.digest}
    fresh = origin.subject.dense(spec.init_seed)
    weights, drawn = fitted_weights(stored, fresh)
    lacking = [name for name in drawn if name not in stored and np.issubdtype(fresh[name].dtype, np.floating)]
    if lacking or not any(MODEL + path not in drawn for path in origin.masks):
        what = f"no {lacking[0].removeprefix(MODEL)}" if lacking else "no prunable layer of the same shape"
        raise LotteryError(
            f"The weights that round 0 should start from have {what}, as this network has it. Use weights of "
            "a network with the same names of layers."
        )
    return Start(weights, checks=checks | {"drawn_anew": drawn})


def rewind(origin: Origin) -> Start:
    """The winning ticket: the dense run's state at the rewind point (Frankle & Carbin 2018)."""
    spec, step = origin.spec, origin.length.step(origin.spec.rewind.to)
    state = origin.store.rewind_point(spec.root, step)
    optimizer = part(state, OPTIMIZER) if spec.rewind.optimizer == "restore" else None
    checks = {"rewind_digest": origin.store.rewind_digest(spec.root, step)}
    return Start(origin.stored(state), step, optimizer, checks)


def trained(origin: Origin) -> Start:
    """The pruned run's last weights; the schedule is replayed from the rewind point (Renda et al. 2020)."""
    spec, store = origin.spec, origin.store
    weights = origin.stored(store.weights(spec.parent))
    optimizer = store.optimizer(spec.parent) if spec.rewind.optimizer == "restore" else None
    checks = {"started_from": store.record(spec.parent).digests["weights_last"]}
    return Start(weights, origin.length.step(spec.rewind.to), optimizer, checks)


def reinitialize(origin: Origin) -> Start:
    """The control: another random initialization (Frankle & Carbin 2018)."""
    drawn = origin.subject.redrawn(origin.spec.init_seed, theta_0(origin))
    checks: dict[str, Any] = {"reinit_correlation_first_layer": drawn.correlation}
    return Start(drawn.weights, checks=checks | ({"reinit_kept": list(drawn.kept)} if drawn.kept else {}))


def keep_signs(origin: Origin) -> Start:
    """Another random initialization, in which kernels have the signs of the first one (Zhou et al. 2019)."""
    first, start = theta_0(origin), reinitialize(origin)
    signed = {name: np.copysign(start.weights[name], first[name]) for name in _kernels(origin)}
    for name, value in signed.items():
        if not np.array_equal(np.abs(value), np.abs(start.weights[name])):
            raise RuntimeError(f"{name} changed its size with its sign: please report this")
        if np.any(value * first[name] < 0):
            raise RuntimeError(f"{name} has other signs than theta_0: please report this")
    return Start(start.weights | signed, checks=start.checks | {"signs_kept": True})


def constant_sign(origin: Origin) -> Start:
    """Kernels of one size a layer, the standard deviation at step 0, with the signs there (Zhou et al. 2019).

    All other weights are those of step 0.
    """
    first = theta_0(origin)
    sizes = {name: first[name].std(dtype=np.float64).astype(first[name].dtype) for name in _kernels(origin)}
    if constant := [name for name, size in sizes.items() if not size]:
        raise LotteryError(
            f"The kernel {constant[0].removeprefix(MODEL)} is constant at first, so it has no signs to keep. "
            "Leave out this control."
        )
    signed = {name: np.copysign(size, first[name]) for name, size in sizes.items()}
    return Start(first | signed, checks={"sizes": {name: float(size) for name, size in sizes.items()}})


def reshuffle(origin: Origin) -> Start:
    """The weights of step 0, shuffled within each kernel among those that remain (Zhou et al. 2019).

    All other weights are those of step 0.
    """
    first, generator = theta_0(origin), np.random.default_rng(origin.spec.init_seed)
    weights, moved = dict(first), 0
    for name in _kernels(origin):
        kernel_mask = origin.masks[name.removeprefix(MODEL)]
        value = first[name].copy()
        value[kernel_mask] = generator.permutation(first[name][kernel_mask])
        moved += int(np.count_nonzero(value != first[name]))
        weights[name] = value
    if not moved:
        raise LotteryError(
            "Shuffling changes no weight: the kernels are constant at first. Leave out this control."
        )
    return Start(weights, checks={"weights_moved": moved})


def transfer(origin: Origin) -> Start:
    """Another network's rewound weights, for other data or another optimizer (Morcos et al. 2019).

    Training begins at step 0. What has another shape in this network is drawn anew.
    """
    spec = origin.spec
    step = origin.length.step(spec.rewind.to)
    weights, drawn = _across(origin, origin.store.rewind_point(spec.root, step))
    checks = {"rewind_digest": origin.store.rewind_digest(spec.root, step), "drawn_anew": drawn}
    return Start(weights, checks=checks)


STARTS: dict[str, Callable[[Origin], Start]] = {
    "initialize": initialize,
    "pretrained": pretrained,
    "rewind": rewind,
    "trained": trained,
    "reinitialize": reinitialize,
    "keep_signs": keep_signs,
    "constant_sign": constant_sign,
    "reshuffle": reshuffle,
    "transfer": transfer,
}
"""The values that a spec's `start` may have. `store/tickets.py` says which weights a ticket of each holds."""

REDRAWING = frozenset({"reinitialize", "keep_signs"})
"""Starts that draw weights anew. A search refuses them for weights that were never drawn."""


def theta_0(origin: Origin) -> Arrays:
    """Return the weights of the dense run at step 0, fitted to the network that will be trained."""
    state = origin.store.rewind_point(origin.spec.root, 0)
    return _across(origin, state)[0] if crosses(origin.spec, origin.store) else origin.stored(state)


def _across(origin: Origin, state: Arrays) -> tuple[Arrays, list[str]]:
    return fitted_weights(part(state, MODEL), origin.subject.dense(origin.spec.transfer_seed or 0))


def _kernels(origin: Origin) -> list[str]:
    """Return the names of the kernels that a control may change: frozen ones stay what they are."""
    return [MODEL + path for path in origin.masks if path not in origin.subject.frozen]
