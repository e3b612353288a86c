"""Weights on a path from an input to an output, against paths that are enumerated one by one."""

import itertools

import keras
import numpy as np
import pytest
from keras import layers

import tf_lottery as lottery
from tf_lottery.layers.effective import effective_masks, effective_weights
from tf_lottery.models.resnet import resnet20


class Paths:
    """A graph of single weights, each named; lists what lies on a path by following every path."""

    def __init__(self):
        self.edges = {}

    def add(self, source, target, *weights):
        self.edges.setdefault(source, []).append((target, weights))

    def dense(self, path, mask, source, target):
        for i, o in np.argwhere(mask):
            self.add((source, int(i)), (target, int(o)), (path, (int(i), int(o))))

    def conv(self, path, mask, source, target):
        for index in map(tuple, np.argwhere(mask)):
            *_, i, o = map(int, index)
            self.add((source, i), (target, o), (path, tuple(map(int, index))))

    def same(self, source, target, size):
        for unit in range(size):
            self.add((source, unit), (target, unit))

    def on_a_path(self, source, target):
        """Every weight on any path, found by walking from each input unit to each output unit."""
        found = set()

        def walk(node, weights):
            if node[0] == target:
                found.update(weights)
            for following, own in self.edges.get(node, ()):
                walk(following, (*weights, *own))

        for node in [node for node in self.edges if node[0] == source]:
            walk(node, ())
        return found

    def masks(self, masks, source="in", target="out"):
        found = self.on_a_path(source, target)
        result = {path: np.zeros_like(mask) for path, mask in masks.items()}
        for path, index in found:
            result[path][index] = True
        return result


def check(model, share, graph):
    """Compare the effective masks with those of a graph, for masks of a random share of the weights."""
    model = lottery.make_prunable(model)
    shapes = {path: mask.shape for path, mask in lottery.get_masks(model).items()}
    remaining = alive = 0
    for seed in range(8):
        drawn = np.random.default_rng(seed)
        masks = {path: drawn.random(shape) < share for path, shape in shapes.items()}
        found, expected = effective_masks(model, masks), graph(masks).masks(masks)
        assert found.keys() == expected.keys()
        for path in expected:
            np.testing.assert_array_equal(found[path], expected[path], err_msg=path)
        remaining += sum(int(mask.sum()) for mask in masks.values())
        alive += sum(int(mask.sum()) for mask in expected.values())
    assert 0 < alive < 0.9 * remaining, "the masks that were drawn show nothing"


def test_dense_layers():
    stack = [
        keras.Input((5,)),
        layers.Dense(6, "relu", name="a"),
        layers.BatchNormalization(),
        layers.Dropout(0.5),
        layers.Dense(6, name="b"),
        layers.Activation("gelu"),
        layers.Dense(3, "softmax", name="c"),
    ]

    def paths(masks):
        graph = Paths()
        for path, source, target in (("a", "in", 1), ("b", 1, 2), ("c", 2, "out")):
            graph.dense(f"{path}/kernel", masks[f"{path}/kernel"], source, target)
        return graph

    check(keras.Sequential(stack), 0.25, paths)


def test_a_convolution_is_flattened_and_read_by_a_dense_layer():
    stack = [
        keras.Input((6, 6, 2)),
        layers.ZeroPadding2D(1),
        layers.Conv2D(4, 3, activation="relu", name="a"),
        layers.MaxPooling2D(),
        layers.Conv2D(3, 2, name="b"),
        layers.Flatten(),
        layers.Dense(3, name="c"),
    ]

    def paths(masks):
        graph = Paths()
        graph.conv("a/kernel", masks["a/kernel"], "in", 1)
        graph.conv("b/kernel", masks["b/kernel"], 1, 2)
        for position, channel in itertools.product(range(4), range(3)):
            graph.add((2, channel), ("flat", 3 * position + channel))
        graph.dense("c/kernel", masks["c/kernel"], "flat", "out")
        return graph

    check(keras.Sequential(stack), 0.1, paths)


def test_a_residual_sum_passes_on_what_either_side_brings():
    inputs = keras.Input((4, 4, 3))
    x = layers.Conv2D(4, 1, name="a")(inputs)
    y = layers.Conv2D(4, 3, padding="same", name="b")(layers.ReLU()(x))
    z = layers.ReLU()(layers.Add()([x, y]))
    z = z + layers.Conv2D(4, 1, name="shortcut")(inputs)
    outputs = layers.Dense(2, name="c")(layers.GlobalAveragePooling2D()(z))

    def paths(masks):
        graph = Paths()
        graph.conv("a/kernel", masks["a/kernel"], "in", 1)
        graph.conv("b/kernel", masks["b/kernel"], 1, 2)
        graph.same(1, "sum", 4)
        graph.same(2, "sum", 4)
        graph.conv("shortcut/kernel", masks["shortcut/kernel"], "in", "sum")
        graph.dense("c/kernel", masks["c/kernel"], "sum", "out")
        return graph

    check(keras.Model(inputs, outputs), 0.25, paths)


def test_groups_depthwise_and_concatenation():
    inputs = keras.Input((5, 5, 4))
    x = layers.Conv2D(4, 3, groups=2, name="a")(inputs)
    y = layers.DepthwiseConv2D(3, depth_multiplier=2, name="b")(inputs)
    x = layers.Concatenate()([x, y])
    outputs = layers.Dense(2, name="c")(layers.GlobalMaxPooling2D()(x))

    def paths(masks):
        graph = Paths()
        for index in map(tuple, np.argwhere(masks["a/kernel"])):
            _, _, i, o = map(int, index)
            graph.add(("in", 2 * (o // 2) + i), (1, o), ("a/kernel", tuple(map(int, index))))
        for index in map(tuple, np.argwhere(masks["b/kernel"])):
            _, _, i, m = map(int, index)
            graph.add(("in", i), (1, 4 + 2 * i + m), ("b/kernel", tuple(map(int, index))))
        graph.dense("c/kernel", masks["c/kernel"], 1, "out")
        return graph

    check(keras.Model(inputs, outputs), 0.1, paths)


def test_a_shared_layer_and_one_nested_in_a_model():
    """A weight counts if it lies on a path in any of its layer's calls."""
    inner = keras.Sequential([keras.Input((4,)), layers.Dense(4, name="dense")], name="inner")
    inputs = keras.Input((4,))
    outputs = layers.Dense(2, name="c")(inner(inner(inputs)))

    def paths(masks):
        graph = Paths()
        graph.dense("inner/dense/kernel", masks["inner/dense/kernel"], "in", 1)
        graph.dense("inner/dense/kernel", masks["inner/dense/kernel"], 1, 2)
        graph.dense("c/kernel", masks["c/kernel"], 2, "out")
        return graph

    check(keras.Model(inputs, outputs), 0.3, paths)


def test_a_softmax_in_between_makes_every_unit_depend_on_every_unit():
    stack = [keras.Input((3,)), layers.Dense(3, "softmax", name="a"), layers.Dense(2, name="b")]
    model = lottery.make_prunable(keras.Sequential(stack))
    first, second = np.zeros((3, 3), bool), np.zeros((3, 2), bool)
    first[0, 0] = second[2, 1] = True
    masks = {"a/kernel": first, "b/kernel": second}
    lottery.set_masks(model, masks)
    assert effective_weights(model) == {"a/kernel": 1, "b/kernel": 1}
    stack[1] = layers.Dense(3, "relu", name="a")
    assert effective_weights(lottery.make_prunable(keras.Sequential(stack)), masks) == {
        "a/kernel": 0,
        "b/kernel": 0,
    }


def test_kernels_that_are_not_prunable_connect_and_are_not_counted():
    stack = [
        keras.Input((3,)),
        layers.Dense(3, name="a"),
        layers.Dense(3, name="b"),
        layers.Dense(1, name="c"),
    ]
    model = lottery.make_prunable(keras.Sequential(stack), exclude=["b"])
    first, last = np.zeros((3, 3), bool), np.zeros((3, 1), bool)
    first[0, 0] = last[2, 0] = True
    lottery.set_masks(model, {"a/kernel": first, "c/kernel": last})
    assert effective_weights(model) == {"a/kernel": 1, "c/kernel": 1}


def test_an_empty_layer_disconnects_all():
    stack = [keras.Input((3,)), layers.Dense(3, name="a"), layers.Dense(3, name="b")]
    model = lottery.make_prunable(keras.Sequential(stack))
    masks = {"a/kernel": np.zeros((3, 3), bool), "b/kernel": np.ones((3, 3), bool)}
    assert effective_weights(model, masks) == {"a/kernel": 0, "b/kernel": 0}


def test_the_identity_shortcuts_of_a_resnet_keep_paths_open():
    model = lottery.make_prunable(resnet20((8, 8, 3), 10))
    masks = lottery.get_masks(model)
    closed = [path for path in masks if path.startswith("stage2_block2_conv")]
    masks |= {path: np.zeros_like(masks[path]) for path in closed}
    found = effective_weights(model, masks)
    assert {path: number for path, number in found.items() if number != masks[path].sum()} == {}
    masks |= {path: np.ones_like(masks[path]) for path in closed[:1]}
    found = effective_weights(model, masks)
    assert [path for path, number in found.items() if number != masks[path].sum()] == closed[:1]


@keras.saving.register_keras_serializable(package="tests_effective")
class Mixed(layers.Layer):
    def call(self, x):
        return x[:, ::-1]


@keras.saving.register_keras_serializable(package="tests_effective")
class OwnDense(layers.Dense):
    def call(self, x):
        return super().call(x[:, ::-1])


@pytest.mark.parametrize(
    ("shape", "layer"),
    [
        ((4,), lambda: Mixed()),
        ((4,), lambda: OwnDense(4)),
        ((4,), lambda: layers.LayerNormalization()),
        ((4,), lambda: layers.UnitNormalization()),
        ((4,), lambda: layers.Lambda(lambda x: x[:, ::-1])),
        ((4, 4), lambda: layers.Permute((2, 1))),
        ((4, 4), lambda: layers.LSTM(4)),
        ((4, 4), lambda: layers.BatchNormalization(axis=1)),
        ((2, 4), lambda: layers.Reshape((4, 2))),
        ((4, 4), lambda: layers.Flatten(data_format="channels_first")),
        ((4, 4), lambda: layers.Softmax(axis=1)),
        ((4,), lambda: layers.Dense(4, lambda x: keras.ops.flip(x, 1))),
    ],
)
def test_what_is_not_known_is_not_proven(shape, layer):
    inputs = keras.Input(shape)
    model = keras.Model(inputs, layers.Dense(2, name="output")(layer()(layers.Dense(4, name="d")(inputs))))
    assert effective_weights(lottery.make_prunable(model)) is None


def test_a_product_is_not_proven():
    inputs = keras.Input((3,))
    gated = layers.Dense(3)(inputs) * layers.Dense(3, "sigmoid")(inputs)
    assert effective_weights(lottery.make_prunable(keras.Model(inputs, gated))) is None


class Subclassed(keras.Model):
    def __init__(self):
        super().__init__()
        self.dense = layers.Dense(3)

    def call(self, x):
        return self.dense(x)


def test_a_call_of_ones_own_is_not_proven():
    model = Subclassed()
    model(np.zeros((1, 2)))
    assert effective_weights(lottery.make_prunable(model)) is None
