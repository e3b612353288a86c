"""Splitting examples into training, validation and test sets."""

from dataclasses import dataclass

import numpy as np

from tf_lottery import seeding
from tf_lottery.config import DataConfig
from tf_lottery.data.examples import Examples
from tf_lottery.errors import LotteryError

PIXEL = np.float32(1 / 255)
"""The factor that `uint8` inputs are multiplied by. XLA would turn a division into a product, and
the bits must not depend on what does the scaling."""


@dataclass(frozen=True)
class Split:
    """One part of the data, as its source provides it: bytes stay bytes until they are used.

    Attributes:
        source: Inputs, examples first: `uint8` pixels or other numbers. They may be a file
            that is mapped into memory.
        y: int32 labels, one for each example of this part.
        rows: Indices of the examples of `source` that belong to this part, in order. None for all.
    """

    source: np.ndarray
    y: np.ndarray
    rows: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.y)

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one example; images have a channel axis."""
        return self.source.shape[1:]

    @property
    def bytes_an_example(self) -> int:
        """The bytes that one example takes as it is stored."""
        return int(np.prod(self.shape)) * self.source.dtype.itemsize

    @property
    def mapped(self) -> bool:
        """Whether the inputs lie in a file that is mapped into memory."""
        return isinstance(self.source, np.memmap)

    def take(self, indices: np.ndarray | slice) -> np.ndarray:
        """Return some examples as the source provides them."""
        return np.asarray(self.source[indices if self.rows is None else self.rows[indices]])

    @property
    def x(self) -> np.ndarray:
        """All inputs as the network takes them: float32, `uint8` scaled to [0, 1]."""
        raw = self.take(slice(None))
        return raw * PIXEL if raw.dtype == np.uint8 else raw.astype(np.float32)


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


def split(examples: Examples, config: DataConfig) -> Dataset:
    """Split examples into training, validation and test sets.

    Images without channels (two dimensions an example) get one. The seed `config.split_seed`
    alone determines which examples are held out for validation.

    Args:
        examples: The examples to split.
        config: The study's data settings.

    Raises:
        LotteryError: If the validation set leaves nothing to train on.
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
    return Dataset(
        train=Split(x, y[kept], kept),
        validation=Split(x, y[held_out], held_out),
        test=Split(_inputs(examples.x_test), examples.y_test.astype(np.int32)),
        classes=int(y.max()) + 1,
    )


def _inputs(x: np.ndarray) -> np.ndarray:
    if x.dtype != np.uint8 and not isinstance(x, np.memmap):
        x = x.astype(np.float32, copy=False)
    return x[..., np.newaxis] if x.ndim == 3 else x
