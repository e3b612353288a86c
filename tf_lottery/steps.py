"""Steps of training, written `5000it` (iterations) or `2ep` (epochs).

An epoch is floor(examples / batch size) steps: examples that don't fill a batch are dropped.
Rewind points, evaluation and the length of a run are all computed here, so that they agree.
"""

import re

from tf_lottery.errors import LotteryError

MOST = 10_000_000
"""The most steps that a text may stand for: ten times as many as the largest studies train."""

NEVER = "never"
END = "end"

_PATTERN = re.compile(r"(\d{1,9})(it|ep)", re.ASCII)
_SECONDS = re.compile(r"(\d{1,6}(?:\.\d{1,3})?)s", re.ASCII)


def validate(text: str) -> str:
    """Return `text` if it is written as steps.

    Raises:
        LotteryError: If it isn't.
    """
    if not isinstance(text, str) or not _PATTERN.fullmatch(text):
        raise LotteryError(
            f"Expected steps such as '5000it' (iterations) or '2ep' (epochs). Received: {text!r}"
        )
    return text


def validate_positive(text: str) -> str:
    """Return `text` if it is written as steps and isn't zero.

    Raises:
        LotteryError: If it isn't written as steps, or is zero.
    """
    if not int(_PATTERN.fullmatch(validate(text)).group(1)):
        raise LotteryError(f"Expected at least one step, such as '100it'. Received: {text!r}")
    return text


def validate_point(text: str) -> str:
    """Return `text` if it is written as a point of a training: steps, or `end`.

    Raises:
        LotteryError: If it isn't.
    """
    return text if text == END else validate(text)


def validate_interval(text: str) -> str:
    """Return `text` if it is written as an interval: `60s` (seconds), steps, or `never`.

    Raises:
        LotteryError: If it isn't, or is zero.
    """
    if text == NEVER or (isinstance(text, str) and _SECONDS.fullmatch(text) and seconds(text)):
        return text
    if not isinstance(text, str) or not _PATTERN.fullmatch(text) or not int(text[:-2]):
        raise LotteryError(f"Expected '60s' (seconds), '500it', '2ep' or 'never'. Received: {text!r}")
    return text


def seconds(interval: str) -> float | None:
    """Return the number of seconds of an interval such as `60s`, None if it isn't written in seconds."""
    match = _SECONDS.fullmatch(interval)
    return float(match.group(1)) if match else None


def epoch(examples: int, batch_size: int) -> int:
    """Return the number of steps in one epoch.

    Args:
        examples: The number of training examples.
        batch_size: The number of examples in a batch.

    Raises:
        LotteryError: If the examples don't fill one batch.
    """
    if examples < batch_size:
        raise LotteryError(
            f"Expected at least one batch of training examples. Received: {examples} examples, "
            f"training.batch_size {batch_size}. Make the batch smaller."
        )
    return examples // batch_size


def iterations(text: str, steps_per_epoch: int) -> int:
    """Return the number of training iterations that `text` stands for.

    Raises:
        LotteryError: If `text` isn't written as steps, or stands for more than `MOST`.
    """
    number, unit = _PATTERN.fullmatch(validate(text)).groups()
    count = int(number) * (steps_per_epoch if unit == "ep" else 1)
    if count > MOST:
        raise LotteryError(f"Expected at most {MOST:,} steps. Received: {text}, which is {count:,}")
    return count
