"""What is exported: a trained plain model, its signature, and the examples that it is checked on."""

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
from tf_lottery.exports.examples import array_of, keras_input_names, named_inputs, random_inputs
from tf_lottery.exports.recurrent import fixed_batch, from_initial_state
from tf_lottery.exports.signature import BATCH, Inputs, Signature, function_of, in_batches, signature_of
from tf_lottery.layers.copying import CannotCopy, copy_layer, copy_model
from tf_lottery.layers.kernels import PrunableChoice, unfit
from tf_lottery.layers.paths import holders, named_variables, walk
from tf_lottery.ticket import Ticket


@dataclass(frozen=True)
class Source:
    """A trained model and what it takes to export and verify it.

    Attributes:
        plain: The trained model, zeros baked in.
        examples: Input name -> array of test inputs, as the exported file takes them.
        labels: The labels of the test examples; None if there are none.
        training: Inputs and labels for calibration and fine-tuning; None if there are none.
        pixels: Whether the exported file takes uint8 pixels and scales them itself.
        classes: The names of the classes, which a SavedModel returns besides the outputs; empty for none.
        warmup: Whether a SavedModel contains warm-up requests.
        real: Whether the examples are real rather than random.
        signature: Input name -> shape and type, as the exported file takes them.
        noted: A function that is called with the progress of long work, as a line of text.
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
        """The model as it is exported, behind a layer that scales pixels if `pixels` is set."""
        return scaled(self.plain) if self.pixels else self.plain

    @cached_property
    def function(self) -> tf.types.experimental.PolymorphicFunction:
        """A function from tensors, as keyword arguments by input name, to output name -> tensor."""
        return function_of(self.model, self.signature)

    @cached_property
    def outputs(self) -> Inputs:
        """Output name -> the model's outputs on the examples.

        Raises:
            LotteryError: If the model fails on them, or if its outputs can't be compared with an export's.
        """
        try:
            with from_initial_state(self.model):
                outputs = in_batches(self.function, self.examples, self.batch)
        except Exception as error:  # a layer may raise anything
            raise LotteryError(
                f"The model {self.model.name!r} fails on the test inputs in a tf.function. Fix that first: "
                f"{' '.join(str(error).split())[:240]}"
            ) from error
        for name, value in outputs.items():
            if value.dtype.kind in "OSU":
                raise LotteryError(
                    f"The output {name!r} consists of strings, and an export is verified by its numbers. "
                    "Export the model without its last layer, and look its classes up afterwards."
                )
            if value.dtype.kind not in "fiu":
                raise LotteryError(
                    f"The output {name!r} is of {value.dtype}, which NumPy can't compare. "
                    "Give the last layer dtype='float32'."
                )
            if not np.isfinite(value).all():
                raise LotteryError(
                    f"Expected finite outputs on the test inputs. Received: {name!r} with NaN or infinity"
                )
        return outputs

    @property
    def stateful(self) -> bool:
        """Whether each call continues from the state that the previous call left."""
        return fixed_batch(self.plain) is not None

    @property
    def batch(self) -> int:
        """The number of examples a call: the fixed batch size of a stateful model, else `BATCH`."""
        return fixed_batch(self.plain) or BATCH

    @property
    def count(self) -> int:
        """The number of examples."""
        return len(next(iter(self.examples.values())))

    def of(self, plain: keras.Model) -> "Source":
        """Return the same source with another model."""
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
    """Check a model and its data, and return them as a source.

    Args:
        model: The trained plain model.
        test_data: `(x, y)` or `x`, as in `export`. Default: random inputs.
        train_data: `(x, y)` or `x`, as in `export`.
        pixels: Whether the exported file takes uint8 pixels.
        classes: The names of the classes.
        warmup: Whether a SavedModel contains warm-up requests.

    Raises:
        LotteryError: If the model isn't a plain trained one, or if it can't take the examples.
    """
    check_model(model)
    x, y = test_data if isinstance(test_data, tuple) and len(test_data) == 2 else (test_data, None)
    signature = signature_of(model, x, pixels)
    real = x is not None
    scale = not scales_itself(model)
    if real:
        examples = named_inputs(x, signature, also=keras_input_names(model), pixels=scale)
    else:
        examples = random_inputs(signature, model)
    if pixels and any(array.dtype != np.uint8 for array in examples.values()):
        raise LotteryError(
            "Expected test_data of uint8 pixels, which the file takes with pixels=True. Received: "
            f"{', '.join(str(array.dtype) for array in examples.values())}"
        )
    labels = None if y is None else array_of(y, "labels")
    training = None  # the formats that need it refuse pixels and several inputs
    if train_data is not None and not pixels and len(signature) == 1:
        training = _training(train_data, signature, keras_input_names(model), scale)
    source = Source(model, examples, labels, training, pixels, tuple(classes), warmup, real, signature)
    if labels is not None and len(labels) != source.count:
        raise LotteryError(
            f"Expected as many labels as examples. Received: {len(labels):,} and {source.count:,}"
        )
    if not source.count:
        raise LotteryError("Expected at least one example in test_data. Received: none")
    if source.stateful and (source.count % source.batch or warmup):
        raise LotteryError(
            f"Expected test_data in whole batches of {source.batch}, since {model.name!r} is stateful, and "
            "warmup=False, since warm-up requests would change its state. Received: "
            f"{source.count:,} examples, warmup={warmup}"
        )
    _check_classes(source)
    return source


def check_model(model: Any) -> None:
    """Check that a model can be exported.

    Raises:
        LotteryError: If it can't be, with what to do about it.
    """
    if isinstance(model, Ticket):
        if model.trained:
            raise LotteryError(
                "A ticket can't be exported, but a model with its trained weights can. Use "
                "export(lottery.strip(ticket.apply(model, weights='trained')), ...)"
            )
        raise LotteryError(
            "This is a ticket without trained weights, so there is nothing to export. Train it first: "
            "model = ticket.apply(model); model.fit(...); export(lottery.strip(model), ...)"
        )
    if not isinstance(model, keras.Model):
        raise LotteryError(f"Expected a Keras 3 model. Received: {type(model).__name__} {model!r:.80}")
    if not model.built:
        raise LotteryError(
            f"Expected a built model. Received: {model.name!r}, which is not built. "
            "Give it a keras.Input or call it once."
        )
    if next(holders(model), None) is not None:
        raise LotteryError(
            f"Expected a plain model. Received: {model.name!r}, which is prunable. Use lottery.strip(model)."
        )
    for path, layer, _ in walk(model):
        if why := unfit(layer):
            raise LotteryError(
                "Expected layers that use their kernels directly. Received: "
                f"{path or layer.name!r}, {why}. Export the model before that step."
            )
    for path, variable in named_variables(model).items():
        value = keras.ops.convert_to_numpy(variable)
        if value.dtype.kind == "f" and not np.isfinite(value).all():
            raise LotteryError(f"Expected finite weights. Received: {path} with NaN or infinity")


def scaled(model: keras.Model) -> keras.Model:
    """Return the model behind a layer that scales uint8 pixels to [0, 1] by 1/255, as in training."""
    pixels = keras.Input(batch_shape=model.input_shape, dtype="uint8", name="pixels")
    outputs = model(keras.layers.Rescaling(float(PIXEL), dtype="float32")(pixels))
    return keras.Model(pixels, outputs, name=model.name)


def fill_zeros(model: keras.Model, seed: int = 0) -> keras.Model | None:
    """Return a copy with the size and speed of the dense original, or None if Keras can't copy the model.

    Each zero of a kernel is replaced by a random choice among its surviving weights.
    """
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
    (x,) = named_inputs(x, signature, "training", also, scale).values()
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
