"""Examples -> training, validation and test sets, as the network takes them."""

from dataclasses import dataclass

import numpy as np

from tf_lottery import seeding
from tf_lottery.config import DataConfig
from tf_lottery.data.examples import Examples
from tf_lottery.errors import LotteryError


@dataclass(frozen=True)
class Split:
    """One part: `x` float32, examples first; `y` int32 labels."""

    x: np.ndarray
    y: np.ndarray

    def __len__(self) -> int:
        return len(self.y)


@dataclass(frozen=True)
class Dataset:
    """A study's data, the same for all its replicates.

    Attributes:
        train: what is trained on.
        validation: what early stop and every choice is read from.
        test: what is reported and chooses nothing.
        classes: number of classes.
    """

    train: Split
    validation: Split
    test: Split
    classes: int

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Shape of one example; images have a channel axis."""
        return self.train.x.shape[1:]


def split(examples: Examples, config: DataConfig) -> Dataset:
    """Hold out the validation examples and scale the inputs.

    `uint8` inputs are divided by 255; images without channels (two dimensions an
    example) get one. Which examples are held out follows from `config.split_seed` alone.

    Raises:
        LotteryError: if validation leaves nothing to train on.
    """
    count = len(examples.y_train)
    if config.validation >= count:
        raise LotteryError(
            f"Expected data.validation below the {count} training examples. Received: {config.validation}"
        )
    seed = seeding.derive(config.split_seed, 0, "split")
    order = np.random.default_rng(seed).permutation(count)
    # Sorted, so that the order of training depends on the order's own seed only.
    held_out, kept = np.sort(order[: config.validation]), np.sort(order[config.validation :])
    return Dataset(
        train=Split(_inputs(examples.x_train[kept]), _labels(examples.y_train[kept])),
        validation=Split(_inputs(examples.x_train[held_out]), _labels(examples.y_train[held_out])),
        test=Split(_inputs(examples.x_test), _labels(examples.y_test)),
        classes=int(examples.y_train.max()) + 1,
    )


def _inputs(x: np.ndarray) -> np.ndarray:
    scaled = x.astype(np.float32)
    if x.dtype == np.uint8:
        scaled /= 255
    return scaled[..., np.newaxis] if x.ndim == 3 else scaled


def _labels(y: np.ndarray) -> np.ndarray:
    return y.astype(np.int32)
