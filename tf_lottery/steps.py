"""Steps of training, written `5000it` (iterations) or `2ep` (epochs).

An epoch is floor(examples / batch size) steps: what doesn't fill a batch is dropped.
Rewind points, evaluation and the length of a run all go through here, so they agree.
"""

import re

from tf_lottery.errors import LotteryError

MOST = 10_000_000
"""Ten times what the largest studies train."""

NEVER = "never"

_PATTERN = re.compile(r"(\d{1,9})(it|ep)", re.ASCII)
_SECONDS = re.compile(r"(\d{1,6}(?:\.\d{1,3})?)s", re.ASCII)


def validate(text: str) -> str:
    """Return `text` if it is written as steps.

    Raises:
        LotteryError: if it isn't.
    """
    if not isinstance(text, str) or not _PATTERN.fullmatch(text):
        raise LotteryError(
            f"Expected steps such as '5000it' (iterations) or '2ep' (epochs). Received: {text!r}"
        )
    return text


def validate_positive(text: str) -> str:
    """Return `text` if it is written as steps and isn't zero.

    Raises:
        LotteryError: if it isn't.
    """
    if not int(_PATTERN.fullmatch(validate(text)).group(1)):
        raise LotteryError(f"Expected at least one step, such as '100it'. Received: {text!r}")
    return text


def validate_interval(text: str) -> str:
    """Return `text` if it says how often: `60s` (seconds), steps, or `never`.

    Raises:
        LotteryError: if it doesn't.
    """
    if text == NEVER or (isinstance(text, str) and _SECONDS.fullmatch(text) and seconds(text)):
        return text
    if not isinstance(text, str) or not _PATTERN.fullmatch(text) or not int(text[:-2]):
        raise LotteryError(f"Expected '60s' (seconds), '500it', '2ep' or 'never'. Received: {text!r}")
    return text


def seconds(interval: str) -> float | None:
    """Return the seconds of an interval that is written in seconds, None for another."""
    found = _SECONDS.fullmatch(interval)
    return float(found.group(1)) if found else None


def epoch(examples: int, batch_size: int) -> int:
    """Steps in one epoch.

    Raises:
        LotteryError: if the examples don't fill one batch.
    """
    if examples < batch_size:
        raise LotteryError(
            f"Expected at least one batch of training examples. Received: {examples} examples, "
            f"training.batch_size {batch_size}. Make the batch smaller."
        )
    return examples // batch_size


def iterations(text: str, steps_per_epoch: int) -> int:
    """Return the number of training iterations that `text` stands for."""
    number, unit = _PATTERN.fullmatch(validate(text)).groups()
    found = int(number) * (steps_per_epoch if unit == "ep" else 1)
    if found > MOST:
        raise LotteryError(f"Expected at most {MOST:,} steps. Received: {text}, which is {found:,}")
    return found
