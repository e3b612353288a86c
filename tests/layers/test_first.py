"""Which kernel reads a model's input, and why there may be none."""

import keras
import pytest
from keras import layers

from tf_lottery.errors import LotteryError
from tf_lottery.layers.convert import make_prunable
from tf_lottery.layers.first import FirstKernel, first_kernel
from tf_lottery.models.lenet import lenet5, lenet_300_100
from tf_lottery.models.resnet import resnet20
from tf_lottery.models.vit import vit


def model(*stack, shape=(8, 8, 3)):
    return keras.Sequential([keras.Input(shape), *stack])


def dense(**options):
    return layers.Dense(4, name="first", **options)


def test_dense_layers_behind_what_leaves_numbers_in_place():
    before = [
        layers.Rescaling(2.0),
        layers.BatchNormalization(),
        layers.Dropout(0.1),
        layers.Activation("tanh"),
    ]
    found = first_kernel(model(*before, layers.Flatten(), dense(), layers.Dense(2)))
    assert found == FirstKernel("first/kernel", convolution=False)
    assert first_kernel(lenet_300_100((28, 28, 1), 10)).path == "hidden1/kernel"
    assert first_kernel(model(dense(), shape=(7,))).path == "first/kernel"


def test_convolutions():
    assert first_kernel(lenet5((28, 28, 1), 10)) == FirstKernel("conv1/kernel", convolution=True)
    assert first_kernel(resnet20((32, 32, 3), 10)).convolution
    padded = model(layers.ZeroPadding2D(1), layers.DepthwiseConv2D(3, name="first"))
    assert first_kernel(padded) == FirstKernel("first/kernel", convolution=True)


def test_prunable_models_have_the_same_one():
    plain = model(layers.Flatten(), dense(), layers.Dense(2))
    assert first_kernel(make_prunable(plain)) == first_kernel(plain)


def shared_layer():
    inputs, layer = keras.Input((6,)), layers.Dense(6, name="twice")
    return keras.Model(inputs, layer(layer(inputs)))


def two_inputs():
    first, second = keras.Input((6,)), keras.Input((6,))
    return keras.Model([first, second], layers.Dense(2)(layers.Add()([first, second])))


def two_readers():
    inputs = keras.Input((6,))
    return keras.Model(inputs, layers.Add()([layers.Dense(2)(inputs), layers.Dense(2)(inputs)]))


def skipped():
    inputs = keras.Input((6,))
    return keras.Model(inputs, layers.Add()([layers.Dense(6)(inputs), inputs]))


class Own(keras.Model):
    def __init__(self):
        super().__init__()
        self.layer = layers.Dense(2)

    def call(self, x):
        return self.layer(x)


def own():
    made = Own()
    made.build((None, 6))
    return made


def frozen():
    made = model(layers.Flatten(), dense(), layers.Dense(2))
    made.get_layer("first").trainable = False
    return made


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (two_inputs, "the model has 2 inputs"),
        (two_readers, "several layers read the input: "),
        (skipped, "several layers read the input: "),
        (own, "neither Sequential nor Functional"),
        (frozen, "first, which reads the input, isn't prunable"),
        (lambda: vit((8, 8, 3), 10, depth=1), r"read by sort \(Permute\)"),
        (lambda: model(layers.Embedding(9, 4, name="words"), shape=(5,)), r"read by words \(Embedding\)"),
        (lambda: model(layers.LSTM(4, name="cells"), shape=(5, 2)), r"read by cells \(LSTM\)"),
        (lambda: model(dense()), r"first reads the last axis of \(8, 8, 3\) only"),
        (lambda: model(layers.ZeroPadding2D(1), layers.Flatten(), dense()), "or a padded input"),
        (lambda: model(layers.Flatten("channels_first"), dense()), "read by flatten"),
        (lambda: model(layers.MaxPooling2D(name="pool"), layers.Flatten(), dense()), "read by pool"),
        (lambda: model(layers.Conv2D(3, 3, groups=3, name="groups")), "read by groups"),
        (lambda: model(layers.Flatten(), layers.ReLU(), shape=(4,)), "no layer multiplies the input"),
        (lambda: model(model(layers.Flatten(), dense())), "Sequential"),
    ],
)
def test_what_has_no_plain_first_layer_is_refused(make, why):
    with pytest.raises(LotteryError, match=f"read by one Dense layer or convolution. Received: .*{why}"):
        first_kernel(make())


def test_frozen_kernels_count_where_they_are_pruned():
    assert first_kernel(frozen(), frozen=True).path == "first/kernel"


def test_a_layer_that_is_called_twice_reads_more_than_the_input():
    with pytest.raises(LotteryError, match="twice is called 2 times"):
        first_kernel(shared_layer())
