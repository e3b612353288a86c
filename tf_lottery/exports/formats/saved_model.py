"""Writing SavedModels, dense or packed. TensorFlow alone can load them."""

from pathlib import Path

import keras
import tensorflow as tf

from tf_lottery.errors import LotteryError
from tf_lottery.exports.formats.fits import tables_of
from tf_lottery.exports.formats.packed_variable import PackedVariable
from tf_lottery.exports.formats.packing import pack
from tf_lottery.exports.formats.warmup import warmup_requests
from tf_lottery.exports.recurrent import from_initial_state, states_of
from tf_lottery.exports.source import Source

SIGNATURE = "serving_default"
OVERHEAD = 9_000
"""Bytes that the functions of a packed variable take in the graph. Packing must save more than that."""
WARMUP = "tf_serving_warmup_requests"
"""The file name that TensorFlow Serving looks for in `assets.extra`."""


def write_dense(source: Source, path: Path) -> None:
    """Write a SavedModel that holds every variable once. (Keras's `export` writes each twice.)"""
    module = tf.Module()
    kept = [*source.model.variables, *states_of(source.model)]
    module.variables_kept = [variable._value for variable in kept]
    _save(module, source, path)


def write_packed(source: Source, path: Path) -> None:
    """Write a SavedModel that stores sparse variables as their surviving values and positions.

    They are made dense once, when the model is loaded, bit for bit.
    """
    module = tf.Module()
    kept, packed_as = [], {}
    for number, variable in enumerate(source.model.variables):
        value = variable.numpy() if variable.dtype in ("float32", "float16", "float64") else None
        packed = None if value is None else pack(value)
        if packed is None or value.nbytes - packed.nbytes < OVERHEAD:
            kept.append(variable._value)
        else:
            packed_as[id(variable)] = PackedVariable(packed, f"{number}/{variable.path}")
    module.variables_kept = kept + [state._value for state in states_of(source.model)]
    if packed_as:
        module.packed = list(packed_as.values())
        module.parts = [part for each in module.packed for part in each.parts]
    _save(module, source, path, _Unpacked(packed_as))


class _Unpacked(keras.StatelessScope):
    """A scope in which packed variables are read from their dense form, and all others as usual."""

    def __init__(self, packed_as: dict[int, PackedVariable]):
        super().__init__(initialize_variables=False)
        self._packed_as = packed_as

    def get_current_value(self, variable: keras.Variable):
        """Return the value to read for a packed variable; None for any other, which is read as usual."""
        packed = self._packed_as.get(id(variable))
        return super().get_current_value(variable) if packed is None else packed.read()

    def add_update(self, update: tuple) -> None:
        """Assign a state at once, since a scope of Keras would drop the update."""
        variable, value = update
        if id(variable) in self._packed_as:
            raise LotteryError(
                f"{variable.path} can't be packed, since each call assigns to it. Use weights='dense'."
            )
        variable._direct_assign(value)


def _save(module: tf.Module, source: Source, path: Path, scope: _Unpacked | None = None) -> None:
    specs = list(source.signature.values())
    names = list(source.signature)
    table = tf.constant(source.classes) if source.classes else None

    def serve(*tensors):
        given = dict(zip(names, tensors, strict=True))
        if scope is None:
            outputs = source.function.python_function(**given)
        else:
            with scope:
                outputs = source.function.python_function(**given)
        if table is not None:
            classes = tf.argmax(next(iter(outputs.values())), -1)
            outputs |= {"classes": classes, "labels": tf.gather(table, classes)}
        return outputs

    module.serve = tf.function(serve, input_signature=specs, autograph=False)
    module.tables = tables_of(source)
    try:
        with from_initial_state(source.model):
            tf.saved_model.save(module, str(path), signatures={SIGNATURE: module.serve})
    except AssertionError as error:  # a variable or table that no layer holds as an attribute
        raise LotteryError(
            f"{source.model.name!r} reads a variable or table that no layer holds as an attribute. "
            f"Make it an attribute of its layer. TensorFlow says: {' '.join(str(error).split())[:120]}"
        ) from error
    if source.warmup:
        extra = path / "assets.extra"
        extra.mkdir()
        with tf.io.TFRecordWriter(str(extra / WARMUP)) as writer:
            for request in warmup_requests(source.examples, SIGNATURE):
                writer.write(request)
