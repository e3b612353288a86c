"""Checks for what only a SavedModel can hold, so that a clear message comes before a converter's own."""

import tensorflow as tf

from tf_lottery.errors import LotteryError
from tf_lottery.exports.entry import token_inputs
from tf_lottery.exports.recurrent import recurrent, states_of
from tf_lottery.exports.source import Source


def tables_of(source: Source) -> list[tf.saved_model.experimental.TrackableResource]:
    """Return the lookup tables of the model's layers."""
    resource = tf.saved_model.experimental.TrackableResource
    trackables = tf.train.TrackableView(source.model).descendants()
    return [each for each in trackables if isinstance(each, resource)]


def check_fits(source: Source, what: str) -> None:
    """Check that a file for a runtime, as written here, can hold the model.

    Args:
        source: What is exported.
        what: The name of the runtime.

    Raises:
        LotteryError: If the model takes strings, or keeps a state between calls.
    """
    strings = [name for name, spec in source.signature.items() if spec.dtype == tf.string]
    if strings:
        raise LotteryError(
            f"{what} can't take strings, as the input {', '.join(map(repr, strings))} does. "
            "Use a SavedModel, or look words up outside of the model."
        )
    if states_of(source.model):
        names = [repr(layer.name) for layer in recurrent(source.model) if layer.stateful]
        raise LotteryError(
            f"{what} can't keep a state between calls, as {', '.join(names)} in {source.model.name!r} does. "
            "Use a SavedModel, or build the model with stateful=False."
        )


def why_lost(source: Source, name: str) -> str:
    """Return why an 8-bit export differs from its source, to append to a message; "" if that isn't known."""
    tokens = token_inputs(source.plain)
    floats = [
        key
        for number, (key, spec) in enumerate(source.signature.items())
        if number in tokens and spec.dtype.is_floating
    ]
    if not floats or not name.startswith("litert int8"):
        return ""
    return (
        f". Its input {floats[0]!r} is an index into an Embedding, declared as a float: int8 rounds it "
        "to one of 256 values, so that wrong rows are looked up. "
        "Use weights 'dynamic', which leaves inputs as they are"
    )


def conversion_error(source: Source, what: str, error: Exception) -> LotteryError:
    """Return the error to raise when a converter fails, with the cause if it is known."""
    if tables_of(source):
        return LotteryError(
            f"{what} can't hold the table in which {source.model.name!r} looks numbers up. "
            "Use a SavedModel, or look them up outside of the model."
        )
    text = " ".join(str(error).split())
    return LotteryError(
        f"{what} can't convert an operation of {source.model.name!r}. Choose another format. The cause: "
        f"{text if len(text) <= 200 else text[:200].rpartition(' ')[0] + ' ...'}"
    )
