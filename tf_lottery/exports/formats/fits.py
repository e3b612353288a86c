"""What only a SavedModel can hold of a model, said before a converter says it in its own words."""

import tensorflow as tf

from tf_lottery.errors import LotteryError
from tf_lottery.exports.entry import token_inputs
from tf_lottery.exports.recurrent import recurrent, states_of
from tf_lottery.exports.source import Source


def tables_of(source: Source) -> list[tf.saved_model.experimental.TrackableResource]:
    """Return the tables that layers look words and numbers up in."""
    resource = tf.saved_model.experimental.TrackableResource
    below = tf.train.TrackableView(source.model).descendants()
    return [each for each in below if isinstance(each, resource)]


def check_fits(source: Source, what: str) -> None:
    """Refuse a model that a runtime's files, as we write them, can't hold.

    Args:
        source: of the export.
        what: the runtime.

    Raises:
        LotteryError: strings as inputs, state from call to call.
    """
    words = [name for name, spec in source.signature.items() if spec.dtype == tf.string]
    if words:
        raise LotteryError(
            f"Expected inputs of numbers for {what}. Received: {', '.join(map(repr, words))} of strings. "
            "A SavedModel takes them; or look words up outside of the model."
        )
    if states_of(source.model):
        names = [repr(layer.name) for layer in recurrent(source.model) if layer.stateful]
        raise LotteryError(
            f"Expected a model without state from call to call for {what}. Received: {source.model.name!r}, "
            f"whose {', '.join(names)} is stateful. A SavedModel keeps it; or build it with stateful=False."
        )


def why_lost(source: Source, name: str) -> str:
    """Return why an export of 8 bits answers otherwise, to add to what is said; nothing if unknown."""
    tokens = token_inputs(source.plain)
    floats = [
        key
        for number, (key, spec) in enumerate(source.signature.items())
        if number in tokens and spec.dtype.is_floating
    ]
    if not floats or not name.startswith("litert int8"):
        return ""
    return (
        f". Its input {floats[0]!r} is an index into an Embedding, declared as a float: int8 has 256 steps "
        "for all of them, so others are looked up. Use weights 'dynamic', whose inputs stay as they are"
    )


def refused(source: Source, what: str, error: Exception) -> LotteryError:
    """Return what to say of a converter's failure: the cause, where it is known."""
    if tables_of(source):
        return LotteryError(
            f"Expected a model without tables for {what}. Received: {source.model.name!r}, which looks "
            "numbers up in one. A SavedModel holds it; or look them up outside of the model."
        )
    said = " ".join(str(error).split())
    return LotteryError(
        f"Expected operations that {what} has. Received: {source.model.name!r}, of which it says: "
        f"{said if len(said) <= 200 else said[:200].rpartition(' ')[0] + ' ...'}"
    )
