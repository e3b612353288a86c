"""Data sets by name. A further one is a function and a line in `SOURCES`."""

from collections.abc import Callable

from tf_lottery.config import DataConfig
from tf_lottery.data import cifar10, digits, fashion_mnist, mnist, npz
from tf_lottery.data.examples import Examples
from tf_lottery.errors import LotteryError

SOURCES: dict[str, Callable[[DataConfig], Examples]] = {
    "cifar10": lambda config: cifar10.load(),
    "digits": lambda config: digits.load(),
    "fashion_mnist": lambda config: fashion_mnist.load(),
    "mnist": lambda config: mnist.load(),
    "npz": lambda config: npz.load(config.path),
}

OWN = ("npz",)
"""The user's own files, whose contents can change under the same name."""


def load(config: DataConfig) -> Examples:
    """Return the examples that a config names.

    Raises:
        LotteryError: an unknown name, data that can't be had, or contents that aren't
            those that `config.digest` names.
    """
    if config.name not in SOURCES:
        raise LotteryError(f"Expected data.name as one of {', '.join(SOURCES)}. Received: {config.name!r}")
    examples = SOURCES[config.name](config)
    if config.digest and config.digest != examples.digest:
        raise LotteryError(
            f"Expected the data that the study began with (data.digest {config.digest[:16]}...). "
            f"Received: other contents from {examples.source}. Use --output for a study of its own."
        )
    return examples
