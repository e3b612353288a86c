"""The start of a run: its masks, its weights, its optimizer, its first step."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from tf_lottery import steps
from tf_lottery.arrays import Arrays
from tf_lottery.layers.access import get_masks, set_masks
from tf_lottery.layers.redraw import Redrawn, redraw
from tf_lottery.method.spec import RunSpec
from tf_lottery.pruning import masks as masks_
from tf_lottery.pruning.criteria import CRITERIA, Evidence
from tf_lottery.pruning.schedules import layer_rates
from tf_lottery.pruning.select import select
from tf_lottery.store.store import Store
from tf_lottery.training.rewind import RewindManager
from tf_lottery.training.trainer import Trainer


@dataclass(frozen=True)
class Start:
    """Where a run begins, and what was asserted on the way."""

    first_step: int
    checks: dict[str, Any]


def prepare(spec: RunSpec, store: Store, trainer: Trainer, steps_per_epoch: int) -> Start:
    """Set masks, weights and optimizer of a run.

    Raises:
        DamagedError: a file of an earlier run isn't as it was written.
        LotteryError: a layer that would be emptied, a reinitialization that isn't one.
    """
    trainer.reset_optimizer()
    shapes = {path: mask.shape for path, mask in get_masks(trainer.model).items()}
    set_masks(trainer.model, next_masks(spec, store, shapes))
    if spec.start == "rewind":
        return _rewind(spec, store, trainer, steps_per_epoch)
    weights = trainer.initial_weights(spec.init_seed)
    if spec.start == "initialize":
        trainer.set_weights(weights)
        return Start(0, {})
    found = redraw(trainer.model, trainer.kernels, store.rewind_point(spec.root, 0), weights, "model/")
    trainer.set_weights(found.weights)
    return Start(0, reinitialized(found))


def reinitialized(found: Redrawn) -> dict[str, Any]:
    """Return what is kept of a random reinitialization in a record's checks."""
    checks: dict[str, Any] = {"reinit_correlation_first_layer": found.correlation}
    return checks | ({"reinit_kept": list(found.kept)} if found.kept else {})


def next_masks(spec: RunSpec, store: Store, shapes: Mapping[str, tuple[int, ...]]) -> masks_.Masks:
    """Return a run's masks: the parent's, pruned once more by its last weights.

    Args:
        spec: of the run.
        store: that has the parent.
        shapes: kernel path -> shape, for a run that has no parent: it keeps all.

    Raises:
        DamagedError: a file of the parent isn't as it was written.
        LotteryError: scores that aren't finite, a layer that would be emptied.
    """
    if spec.parent is None:
        return masks_.ones(shapes)
    before, last = store.masks(spec.parent), store.weights(spec.parent)
    pruning = spec.pruning
    evidence = Evidence({path: last[f"model/{path}"] for path in before}, pruning.seed)
    scores = CRITERIA[pruning.criterion](evidence)
    rates = layer_rates(list(before), pruning.rate, pruning.layer_rates)
    masks = select(scores, before, rates, pruning.scope, pruning.min_density)
    if not masks_.shrinks(before, masks):
        raise RuntimeError("a pruned weight came back: please report this")
    return masks


def _rewind(spec: RunSpec, store: Store, trainer: Trainer, steps_per_epoch: int) -> Start:
    step = steps.iterations(spec.rewind.to, steps_per_epoch)
    rewound = store.rewind_point(spec.root, step)
    manager = RewindManager(store.paths.run(spec.root).rewind)
    optimizer = trainer.optimizer if spec.rewind.optimizer == "restore" else None
    digest = manager.restore(step, trainer.model, optimizer, store.rewind_digest(spec.root, step))
    _check_rewound(rewound, trainer.weights(), trainer)
    return Start(step, {"rewind_digest": digest})


def _check_rewound(rewound: Arrays, weights: Arrays, trainer: Trainer) -> None:
    """Assert that survivors and everything else are back bit for bit."""
    by_name = {f"model/{path}": mask for path, mask in get_masks(trainer.model).items()}
    for name, value in weights.items():
        expected = rewound[name]
        if name in by_name:
            expected = np.where(by_name[name], expected, np.zeros_like(expected))
        if value.tobytes() != expected.tobytes():
            raise RuntimeError(f"{name} was not rewound bit for bit: please report this")
