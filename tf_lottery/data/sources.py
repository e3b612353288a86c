"""Data sets by name. To add one, write a function and add a line to `SOURCES`."""

from collections.abc import Callable

from tf_lottery.config import DataConfig
from tf_lottery.data import cifar10, digits, fashion_mnist, mnist, npz
from tf_lottery.data import load as load_
from tf_lottery.data.examples import Examples
from tf_lottery.errors import LotteryError

SOURCES: dict[str, Callable[[DataConfig], Examples]] = {
    "cifar10": lambda config: cifar10.load(),
    "digits": lambda config: digits.load(),
    "fashion_mnist": lambda config: fashion_mnist.load(),
    "mnist": lambda config: mnist.load(),
    "npz": lambda config: npz.load(config.path),
    "load": lambda config: load_.load(config.load),
}

OWN = ("npz", "load")
"""The sources of the user's own data, whose contents can change under the same name."""


def load(config: DataConfig) -> Examples:
    """Return the examples that a config names.

    Args:
        config: The study's data settings.

    Raises:
        LotteryError: If the name is unknown, the data isn't available, or its digest isn't
            `config.digest`.
    """
    if config.name not in SOURCES:
        raise LotteryError(f"Expected data.name as one of {', '.join(SOURCES)}. Received: {config.name!r}")
    examples = SOURCES[config.name](config)
    if config.digest and config.digest != examples.digest:
        again = "The function must return the same arrays each time. " if config.load else ""
        raise LotteryError(
            f"The data from {examples.source} differs from the data that the study started with "
            f"(data.digest {config.digest[:16]}...). {again}Use --output for a study of its own."
        )
    return examples
