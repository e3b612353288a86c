"""Convolutions of the sparse engine against TensorFlow's."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import tf_lottery as lottery
from tf_lottery.layers.access import get_masks
from tf_lottery.training import state
from tf_lottery.training.sparse.kernels.vector import LANES
from tf_lottery.training.sparse.network import Network
from tf_lottery.training.sparse.ops.convolution import Conv2D
from tf_lottery.training.sparse.ops.op import Context, Unsupported
from tf_lottery.training.sparse.parameters import Parameters
from tf_lottery.training.sparse.tensor import Tensor

CLOSE = {"float64": 1e-12, "float32": 1e-5}


def write(tensor: Tensor, flat: np.ndarray, images: np.ndarray) -> None:
    """Write images into a flat array in a tensor's layout."""
    for example, image in enumerate(images):
        group, lane = divmod(example, LANES)
        flat[group * tensor.group_step + lane + tensor.features()] = image.reshape(-1)


def read(tensor: Tensor, flat: np.ndarray, batch: int) -> np.ndarray:
    """Return the images of a flat array in a tensor's layout."""
    shape = (tensor.rows, tensor.columns, tensor.channels)
    places = (divmod(example, LANES) for example in range(batch))
    at = [flat[group * tensor.group_step + lane + tensor.features()] for group, lane in places]
    return np.stack(at).reshape(batch, *shape)


def border_is_zero(tensor: Tensor, flat: np.ndarray) -> bool:
    """Return whether a flat array is 0.0 outside a tensor's images."""
    outside = np.ones(len(flat), bool)
    for group in range(tensor.groups):
        outside[np.add.outer(group * tensor.group_step + tensor.features(), np.arange(LANES))] = False
    return not flat[outside].any()


def masked(shape: tuple[int, ...], density: float, seed: int = 0) -> np.ndarray:
    """Return a mask; unless it is full, the first output and the last input channel have no weights."""
    mask = np.random.default_rng(seed).random(shape) < density
    if density < 1:
        mask[..., 0] = mask[:, :, -1] = False
    return mask


def check(
    size: tuple[int, int],
    batch: int,
    density: float,
    dtype: str = "float64",
    adds: bool = False,
    channels: int = 3,
    filters: int = 5,
    wider: int = 0,
    **settings,
) -> None:
    """Compare a convolution and its gradients with TensorFlow's."""
    layer = keras.layers.Conv2D(filters, dtype=dtype, **settings)
    layer.build((None, *size, channels))
    mask = masked(layer.kernel.shape, density)
    random = np.random.default_rng(1)
    layer.kernel.assign(np.where(mask, random.standard_normal(mask.shape), 0))
    names = {id(layer.kernel): "kernel"}
    if layer.use_bias:
        layer.bias.assign(random.standard_normal(filters))
        names[id(layer.bias)] = "bias"
    images = random.standard_normal((batch, *size, channels)).astype(dtype)
    with tf.GradientTape() as tape:
        tape.watch(inputs := tf.constant(images))
        outputs = layer(inputs)
    upstream = random.standard_normal(outputs.shape).astype(dtype)
    *expected, expected_dx = tape.gradient(outputs, [*layer.trainable_variables, inputs], upstream)

    groups = -(-batch // LANES)
    parameters = Parameters(dtype)
    context = Context(
        np.dtype(dtype), batch, groups, np.ones(groups * LANES), parameters, names, masks={"kernel": mask}
    )
    x = context.tensor(channels, *size)
    op = Conv2D(layer, [x], context, layer.activation is keras.activations.relu)
    for tensor in (x, op.output):
        tensor.widen((wider,) * 4)
    op.declare(context)
    parameters.allocate()
    for tensor in (x, op.output):
        tensor.allocate(gradient=True)
    op.adds = [adds]
    op.prepare(context)
    arrays = {
        "model/" + name: np.asarray(v) for name, v in zip(("kernel", "bias"), layer.weights, strict=False)
    }
    parameters.read(arrays, parameters.values)
    write(x, x.value, images)
    before = random.standard_normal(images.shape).astype(dtype)
    write(x, x.gradient, before)
    op.forward(True, 0)
    write(op.output, op.output.gradient, upstream)
    op.backward()

    got = {name: np.zeros_like(value) for name, value in arrays.items()}
    parameters.write(got, parameters.gradients)
    dx = np.asarray(expected_dx) + (before if adds else 0)
    pairs = [(read(op.output, op.output.value, batch), outputs), (read(x, x.gradient, batch), dx)]
    pairs += [(got["model/kernel"], np.where(mask, expected[0], 0))]
    pairs += [(got["model/bias"], expected[1])] if layer.use_bias else []
    for actual, wanted in pairs:
        wanted = np.asarray(wanted)
        assert actual.shape == wanted.shape
        np.testing.assert_allclose(actual, wanted, rtol=0, atol=CLOSE[dtype] * max(abs(wanted).max(), 1))
    for tensor in (x, op.output):
        assert border_is_zero(tensor, tensor.value)
        assert border_is_zero(tensor, tensor.gradient)


@pytest.mark.parametrize("padding", ["same", "valid"])
@pytest.mark.parametrize("strides", [1, 2, 3, (2, 1)])
@pytest.mark.parametrize("kernel", [1, 2, 3, 5])
def test_kernels_and_strides(kernel, strides, padding):
    check((7, 9), 60, 0.5, kernel_size=kernel, strides=strides, padding=padding)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("batch", [60, 64, 100])
@pytest.mark.parametrize("density", [1, 0.2, 0.01])
def test_densities_and_batches(density, batch, dtype):
    check((7, 9), batch, density, dtype, kernel_size=3, padding="same", activation="relu")


@pytest.mark.parametrize("strides", [1, 2])
def test_a_gradient_is_added_to_what_is_there(strides):
    check((8, 10), 60, 0.2, adds=True, kernel_size=3, strides=strides, padding="same")


def test_strides_wider_than_the_kernel_leave_or_clear_the_gradient_of_what_no_output_reads():
    check((7, 9), 60, 1, adds=True, kernel_size=1, strides=3)
    check((7, 9), 60, 1, kernel_size=1, strides=3)


@pytest.mark.parametrize("padding", ["same", "valid"])
def test_dilation(padding):
    check((9, 12), 60, 0.5, kernel_size=3, dilation_rate=(2, 3), padding=padding)


def test_no_bias():
    check((6, 6), 60, 0.5, kernel_size=3, use_bias=False)


def test_a_border_may_be_wider_than_a_layer_asks_for():
    check((6, 6), 60, 0.5, wider=3, kernel_size=3, strides=2, padding="same")


def test_many_channels_are_read_in_blocks():
    check((5, 5), 60, 0.5, channels=70, filters=40, kernel_size=3, padding="same")


def test_rows_that_are_longer_than_a_strip():
    check((3, 39), 60, 0.5, kernel_size=(2, 3), padding="same")


def test_inputs_smaller_than_the_kernel():
    check((2, 1), 60, 1, kernel_size=5, strides=3, padding="same")


def test_a_network():
    model = lottery.make_prunable(
        keras.Sequential(
            [
                keras.Input((8, 10, 3), dtype="float64"),
                keras.layers.Conv2D(6, 3, padding="same", activation="relu", dtype="float64"),
                keras.layers.Conv2D(4, 2, strides=2, activation="relu", dtype="float64"),
                keras.layers.Flatten(dtype="float64"),
                keras.layers.Dense(5, dtype="float64"),
            ]
        )
    )
    lottery.prune(model, rate=0.7)
    images = np.random.default_rng(0).standard_normal((60, 8, 10, 3))
    upstream = np.random.default_rng(1).standard_normal((60, 5))
    with tf.GradientTape() as tape:
        outputs = model(images, training=True)
    gradients = tape.gradient(outputs, model.trainable_variables, upstream)

    network = Network(model, 60, np.float64)
    network.start(get_masks(model))
    arrays = state.capture(state.model_variables(model))
    parameters = network.context.parameters
    parameters.read(arrays, parameters.values)
    write(network.inputs, network.inputs.value, images)
    network.forward(True, 0)
    write(network.outputs, network.outputs.gradient, upstream)
    network.backward()
    actual = read(network.outputs, network.outputs.value, 60).reshape(60, 5)
    np.testing.assert_allclose(actual, outputs, rtol=1e-11, atol=1e-12)
    got = {name: np.zeros_like(array) for name, array in arrays.items()}
    parameters.write(got, parameters.gradients)
    names = {id(variable): name for name, variable in state.model_variables(model).items()}
    for variable, gradient in zip(model.trainable_variables, gradients, strict=True):
        np.testing.assert_allclose(got[names[id(variable)]], gradient, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize(
    ("clause", "settings"),
    [
        ("groups", {"groups": 3}),
        ("kernel_regularizer", {"kernel_regularizer": "l2"}),
        ("bias_regularizer", {"bias_regularizer": "l2"}),
        ("activity_regularizer", {"activity_regularizer": "l2"}),
        ("kernel_constraint", {"kernel_constraint": "non_neg"}),
        ("bias_constraint", {"bias_constraint": "non_neg"}),
        ("activation", {"activation": "softmax"}),
    ],
)
def test_what_is_unsupported(clause, settings):
    layer = keras.layers.Conv2D(6, 3, name="conv", **settings)
    model = keras.Sequential([keras.Input((8, 8, 3)), layer, keras.layers.Flatten(), keras.layers.Dense(2)])
    with pytest.raises(Unsupported, match=f"^{clause}.* of layer 'conv'"):
        Network(model, 60)
