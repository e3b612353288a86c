"""How often weights of prunable networks are used, against numbers counted by hand."""

import keras
import numpy as np
import pytest
from keras import layers

import tf_lottery as lottery
from tf_lottery.layers.flops import Flops, flops, kernel_uses
from tf_lottery.models.lenet import lenet_300_100
from tf_lottery.models.resnet import resnet20


def prunable(*stack, **choice):
    return lottery.make_prunable(keras.Sequential(stack), **choice)


def test_lenet():
    model = lottery.make_prunable(lenet_300_100((28, 28, 1), 10))
    assert kernel_uses(model) == ({"hidden1/kernel": 1, "hidden2/kernel": 1, "output/kernel": 1}, ())
    assert flops(model) == Flops(532_400, 532_400)
    lottery.prune(model, rate=0.5)
    assert flops(model) == Flops(532_400, 266_200)


def test_resnet_20_uses_a_weight_at_every_position_of_its_outputs():
    by_kernel, uncounted = kernel_uses(resnet20((32, 32, 3), 10))
    assert uncounted == ()
    assert by_kernel["conv/kernel"] == by_kernel["stage1_block3_conv2/kernel"] == 32 * 32
    assert by_kernel["stage2_block1_conv1/kernel"] == by_kernel["downsample2/kernel"] == 16 * 16
    assert (by_kernel["stage3_block2_conv1/kernel"], by_kernel["output/kernel"]) == (8 * 8, 1)


def test_what_remains_is_counted_by_where_it_is():
    """A weight of the convolution is used at 16 positions, one of the Dense layer once."""
    model = prunable(
        keras.Input((4, 4, 1)),
        layers.Conv2D(2, 1, name="conv"),
        layers.Flatten(),
        layers.Dense(3, name="d"),
    )
    kept = np.zeros((32, 3), bool)
    kept[5, 1] = kept[6, 2] = True
    lottery.set_masks(model, {"conv/kernel": np.array([[[[0, 1]]]]), "d/kernel": kept})
    assert flops(model) == Flops(2 * (32 + 96), 2 * (16 + 2))


def test_kernels_that_are_not_prunable_count_as_whole():
    model = prunable(keras.Input((4,)), layers.Dense(5, name="a"), layers.Dense(2, name="b"), exclude=["b"])
    lottery.prune(model, rate=0.5)
    assert flops(model) == Flops(2 * 30, 2 * 20)


def test_shared_and_nested_layers_are_counted_as_often_as_they_are_called():
    inner = keras.Sequential([keras.Input((4,)), layers.Dense(4, name="dense")], name="inner")
    shared = layers.Dense(4, name="shared")
    inputs = keras.Input((4,))
    model = lottery.make_prunable(keras.Model(inputs, inner(inner(shared(shared(shared(inputs)))))))
    assert kernel_uses(model) == ({"shared/kernel": 3, "inner/dense/kernel": 2}, ())
    assert flops(model).dense == 2 * 16 * 5


@keras.saving.register_keras_serializable(package="tests_flops")
class Own(keras.layers.Layer):
    """Multiplies by a matrix that nobody declared."""

    def build(self, shape):
        self.matrix = self.add_weight(shape=(shape[-1], 2), name="matrix")

    def call(self, x):
        return x @ self.matrix


@keras.saving.register_keras_serializable(package="tests_flops")
class Twice(layers.Dense):
    def call(self, x):
        return super().call(x) + super().call(2 * x)


@pytest.mark.filterwarnings("ignore:These weights of layers of your own stay dense")
@pytest.mark.parametrize(
    ("layer", "shape", "names"),
    [
        (lambda: layers.GRU(3, name="gru"), (5, 4), ("gru",)),
        (lambda: layers.TimeDistributed(layers.Dense(2), name="each"), (5, 4), ("each",)),
        (lambda: layers.Conv1D(2, 3, name="any_length"), (None, 4), ("any_length", "output")),
        (lambda: Own(name="own"), (4,), ("own",)),
        (lambda: Twice(3, name="twice"), (4,), ("twice",)),
    ],
)
def test_what_is_not_known_is_named_and_gives_no_figure(layer, shape, names):
    model = prunable(keras.Input(shape), layer(), layers.Dense(2, name="output"))
    assert flops(model) == Flops(None, None, names)


def test_elementwise_weights_are_no_kernels():
    split = layers.EinsumDense("btf,fhd->bthd", (None, 2, 2), bias_axes="hd")
    stack = [keras.Input((3, 4)), layers.PReLU(), layers.BatchNormalization(), split]
    assert flops(prunable(*stack)) == Flops(2 * 3 * 16, 2 * 3 * 16)


def test_a_kernel_that_no_call_uses_is_named():
    inputs = keras.Input((4,))
    model = keras.Model(inputs, layers.Dense(2, name="used")(inputs))
    model.aside = layers.Dense(3, name="aside")
    model.aside.build((None, 4))
    assert kernel_uses(model) == ({"used/kernel": 1, "aside/kernel": 0}, ("aside/kernel",))


class Subclassed(keras.Model):
    def __init__(self):
        super().__init__()
        self.first, self.second = layers.Dense(3, name="first"), layers.Dense(2, name="second")

    def call(self, x):
        return self.second(self.first(x))


class Functional(keras.Model):
    """Has a graph, which its `call` doesn't follow."""

    def call(self, x):
        return super().call(super().call(x))


def test_a_call_of_ones_own_is_not_followed():
    model = Subclassed()
    model(np.zeros((1, 4)))
    assert flops(lottery.make_prunable(model)) == Flops(None, None, ("first", "second"))
    inputs = keras.Input((4,))
    model = Functional(inputs, layers.Dense(4, name="dense")(inputs))
    assert flops(lottery.make_prunable(model)) == Flops(None, None, ("dense",))
