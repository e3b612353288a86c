"""FLOPs and weights, against numbers counted by hand."""

import keras
import numpy as np
import pytest
from keras import layers

import tf_lottery as lottery
from tf_lottery.errors import LotteryError
from tf_lottery.exports.cost import Cost, cost
from tf_lottery.exports.source import fill_zeros
from tf_lottery.models.conv import conv2
from tf_lottery.models.lenet import lenet_300_100


def one(layer: keras.Layer, shape: tuple[int | None, ...]) -> Cost:
    return cost(keras.Sequential([keras.Input(shape), layer]))


def test_lenet():
    model = lenet_300_100((28, 28, 1), 10)
    for kernel in (variable for variable in model.weights if len(variable.shape) > 1):
        kernel.assign(np.ones(kernel.shape))  # of 266,200 draws one may be 0.0
    found = cost(model)
    assert found == Cost(266_200, 266_200, 532_400, 532_400, 266_610, (), 266_200)


def test_conv2():
    by_hand = {"conv1": 27 * 64 * 1024, "conv2": 576 * 64 * 1024, "hidden1": 16_384 * 256, "hidden2": 65_536}
    found = cost(conv2((32, 32, 3), 10))
    assert found.flops == 2 * (sum(by_hand.values()) + 2560) == 87_561_216
    assert found.weights == 1728 + 36_864 + 4_194_304 + 65_536 + 2560
    assert found.parameters == found.weights + 64 + 64 + 256 + 256 + 10


def test_what_survives_is_counted_by_where_it_is():
    """A weight of the convolution is used at 16 positions, one of the Dense layer once."""
    model = keras.Sequential(
        [keras.Input((4, 4, 1)), layers.Conv2D(2, 1), layers.Flatten(), layers.Dense(3, use_bias=False)]
    )
    model.layers[0].kernel.assign([[[[0.0, -0.5]]]])
    dense = np.zeros((32, 3))
    dense[5, 1] = dense[6, 2] = 1
    model.layers[2].kernel.assign(dense)
    assert cost(model) == Cost(2 + 96, 1 + 2, 2 * (32 + 96), 2 * (16 + 2), 2 + 2 + 96, (), 1 + 2)


@pytest.mark.parametrize(
    ("layer", "shape", "uses"),
    [
        (lambda: layers.Dense(3), (5, 7), 5 * 7 * 3),
        (lambda: layers.Conv1D(4, 3, strides=2), (9, 2), 4 * 3 * 2 * 4),
        (lambda: layers.Conv2D(4, 3, padding="same", groups=2), (5, 6, 2), 30 * 9 * 1 * 4),
        (lambda: layers.Conv3D(2, 2), (3, 3, 3, 1), 8 * 8 * 2),
        (lambda: layers.DepthwiseConv2D(3, depth_multiplier=2), (5, 5, 4), 9 * 9 * 4 * 2),
        (lambda: layers.SeparableConv2D(6, 3, strides=2), (7, 7, 4), 9 * (9 * 4 + 4 * 6)),
        (lambda: layers.Conv2DTranspose(3, 2, strides=2), (5, 4, 2), 20 * 4 * 2 * 3),
        (lambda: layers.Conv1DTranspose(3, 2, data_format="channels_first"), (2, 5), 5 * 2 * 2 * 3),
        (lambda: layers.EinsumDense("abc,cde->abde", (None, 3, 2)), (5, 4), 5 * 4 * 3 * 2),
        (lambda: layers.EinsumDense("...x,xy->...y", 3), (5, 2, 4), 10 * 4 * 3),
        (lambda: layers.EinsumDense("abc,bcd->abd", (5, 3)), (5, 4), 5 * 4 * 3),
    ],
)
def test_each_layer(layer, shape, uses):
    found = one(layer(), shape)
    assert (found.flops, found.uncounted) == (2 * uses, ())


def test_layers_are_counted_as_often_as_they_are_called_and_stored_once():
    inner = keras.Sequential([keras.Input((4,)), layers.Dense(4, use_bias=False)], name="inner")
    shared = layers.Dense(4, use_bias=False)
    inputs = keras.Input((4,))
    found = cost(keras.Model(inputs, inner(inner(shared(shared(shared(inputs)))))))
    assert (found.weights, found.parameters, found.flops) == (32, 32, 2 * 16 * 5)


def test_layers_whose_flops_are_not_known_are_named():
    inputs = keras.Input((5, 4))
    x = layers.MultiHeadAttention(2, 2, name="attention")(inputs, inputs)
    inner = keras.Sequential([keras.Input((5, 4)), layers.GRU(3, name="gru")], name="inner")
    model = keras.Model(inputs, layers.Dense(2)(inner(x)))
    found = cost(model)
    assert found.uncounted == ("attention", "inner/gru")
    assert found.flops == 2 * 3 * 2
    assert found.weights == 4 * 4 * 4 + 4 * 9 + 3 * 9 + 3 * 2
    assert one(layers.Conv1D(2, 3, name="any_length"), (None, 3)).uncounted == ("any_length",)


def test_subclassed_models_are_not_followed():
    class Own(keras.Model):
        def __init__(self):
            super().__init__()
            self.dense = layers.Dense(3, name="dense")

        def call(self, x):
            return self.dense(x)

    model = Own()
    model(np.zeros((1, 2)))
    assert cost(model) == Cost(6, 6, 0, 0, 9, ("dense",), 6)


def test_prunable_models_are_refused():
    prunable = lottery.make_prunable(keras.Sequential([keras.Input((4,)), layers.Dense(5)]))
    with pytest.raises(LotteryError, match="Expected a plain Keras model"):
        cost(prunable)


def test_what_isn_t_counted_is_said():
    model = keras.Sequential(
        [keras.Input((5, 4)), layers.Bidirectional(layers.LSTM(3, name="lstm"), name="ways"), layers.Dense(2)]
    )
    found = cost(model)
    kernels, parameters = 2 * (4 * 12 + 3 * 12) + 12, model.count_params()
    nonzero = kernels + 2 * 3  # the forget gates' biases begin as ones
    assert (found.weights, found.parameters, found.nonzero) == (kernels, parameters, nonzero)
    assert str(found) == (
        f"{kernels} of {kernels} prunable weights (100.0%), {nonzero} of all {parameters} "
        f"({nonzero / parameters:.1%}), 24 of 24 FLOPs an example (without those of ways)"
    )


def test_declared_kernels_are_counted_with_the_whole_once_stripped():
    inputs = keras.Input((3,), dtype="int32")
    outputs = layers.GlobalAveragePooling1D()(layers.Embedding(10, 4, name="embed")(inputs))
    model = lottery.make_prunable(keras.Model(inputs, outputs), kernels={"Embedding": "embeddings"})
    lottery.prune(model, rate=0.75)
    plain = lottery.strip(model)
    found = cost(plain)
    assert (found.weights, found.nonzero, found.unknown) == (0, 10, ("embed/embeddings",))
    assert str(found) == (
        "no weights that are known as prunable, 10 of all 40 (25.0%) (zeros of embed/embeddings "
        "counted in the latter only), 0 of 0 FLOPs an example"
    )
    assert fill_zeros(plain).weights[0].numpy().all()
