"""Packing a sparse array as its surviving values and their positions, in the smaller of two codings."""

from dataclasses import dataclass

import numpy as np

SKIP = 255
"""A gap that stands for 255 zeros and no value."""


@dataclass(frozen=True)
class Packed:
    """A packed array.

    Attributes:
        shape: The shape of the array.
        values: The values that aren't 0.0, in C order.
        coding: `bitmask` (a bit a weight) or `gaps` (a byte a value, and one for each 255 zeros).
        positions: The encoded positions, as uint8.
    """

    shape: tuple[int, ...]
    values: np.ndarray
    coding: str
    positions: np.ndarray

    @property
    def nbytes(self) -> int:
        """The bytes of values and positions together."""
        return self.values.nbytes + self.positions.nbytes


def pack(array: np.ndarray) -> Packed | None:
    """Return an array in packed form, or None if that isn't smaller.

    Args:
        array: An array of numbers. -0.0, which a negative weight times a mask gives, counts as 0.0.
    """
    flat = np.ascontiguousarray(array).ravel()
    indices = np.flatnonzero(flat)
    codings = {"bitmask": np.packbits(flat != 0), "gaps": _gaps(indices)}
    coding = min(codings, key=lambda name: codings[name].nbytes)
    packed = Packed(array.shape, flat[indices], coding, codings[coding])
    return packed if packed.nbytes < array.nbytes else None


def unpack(packed: Packed) -> np.ndarray:
    """Return the array, bit for bit except for -0.0."""
    size = int(np.prod(packed.shape))
    flat = np.zeros(size, packed.values.dtype)
    if packed.coding == "bitmask":
        indices = np.flatnonzero(np.unpackbits(packed.positions, count=size))
    else:
        gaps = packed.positions
        indices = (np.cumsum(gaps, dtype=np.int64) - 1)[gaps < SKIP]
    flat[indices] = packed.values
    return flat.reshape(packed.shape)


def _gaps(indices: np.ndarray) -> np.ndarray:
    """Return each value's distance from the previous one as a byte, after a SKIP for each 255 of it."""
    distances = np.diff(indices, prepend=-1)
    skips, rest = np.divmod(distances, SKIP)
    # A distance is at least 1, so a rest of 0 means that it is a multiple of SKIP.
    ends = np.cumsum(skips + 1) - 1
    coded = np.full(int(ends[-1]) + 1 if len(ends) else 0, SKIP, np.uint8)
    coded[ends] = rest
    return coded
