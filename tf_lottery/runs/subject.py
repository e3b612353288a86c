"""What a run is started on, what its start may look at, and what a start gives."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import keras

from tf_lottery.arrays import Arrays
from tf_lottery.layers.redraw import Redrawn
from tf_lottery.length import Length
from tf_lottery.method.spec import RunSpec
from tf_lottery.pruning.masks import Masks
from tf_lottery.pruning.probe import Probe
from tf_lottery.store.store import Store

MODEL, OPTIMIZER = "model/", "optimizer/"
"""Prefixes of the names of stored arrays."""


class Subject(Protocol):
    """The network that a run is started on: a study's trainer, or the network of a search.

    Attributes:
        model: The prunable network, whose layers say which weights lead to which units.
        frozen: The paths of the weights that aren't trained, except statistics of normalization.
    """

    model: keras.Model

    @property
    def frozen(self) -> Sequence[str]: ...

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

    def probe(self, weights: Arrays, examples: int, seed: int) -> Probe:
        """Return a probe of the network's gradients.

        Args:
            weights: All weights of the network, by name.
            examples: The number of training examples that gradients are taken on.
            seed: The seed that draws these examples.
        """


@dataclass(frozen=True)
class Origin:
    """All that the start of a run may look at.

    Attributes:
        spec: The run's spec.
        store: The store that holds the runs that this one builds on.
        subject: The network that will be trained.
        length: The length of the run's training, for rewind points in epochs.
        masks: The run's masks, by kernel path.
    """

    spec: RunSpec
    store: Store
    subject: Subject
    length: Length
    masks: Masks

    def stored(self, arrays: Arrays, prefix: str = MODEL) -> Arrays:
        """Return the stored arrays that have a prefix, under the names that this network uses."""
        return self.subject.named(part(arrays, prefix), prefix)


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


def part(arrays: Arrays, prefix: str) -> Arrays:
    """Return the arrays whose names have a prefix."""
    return {name: value for name, value in arrays.items() if name.startswith(prefix)}
