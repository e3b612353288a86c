"""The ticket file: masks + rewind weights + provenance, portable, readable with NumPy alone.

An npz archive without pickles:

    header            JSON text: format, version, digest, provenance
    masks/<path>      boolean, True where a weight remains
    weights/<path>    the weights that the ticket starts from, pruned ones 0.0
    trained/<path>    optional: the weights after training

A path is the names of the layers from the outermost model down and the variable's name:
`hidden1/kernel`.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from tf_lottery import arrays
from tf_lottery.errors import LotteryError
from tf_lottery.pruning import masks as masks_

FORMAT = "tf_lottery.ticket"
VERSION = 1
_GROUPS = ("masks", "weights", "trained")


@dataclass(frozen=True)
class Ticket:
    """A sparse subnetwork together with the weights that it starts from.

    Attributes:
        masks: kernel path -> boolean array, True where a weight remains.
        weights: variable path -> array at the rewind point, pruned weights 0.0.
        trained: variable path -> array after training; empty if it doesn't travel along.
        provenance: where the ticket comes from: study, round, seed, rewind point, ...
    """

    masks: Mapping[str, np.ndarray]
    weights: Mapping[str, np.ndarray]
    trained: Mapping[str, np.ndarray] = field(default_factory=dict)
    provenance: Mapping[str, Any] = field(default_factory=dict)

    @property
    def density(self) -> float:
        """Fraction of prunable weights that remain."""
        return masks_.density(self.masks)

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
            "digest": arrays.digest(contents),
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
            header = json.loads(str(contents.pop("header")))
            if header["format"] != FORMAT or not {"version", "digest", "provenance"} <= header.keys():
                raise ValueError
        except (KeyError, ValueError, TypeError) as error:
            raise LotteryError(
                f"Expected a ticket. Received: {path}, an npz file without its header"
            ) from error
        if header["version"] != VERSION:
            raise LotteryError(
                f"Expected a ticket of version {VERSION}. Received: {path}, version {header['version']}"
            )
        if header["digest"] != arrays.digest(contents):
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
        return cls(**groups, provenance=header["provenance"])
