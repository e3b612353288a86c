"""The ticket file: masks + rewind weights + provenance, portable, readable with NumPy alone.

An npz archive without pickles:

    header            JSON text: format, version, digest, provenance
    masks/<path>      boolean, True where a weight remains
    weights/<path>    the weights that the ticket starts from, pruned ones 0.0
    trained/<path>    optional: the weights after training

A path is the names of the layers from the outermost model down and the variable's name:
`hidden1/kernel`.
"""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from tf_lottery import arrays
from tf_lottery.errors import LotteryError
from tf_lottery.pruning import masks as masks_
from tf_lottery.pruning.compare import Comparison, compare_masks
from tf_lottery.pruning.correspond import correspond

if TYPE_CHECKING:
    import keras

FORMAT = "tf_lottery.ticket"
VERSION = 2
"""Since 2 the provenance is under the digest, too. Files of version 1 are read as before."""
_HEADER_BYTES = 16 * 2**20
_GROUPS = ("masks", "weights", "trained")


@dataclass(frozen=True)
class Ticket:
    """A sparse subnetwork together with the weights that it starts from.

    Attributes:
        masks: kernel path -> boolean array, True where a weight remains.
        weights: variable path -> array at the rewind point, pruned weights 0.0.
        trained: variable path -> array after training; empty if it doesn't travel along.
        provenance: where the ticket comes from: study, round, seed, rewind point, ...

    Example:
        >>> import keras, tf_lottery as lottery
        >>> build = lambda: keras.Sequential([keras.Input((4,)), keras.layers.Dense(5)])
        >>> model = lottery.make_prunable(build())
        >>> lottery.prune(model, rate=0.5)
        >>> ticket = lottery.Ticket.of(model)
        >>> ticket.density
        0.5
        >>> lottery.sparsity(ticket.apply(build()))
        0.5
    """

    masks: Mapping[str, np.ndarray]
    weights: Mapping[str, np.ndarray]
    trained: Mapping[str, np.ndarray] = field(default_factory=dict)
    provenance: Mapping[str, Any] = field(default_factory=dict)

    @property
    def density(self) -> float:
        """Fraction of prunable weights that remain."""
        return masks_.density(self.masks)

    @classmethod
    def of(cls, model: "keras.Model", provenance: Mapping[str, Any] | None = None) -> "Ticket":
        """Return the ticket that a prunable model is: its masks and its present weights.

        Bring the weights that the ticket is to start from back first (`RewindManager`, `set_weights`):
        after a training they are the trained ones.

        Args:
            model: from `make_prunable`.
            provenance: where it comes from; plain values that JSON can hold.

        Raises:
            LotteryError: if the model isn't prunable.
        """
        from tf_lottery.layers.access import get_masks
        from tf_lottery.layers.paths import named_variables

        masks = get_masks(model)
        weights = {path: np.array(variable.numpy()) for path, variable in named_variables(model).items()}
        return cls(masks, weights, {}, dict(provenance or {}))

    def apply(
        self,
        model: "keras.Model",
        weights: Literal["start", "trained"] | None = "start",
        partial: bool = False,
    ) -> "keras.Model":
        """Give a model the ticket's masks, and weights if asked for.

        What corresponds is found by path; where only Keras's numbering of layers differs, in order.
        The optimizer's slots of pruned weights become zero.

        Args:
            model: a built model of the same architecture, plain or prunable.
            weights: `start`: those that the ticket starts from, everything else (biases,
                normalization) included. `trained`: those after training, if they travel along.
                None: masks only; the model keeps its weights (mask transfer).
            partial: whether parts of the network may differ, such as the output layer on another
                data set (Morcos et al. 2019): those stay as they are, dense, and a warning names them.

        Returns:
            The prunable model: the one given if it was prunable, else as of `make_prunable`.

        Raises:
            LotteryError: a ticket of another architecture, or without trained weights; the model isn't
                touched.
        """
        from tf_lottery.layers.ticket import apply_ticket

        return apply_ticket(model, self.masks, self.weights, self.trained, weights, partial)

    def reinitialize(self, seed: int, build: "Callable[[], keras.Model] | None" = None) -> "Ticket":
        """Return the same masks with weights drawn afresh: the control of the paper.

        The whole network is built again, so biases, normalization and whatever its layers draw are
        drawn as they were.

        Args:
            seed: of the draw.
            build: builds the network, plain. Not needed where the ticket knows how: those of studies, and
                of searches over models that Keras can write down.

        Raises:
            LotteryError: the ticket doesn't know its network and `build` isn't given, another
                network, or one that draws the same weights again.
        """
        from tf_lottery.models.redraw import redraw_ticket

        weights = redraw_ticket(self.masks, self.weights, self.provenance, seed, build)
        return Ticket(self.masks, weights, {}, {**self.provenance, "reinitialized": seed})

    def compare(self, other: "Ticket") -> Comparison:
        """Return how far two tickets agree: kept by both, by chance, Jaccard, distance; print it.

        Raises:
            LotteryError: if they are of different architectures.
        """
        if not isinstance(other, Ticket):
            raise LotteryError(f"Expected a Ticket. Received: {type(other).__name__}")
        shapes = [{path: mask.shape for path, mask in ticket.masks.items()} for ticket in (self, other)]
        found = correspond(*shapes)
        if not found.complete:
            raise LotteryError(f"Expected a ticket of the same architecture. Received: {found.differences()}")
        theirs = {path: other.masks[there] for path, there in found.pairs.items()}
        return compare_masks(self.masks, theirs, self._starts_as(other, found.pairs))

    def _starts_as(self, other: "Ticket", pairs: Mapping[str, str]) -> bool:
        """Whether survivors that both keep start from the same bits."""
        if any(path not in self.weights or there not in other.weights for path, there in pairs.items()):
            return False  # masks only: nobody knows
        for path, there in pairs.items():
            both = self.masks[path] & other.masks[there]
            if self.weights[path][both].tobytes() != other.weights[there][both].tobytes():
                return False
        return True

    def save(self, path: str | Path) -> None:
        """Write the ticket to one npz file, atomically.

        Raises:
            LotteryError: if the file can't be written.
        """
        contents = {
            f"{group}/{name}": array for group in _GROUPS for name, array in getattr(self, group).items()
        }
        header = {
            "format": FORMAT,
            "version": VERSION,
            "digest": _digest(contents, self.provenance),
            "provenance": dict(self.provenance),
        }
        arrays.save(Path(path), contents | {"header": np.array(json.dumps(header))}, compress=True)

    @classmethod
    def load(cls, path: str | Path) -> "Ticket":
        """Read a ticket.

        Raises:
            LotteryError: missing, truncated, changed, not a ticket, or of a later version.
        """
        contents = arrays.load(Path(path))
        try:
            text = contents.pop("header")
            header = json.loads(str(text)) if text.nbytes < _HEADER_BYTES else {}
            if header["format"] != FORMAT or not {"version", "digest", "provenance"} <= header.keys():
                raise ValueError
            provenance = header["provenance"]
            if not isinstance(provenance, dict):
                raise TypeError
            json.dumps(provenance, ensure_ascii=False).encode()  # ValueError for half of a character
        except (KeyError, ValueError, TypeError, AttributeError, RecursionError) as error:
            raise LotteryError(
                f"Expected a ticket. Received: {path}, an npz file without its header"
            ) from error
        if header["version"] not in (1, VERSION):
            raise LotteryError(
                f"Expected a ticket of version 1 or {VERSION}. Received: {path}, version "
                f"{header['version']!r:.20}"
            )
        covered = provenance if header["version"] > 1 else None
        if header["digest"] != _digest(contents, covered):
            raise LotteryError(
                f"Expected {path} as it was written. Received: other contents (digest differs)"
            )
        groups = {
            group: {
                name.removeprefix(f"{group}/"): array
                for name, array in contents.items()
                if name.startswith(f"{group}/")
            }
            for group in _GROUPS
        }
        _check_groups(path, **groups)
        return cls(**groups, provenance=provenance)


def _digest(contents: Mapping[str, np.ndarray], provenance: Mapping[str, Any] | None) -> str:
    """sha256 of the arrays, and since version 2 of the provenance. It tells accidents, not forgers."""
    found = arrays.digest(contents)
    if provenance is None:
        return found
    return hashlib.sha256((found + json.dumps(dict(provenance), sort_keys=True)).encode()).hexdigest()


def _check_groups(path: str | Path, masks: Any, weights: Any, trained: Any) -> None:
    """Check that masks are masks, and of the weights that lie beside them."""
    for name, mask in masks.items():
        if mask.dtype != bool:
            raise LotteryError(f"Expected masks of booleans. Received: {path}, with {name} of {mask.dtype}")
        for group in (weights, trained):
            if group and (name not in group or group[name].shape != mask.shape):
                raise LotteryError(
                    f"Expected masks of the weights that lie beside them. Received: {path}, with {name} of "
                    f"shape {mask.shape}, {'of which there is no weight' if name not in group else 'another'}"
                )
