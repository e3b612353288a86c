"""Tickets and their files: masks, rewind weights and provenance, portable and readable with NumPy alone.

A file is an npz archive without pickles:

    header            JSON text: format, version, digest, provenance
    masks/<path>      boolean, True where a weight remains
    weights/<path>    the weights that the ticket starts from; pruned ones are 0.0
    trained/<path>    optional: the weights after training

A path consists of the names of the layers, from the outermost model down, and the variable's name:
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
"""Since version 2 the digest covers the provenance, too. Files of version 1 can still be read."""
_HEADER_BYTES = 16 * 2**20
_GROUPS = ("masks", "weights", "trained")


@dataclass(frozen=True)
class Ticket:
    """A sparse subnetwork together with the weights that it starts from.

    Attributes:
        masks: Kernel path -> boolean array, True where a weight remains.
        weights: Variable path -> array at the rewind point; pruned weights are 0.0.
        trained: Variable path -> array after training; empty if the ticket doesn't include them.
        provenance: Where the ticket comes from: study, round, seed, rewind point, ...

    Examples:
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
        """The fraction of prunable weights that remain."""
        return masks_.density(self.masks)

    @classmethod
    def of(cls, model: "keras.Model", provenance: Mapping[str, Any] | None = None) -> "Ticket":
        """Return a ticket with the masks and the current weights of a prunable model.

        After a training, the current weights are the trained ones: first restore those that the ticket
        should start from (`RewindManager`, `set_weights`).

        Args:
            model: A prunable model, from `make_prunable`.
            provenance: Where the ticket comes from, as plain values that JSON can hold.

        Raises:
            LotteryError: If the model isn't prunable.
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
        """Give a model the ticket's masks and, unless `weights` is None, its weights.

        Arrays are matched by path, or in order where only Keras's numbering of layers differs.
        The optimizer's slots of pruned weights become zero.

        Args:
            model: A built model of the same architecture, plain or prunable.
            weights: `start` applies the weights that the ticket starts from, including everything that isn't
                pruned (biases, normalization). `trained` applies the weights after training, if the ticket
                includes them. None applies masks only; the model keeps its weights (mask transfer).
            partial: Whether parts of the network may differ, such as the output layer on another
                data set (Morcos et al. 2019). They stay unchanged and dense, and a warning names them.

        Returns:
            The prunable model: the given one if it was prunable, otherwise one as from `make_prunable`.

        Raises:
            LotteryError: If the ticket belongs to another architecture, or lacks the weights asked for. The
                model is unchanged then.
        """
        from tf_lottery.layers.ticket import apply_ticket

        return apply_ticket(model, self.masks, self.weights, self.trained, weights, partial)

    def reinitialize(self, seed: int, build: "Callable[[], keras.Model] | None" = None) -> "Ticket":
        """Return a ticket with the same masks and newly drawn weights: the paper's control.

        The whole network is built again, so biases, normalization and everything else that its layers
        draw come from the same distributions as before.

        Args:
            seed: Seed of the draw.
            build: Function that builds the plain network. Not needed if the ticket knows its network, as
                those of studies do, and of searches over models that Keras can serialize.

        Raises:
            LotteryError: If the ticket doesn't know its network and `build` isn't given, or if `build`
                returns another network, or one that draws the same weights again.
        """
        from tf_lottery.models.redraw import redraw_ticket

        weights = redraw_ticket(self.masks, self.weights, self.provenance, seed, build)
        return Ticket(self.masks, weights, {}, {**self.provenance, "reinitialized": seed})

    def compare(self, other: "Ticket") -> Comparison:
        """Return how far two tickets agree: weights kept by both, by chance, Jaccard index, distance.

        Printing the result gives a table.

        Raises:
            LotteryError: If the tickets belong to different architectures.
        """
        if not isinstance(other, Ticket):
            raise LotteryError(f"Expected a Ticket. Received: {type(other).__name__}")
        shapes = [{path: mask.shape for path, mask in ticket.masks.items()} for ticket in (self, other)]
        matches = correspond(*shapes)
        if not matches.complete:
            raise LotteryError(
                f"Expected a ticket of the same architecture. Received: {matches.differences()}"
            )
        other_masks = {path: other.masks[other_path] for path, other_path in matches.pairs.items()}
        return compare_masks(self.masks, other_masks, self._starts_as(other, matches.pairs))

    def _starts_as(self, other: "Ticket", pairs: Mapping[str, str]) -> bool:
        """Return whether the weights that both tickets keep start from the same bits."""
        if any(path not in self.weights or match not in other.weights for path, match in pairs.items()):
            return False  # A ticket with masks only doesn't say what it starts from.
        for path, match in pairs.items():
            both = self.masks[path] & other.masks[match]
            if self.weights[path][both].tobytes() != other.weights[match][both].tobytes():
                return False
        return True

    def save(self, path: str | Path) -> None:
        """Write the ticket to one npz file, atomically.

        Raises:
            LotteryError: If the file can't be written.
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
        """Read a ticket from its file.

        Raises:
            LotteryError: If the file is missing, truncated, changed, not a ticket, or of a later version.
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
            json.dumps(provenance, ensure_ascii=False).encode()  # a lone surrogate raises ValueError
        except (KeyError, ValueError, TypeError, AttributeError, RecursionError) as error:
            raise LotteryError(
                f"Expected a ticket. Received: {path}, an npz file without a ticket's header"
            ) from error
        if header["version"] not in (1, VERSION):
            raise LotteryError(
                f"Expected a ticket of version 1 or {VERSION}. Received: {path}, version "
                f"{header['version']!r:.20}"
            )
        covered = provenance if header["version"] > 1 else None
        if header["digest"] != _digest(contents, covered):
            raise LotteryError(
                f"{path} fails its checksum: it differs from what was written. Use another copy of it."
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
    """Return the sha256 of the arrays, and since version 2 of the provenance, too.

    It detects accidents, not forgery.
    """
    digest = arrays.digest(contents)
    if provenance is None:
        return digest
    return hashlib.sha256((digest + json.dumps(dict(provenance), sort_keys=True)).encode()).hexdigest()


def _check_groups(path: str | Path, masks: Any, weights: Any, trained: Any) -> None:
    """Check that masks are boolean and fit the weights in the same file."""
    for name, mask in masks.items():
        if mask.dtype != bool:
            raise LotteryError(f"Expected boolean masks. Received: {path}, in which {name} is {mask.dtype}")
        for group in (weights, trained):
            if group and (name not in group or group[name].shape != mask.shape):
                other = f"weights of shape {group[name].shape}" if name in group else "no weights"
                raise LotteryError(
                    f"Expected masks that fit the ticket's weights. Received: {path}, in which {name} has "
                    f"a mask of shape {mask.shape} and {other}"
                )
