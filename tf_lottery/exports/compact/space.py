"""Channels that are kept or removed together, and where tensors have them."""

from dataclasses import dataclass, field

import numpy as np

SHARED = "they share channels with "
"""The beginning of the causes that don't say what a channel is used for."""


@dataclass(eq=False)
class Space:
    """Channels that are kept or removed together, in all tensors that have them.

    Attributes:
        size: The number of channels.
        causes: Why channels are needed: the end of a sentence -> a boolean for each channel.
        merged: The space that this one was merged into, before any channel was marked as needed.
    """

    size: int
    causes: dict[str, np.ndarray] = field(default_factory=dict)
    merged: "Space | None" = None

    @property
    def root(self) -> "Space":
        """The space that this one was merged into, or itself."""
        return self if self.merged is None else self.merged.root

    def needed(self, but: str | None = None) -> np.ndarray:
        """Return whether each channel is needed, ignoring causes that begin with `but`."""
        causes = [needed for cause, needed in self.root.causes.items() if not (but and cause.startswith(but))]
        return np.any([np.zeros(self.size, bool), *causes], axis=0)


@dataclass(frozen=True, eq=False)
class ChannelPlace:
    """The channels of a tensor.

    Attributes:
        space: The space of the channels.
        repeat: How often the space is repeated along the last axis: once for each position, after Flatten.
        constant: For each index of the last axis, the value at every position for every input, or NaN if it
            varies.
    """

    space: Space
    repeat: int
    constant: np.ndarray

    @property
    def needed(self) -> np.ndarray:
        """Whether each index of the last axis is needed."""
        return np.tile(self.space.needed(), self.repeat)

    @property
    def kept(self) -> np.ndarray:
        """The indices that are kept: those needed, or the first channel's, since a layer needs a unit."""
        needed = self.space.needed()
        return np.flatnonzero(np.tile(needed if needed.any() else np.arange(len(needed)) == 0, self.repeat))

    def need(self, cause: str, indices: np.ndarray | bool) -> None:
        """Mark indices of the last axis as needed.

        Args:
            cause: Why they are needed, as the end of a sentence.
            indices: A boolean for each index, or one for all.
        """
        by_index = np.broadcast_to(indices, len(self.constant))
        needed = by_index.reshape(self.repeat, self.space.size).any(axis=0)
        causes = self.space.root.causes
        if needed.any():
            causes[cause] = needed | causes.get(cause, False)
