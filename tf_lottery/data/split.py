"""Splitting examples into training, validation and test sets."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from tf_lottery import seeding
from tf_lottery.config import DataConfig
from tf_lottery.data.examples import Examples
from tf_lottery.data.standardize import Standardization
from tf_lottery.errors import LotteryError

PIXEL = np.float32(1 / 255)
"""The factor that `uint8` inputs are multiplied by. XLA would turn a division into a product, and
the bits must not depend on what does the scaling."""
PART_BYTES = 32 * 2**20
"""The bytes of float64 that are standardized at once."""


@dataclass(frozen=True)
class Split:
    """One part of the data, as its source provides it: bytes stay bytes until they are used or standardized.

    Attributes:
        source: Inputs, examples first: `uint8` pixels or other numbers. They may be a file
            that is mapped into memory.
        y: int32 labels, one for each example of this part.
        rows: Indices of the examples of `source` that belong to this part, in order. None for all.
        standardization: What the inputs are standardized with when they are taken. None to leave them.
    """

    source: np.ndarray
    y: np.ndarray
    rows: np.ndarray | None = None
    standardization: Standardization | None = None

    def __len__(self) -> int:
        return len(self.y)

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one example; images have a channel axis."""
        return self.source.shape[1:]

    @property
    def dtype(self) -> np.dtype:
        """The type of the inputs that `take` returns."""
        return np.dtype(np.float32) if self.standardization else self.source.dtype

    @property
    def bytes_an_example(self) -> int:
        """The bytes that one example takes as `take` returns it."""
        return int(np.prod(self.shape)) * self.dtype.itemsize

    @property
    def mapped(self) -> bool:
        """Whether the inputs lie in a file that is mapped into memory."""
        return isinstance(self.source, np.memmap)

    def take(self, indices: np.ndarray | slice) -> np.ndarray:
        """Return some examples as the source provides them, or standardized, if the data is."""
        if self.standardization is None:
            return np.asarray(self.source[indices if self.rows is None else self.rows[indices]])
        chosen = (np.arange(len(self)) if self.rows is None else self.rows)[indices]
        taken = np.empty((chosen.size, *self.shape), np.float32)
        for part, raw in _parts(self.source, chosen.reshape(-1)):
            taken[part] = self.standardization.apply(_scaled(raw))
        return taken.reshape(*chosen.shape, *self.shape)

    @property
    def x(self) -> np.ndarray:
        """All inputs as the network takes them: float32, `uint8` scaled to [0, 1], perhaps standardized."""
        return _scaled(self.take(slice(None)))


@dataclass(frozen=True)
class Dataset:
    """A study's data, the same for all its replicates.

    Attributes:
        train: The examples that networks are trained on.
        validation: The examples that determine early stop and every choice.
        test: The examples whose results are reported; they determine no choice.
        classes: The number of classes.
    """

    train: Split
    validation: Split
    test: Split
    classes: int

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Shape of one example; images have a channel axis."""
        return self.train.shape

    @property
    def standardized(self) -> dict[str, list[float]] | None:
        """The `mean` and `deviation` that all inputs are standardized with, None if they aren't."""
        standardization = self.train.standardization
        return standardization.numbers() if standardization else None


def split(examples: Examples, config: DataConfig) -> Dataset:
    """Split examples into training, validation and test sets.

    Images without channels (two dimensions an example) get one. The seed `config.split_seed`
    alone determines which examples are held out for validation, and which share of the others is kept. The
    mean and the deviation that `config.standardize` asks for are those of all examples that aren't held out,
    whatever the share, so that a search on a share of them standardizes as its final runs do.

    Args:
        examples: The examples to split.
        config: The study's data settings.

    Raises:
        LotteryError: If the validation set or the share leaves nothing to train on.
    """
    count = len(examples.y_train)
    if config.validation >= count:
        raise LotteryError(
            f"Expected data.validation below the {count} training examples. Received: {config.validation}"
        )
    seed = seeding.derive(config.split_seed, 0, "split")
    order = np.random.default_rng(seed).permutation(count)
    # Sorted, so that the order of training depends on its own seed only.
    held_out, kept = np.sort(order[: config.validation]), np.sort(order[config.validation :])
    x, y = _inputs(examples.x_train), examples.y_train.astype(np.int32)
    numbers = _numbers(x, kept) if config.standardize else None
    if config.share < 1:
        kept = _share(kept, config)
    return Dataset(
        train=Split(x, y[kept], kept, numbers),
        validation=Split(x, y[held_out], held_out, numbers),
        test=Split(_inputs(examples.x_test), examples.y_test.astype(np.int32), standardization=numbers),
        classes=int(y.max()) + 1,
    )


def _share(kept: np.ndarray, config: DataConfig) -> np.ndarray:
    count = round(config.share * len(kept))
    if not count:
        raise LotteryError(
            f"Expected data.share of the {len(kept)} training examples to be at least one of them. "
            f"Received: {config.share}"
        )
    seed = seeding.derive(config.split_seed, 0, "share")
    return np.sort(np.random.default_rng(seed).permutation(kept)[:count])


def _numbers(source: np.ndarray, rows: np.ndarray) -> Standardization:
    return Standardization.of(_scaled(raw) for _, raw in _parts(source, rows))


def _parts(source: np.ndarray, rows: np.ndarray) -> Iterator[tuple[slice, np.ndarray]]:
    """Yield some examples of a source in parts, each with its place. Their sizes depend on the shape only."""
    count = max(1, PART_BYTES // (8 * int(np.prod(source.shape[1:]))))
    for first in range(0, len(rows), count):
        part = slice(first, min(first + count, len(rows)))
        yield part, np.asarray(source[rows[part]])


def _scaled(raw: np.ndarray) -> np.ndarray:
    """Return inputs as the network takes them if they aren't standardized: float32, pixels from 0 to 1."""
    return raw * PIXEL if raw.dtype == np.uint8 else raw.astype(np.float32)


def _inputs(x: np.ndarray) -> np.ndarray:
    if x.dtype != np.uint8 and not isinstance(x, np.memmap):
        x = x.astype(np.float32, copy=False)
    return x[..., np.newaxis] if x.ndim == 3 else x
