"""What is exported: a trained plain model, how it is called, and the examples that it is checked on."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tf_lottery.data.split import PIXEL
from tf_lottery.errors import LotteryError
from tf_lottery.exports.cost import unknown_kernels
from tf_lottery.exports.entry import scales_itself
from tf_lottery.exports.examples import also_called, array_of, drawn, named
from tf_lottery.exports.recurrent import fixed_batch, from_initial_state
from tf_lottery.exports.signature import BATCH, Inputs, Signature, function_of, in_batches, signature_of
from tf_lottery.layers.copying import CannotCopy, copy_layer, copy_model
from tf_lottery.layers.kernels import PrunableChoice, unfit
from tf_lottery.layers.paths import holders, named_variables, walk
from tf_lottery.ticket import Ticket


@dataclass(frozen=True)
class Source:
    """Attributes:
    plain: the trained model, zeros baked in.
    examples: input name -> array of test inputs, as the exported file takes them.
    labels: of the test examples, if there are any.
    training: inputs and labels to calibrate and to fine-tune on, if there are any.
    pixels: whether the exported file takes uint8 pixels and scales them itself.
    classes: names of the classes, to be answered beside the outputs; empty for none.
    warmup: whether a SavedModel brings requests along to warm up with.
    real: whether the examples are real, not drawn.
    signature: input name -> shape and type, as the exported file takes them.
    noted: hears how far long work is.
    """

    plain: keras.Model
    examples: Inputs
    labels: np.ndarray | None = None
    training: tuple[np.ndarray, np.ndarray | None] | None = None
    pixels: bool = False
    classes: tuple[str, ...] = ()
    warmup: bool = False
    real: bool = True
    signature: Signature = field(default_factory=dict)
    noted: Callable[[str], None] = lambda line: None

    @cached_property
    def model(self) -> keras.Model:
        """The model as it is exported: with pixels scaled, if so asked."""
        return scaled(self.plain) if self.pixels else self.plain

    @cached_property
    def function(self) -> tf.types.experimental.PolymorphicFunction:
        """The signature: input name -> tensor, as keyword arguments, to output name -> tensor."""
        return function_of(self.model, self.signature)

    @cached_property
    def outputs(self) -> Inputs:
        """Output name -> what the model answers on the examples.

        Raises:
            LotteryError: it fails on them, or answers what nothing can be held against.
        """
        try:
            with from_initial_state(self.model):
                found = in_batches(self.function, self.examples, self.batch)
        except Exception as error:  # what a layer raises depends on the layer
            raise LotteryError(
                f"Expected a model that answers the test inputs in a tf.function. Received: "
                f"{self.model.name!r}, which fails: {' '.join(str(error).split())[:240]}"
            ) from error
        for name, value in found.items():
            if value.dtype.kind in "OSU":
                raise LotteryError(
                    f"Expected outputs of numbers, to hold an export against. Received: {name!r} of strings. "
                    "Export the model without its last layer, and let who reads its answers name them."
                )
            if value.dtype.kind not in "fiu":
                raise LotteryError(
                    f"Expected outputs of numbers that NumPy knows. Received: {name!r} of {value.dtype}. "
                    "Give the last layer dtype='float32'."
                )
            if not np.isfinite(value).all():
                raise LotteryError(
                    f"Expected finite outputs on the test inputs. Received: {name!r} with NaN or infinity"
                )
        return found

    @property
    def stateful(self) -> bool:
        """Whether a call goes on from the state that the last one left."""
        return fixed_batch(self.plain) is not None

    @property
    def batch(self) -> int:
        """Examples a call: what a stateful model takes, else many."""
        return fixed_batch(self.plain) or BATCH

    @property
    def count(self) -> int:
        """Number of examples."""
        return len(next(iter(self.examples.values())))

    def of(self, plain: keras.Model) -> "Source":
        """Return the same with another model."""
        return replace(self, plain=plain)

    def kernels(self) -> dict[str, np.ndarray]:
        """Return path -> array of all kernels that can be pruned."""
        return {
            path: kernel.numpy()
            for path, kernel in PrunableChoice(frozen=True).kernels_of(self.plain).items()
        }


def make_source(
    model: Any,
    test_data: Any = None,
    train_data: Any = None,
    pixels: bool = False,
    classes: Sequence[str] = (),
    warmup: bool = False,
) -> Source:
    """Check what is to be exported, and return it.

    Raises:
        LotteryError: not a plain trained model, or examples that it can't take.
    """
    check_model(model)
    x, y = test_data if isinstance(test_data, tuple) and len(test_data) == 2 else (test_data, None)
    signature = signature_of(model, x, pixels)
    real = x is not None
    scale = not scales_itself(model)
    examples = named(x, signature, also=also_called(model), pixels=scale) if real else drawn(signature, model)
    if pixels and any(array.dtype != np.uint8 for array in examples.values()):
        raise LotteryError(
            "Expected test_data of uint8 pixels, as the file is to take them (pixels=True). Received: "
            f"{', '.join(str(array.dtype) for array in examples.values())}"
        )
    labels = None if y is None else array_of(y, "labels")
    training = None  # what takes it refuses pixels and several inputs
    if train_data is not None and not pixels and len(signature) == 1:
        training = _training(train_data, signature, also_called(model), scale)
    source = Source(model, examples, labels, training, pixels, tuple(classes), warmup, real, signature)
    if labels is not None and len(labels) != source.count:
        raise LotteryError(
            f"Expected as many labels as examples. Received: {len(labels):,} and {source.count:,}"
        )
    if not source.count:
        raise LotteryError("Expected at least one example in test_data. Received: none")
    if source.stateful and (source.count % source.batch or warmup):
        raise LotteryError(
            f"Expected test_data in whole batches of {source.batch}, as the stateful {model.name!r} takes, "
            "and no requests to warm up with, which would leave a state. Received: "
            f"{source.count:,} examples, warmup={warmup}"
        )
    _check_classes(source)
    return source


def check_model(model: Any) -> None:
    """Refuse what can't be exported, in one line that says what to do."""
    if isinstance(model, Ticket):
        if model.trained:
            raise LotteryError(
                "Expected a trained Keras model. Received: a ticket. It has trained weights: "
                "export(lottery.strip(ticket.apply(model, weights='trained')), ...)"
            )
        raise LotteryError(
            "Expected a trained model. Received: a ticket without trained weights. Train it first: "
            "model = ticket.apply(model); model.fit(...); export(lottery.strip(model), ...)"
        )
    if not isinstance(model, keras.Model):
        raise LotteryError(f"Expected a Keras 3 model. Received: {type(model).__name__} {model!r:.80}")
    if not model.built:
        raise LotteryError(
            f"Expected a built model. Received: {model.name!r}, not built. Give it a keras.Input or call it."
        )
    if next(holders(model), None) is not None:
        raise LotteryError(
            f"Expected a plain model. Received: {model.name!r}, which is prunable. Use lottery.strip(model)."
        )
    for path, layer, _ in walk(model):
        if why := unfit(layer):
            raise LotteryError(
                "Expected layers that compute with their kernels as they are. Received: "
                f"{path or layer.name!r}, {why}. Export the model before that."
            )
    for path, variable in named_variables(model).items():
        value = keras.ops.convert_to_numpy(variable)
        if value.dtype.kind == "f" and not np.isfinite(value).all():
            raise LotteryError(f"Expected finite weights. Received: {path} with NaN or infinity")


def scaled(model: keras.Model) -> keras.Model:
    """Return the model behind a layer that scales uint8 pixels to [0, 1], times 1/255 as in training."""
    pixels = keras.Input(batch_shape=model.input_shape, dtype="uint8", name="pixels")
    outputs = model(keras.layers.Rescaling(float(PIXEL), dtype="float32")(pixels))
    return keras.Model(pixels, outputs, name=model.name)


def filled(model: keras.Model, seed: int = 0) -> keras.Model | None:
    """Return the dense original as far as speed and size go: each zero of a kernel replaced by a draw
    from its survivors. None if Keras can't copy the model."""
    try:
        copy = copy_model(model, copy_layer)
    except CannotCopy:
        return None
    generator = np.random.default_rng(seed)
    for kernel in (*PrunableChoice(frozen=True).kernels_of(copy).values(), *unknown_kernels(copy).values()):
        value = kernel.numpy()
        zeros = value == 0
        survivors = value[~zeros] if not zeros.all() else np.ones(1, value.dtype)
        value[zeros] = generator.choice(survivors, int(zeros.sum()))
        kernel.assign(value)
    return copy


def _training(
    data: Any, signature: Signature, also: list[list[str]], scale: bool
) -> tuple[np.ndarray, np.ndarray | None]:
    x, y = data if isinstance(data, tuple) and len(data) == 2 else (data, None)
    (x,) = named(x, signature, "training", also, scale).values()
    if not len(x):
        raise LotteryError("Expected at least one example in train_data. Received: none")
    labels = None if y is None else array_of(y, "labels in train_data")
    if labels is not None and len(labels) != len(x):
        raise LotteryError(
            f"Expected as many labels as examples in train_data. Received: {len(labels):,} and {len(x):,}"
        )
    return x, labels


def _check_classes(source: Source) -> None:
    if not source.classes:
        return
    shapes = [tuple(tensor.shape) for tensor in getattr(source.plain, "outputs", None) or []]
    if shapes != [(None, len(source.classes))]:
        raise LotteryError(
            f"Expected a name for each class of a model with one output. Received: {len(source.classes)} "
            f"names for outputs of shape {', '.join(map(str, shapes)) or 'unknown'}"
        )
