"""Which weights are pruned: by default, by rule, by declaration; and the table that says so."""

import keras
import numpy as np
import pytest
from keras import layers

import tf_lottery as lottery
from tests.layers.cases import Leaf
from tf_lottery.errors import LotteryError
from tf_lottery.layers.access import get_kernels
from tf_lottery.layers.table import rows


class Block(layers.Layer):
    """A composite with weights of its own, that aren't declared, beside its layers."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.first = layers.Dense(4, name="first")
        self.second = layers.Dense(4, name="second")

    def build(self, shape):
        self.matrix = self.add_weight(shape=(4, 4), name="matrix", initializer="normal")
        self.gain = self.add_weight(shape=(4,), name="gain", initializer="ones")
        self.first.build(shape)
        self.second.build((*shape[:-1], 4))

    def call(self, x):
        return self.second(self.first(x) @ self.matrix) * self.gain


class Tied(keras.Model):
    """Reads one matrix in two layers, and one layer in two places."""

    def __init__(self):
        super().__init__()
        self.embed = layers.Embedding(9, 4, name="embed")
        self.dense = layers.Dense(4, name="dense")
        self.again = [self.dense]

    def call(self, tokens):
        x = self.again[0](self.dense(self.embed(tokens)))
        return x @ keras.ops.transpose(self.embed.embeddings)


def plain():
    return keras.Sequential(
        [
            keras.Input((4,)),
            layers.Dense(4, name="hidden1"),
            Block(name="block"),
            layers.Dense(4, name="hidden2"),
            layers.BatchNormalization(name="norm"),
            layers.Dense(2, name="output"),
        ]
    )


def masks(model=None, **choice):
    return list(lottery.get_masks(lottery.make_prunable(model or plain(), **choice)))


HIDDEN1, FIRST, SECOND, MATRIX = "hidden1/kernel", "block/first/kernel", "block/second/kernel", "block/matrix"
HIDDEN2, OUTPUT = "hidden2/kernel", "output/kernel"
quiet = pytest.mark.filterwarnings("ignore:These weights of layers of your own")


@quiet
@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        ({}, {HIDDEN1, FIRST, SECOND, HIDDEN2, OUTPUT}),
        ({"include": layers.Dense}, {HIDDEN1, FIRST, SECOND, HIDDEN2, OUTPUT}),
        ({"include": Block}, {FIRST, SECOND}),
        ({"include": "block"}, {FIRST, SECOND}),
        ({"include": "block/first"}, {FIRST}),
        ({"include": "first"}, {FIRST}),
        ({"include": "hidden*"}, {HIDDEN1, HIDDEN2}),
        ({"include": lambda layer: getattr(layer, "units", 0) == 2}, {OUTPUT}),
        ({"include": ["output", Block]}, {FIRST, SECOND, OUTPUT}),
        ({"include": ("output", "hidden1")}, {HIDDEN1, OUTPUT}),
        ({"exclude": "output"}, {HIDDEN1, FIRST, SECOND, HIDDEN2}),
        ({"exclude": Block}, {HIDDEN1, HIDDEN2, OUTPUT}),
        ({"exclude": lambda layer: layer.name.endswith("2")}, {HIDDEN1, FIRST, SECOND, OUTPUT}),
        ({"include": "block", "exclude": "second"}, {FIRST}),
        ({"include": "block/first", "exclude": ["block", "hidden*"], "kernels": {}}, set()),
        ({"include": ["first", "output"], "exclude": Block}, {OUTPUT}),
        ({"kernels": {Block: "matrix"}}, {HIDDEN1, MATRIX, FIRST, SECOND, HIDDEN2, OUTPUT}),
        ({"kernels": {"Block": ["matrix"]}, "include": Block}, {MATRIX, FIRST, SECOND}),
        ({"kernels": {Block: ("matrix",)}, "exclude": "block"}, {HIDDEN1, HIDDEN2, OUTPUT}),
    ],
)
def test_rules_choose(choice, expected):
    if not expected:
        with pytest.raises(lottery.LotteryError, match="Expected a model with layers that can be pruned"):
            masks(**choice)
    else:
        assert set(masks(**choice)) == expected


@quiet
def test_only_what_is_chosen_is_pruned():
    model = lottery.make_prunable(plain(), include="hidden*", exclude="hidden2")
    before = {row.path: row.remaining for row in rows(model)}
    lottery.prune(model, rate=0.5)
    after = {row.path: row.remaining for row in rows(model)}
    assert {path for path in before if before[path] != after[path]} == {HIDDEN1}
    assert lottery.sparsity(model) == 0.5
    stripped = lottery.strip(model)
    assert [int((np.asarray(v) == 0).sum()) for v in stripped.trainable_variables if v.name == "kernel"] == [
        8,
        0,
        0,
        0,
        0,
    ]


@quiet
@pytest.mark.parametrize(
    ("choice", "named"),
    [
        ({"include": "hiden*"}, "'hiden\\*'"),
        ({"include": ["hidden1", layers.LSTM]}, "'LSTM'"),
        ({"exclude": "nothing"}, "'nothing'"),
        ({"exclude": [layers.Dense, layers.Conv2D]}, "'Conv2D'"),
        ({"kernels": {layers.Embedding: "embeddings"}}, "'Embedding'"),
        ({"kernels": {"Blok": "matrix"}}, "'Blok'"),
    ],
)
def test_a_rule_that_concerns_nothing_is_one_clear_error(choice, named):
    with pytest.raises(lottery.LotteryError, match=f"Expected .* Received: {named}, which matches none") as e:
        masks(**choice)
    assert "\n" not in str(e.value)


@quiet
@pytest.mark.parametrize(
    ("choice", "received"),
    [
        ({"include": 3}, "include to be layer classes.*Received: 3"),
        ({"exclude": [None]}, "exclude to be layer classes.*Received: None"),
        ({"include": int}, "include to be layer classes.*Received: <class 'int'>"),
        ({"kernels": {Block: 3}}, "kernels to be .*Received"),
        ({"kernels": {Block: ()}}, "kernels to be .*Received"),
        ({"kernels": {Block: [3]}}, "kernels to be .*Received"),
        ({"kernels": {3: "matrix"}}, "kernels to be .*Received: 3"),
        ({"kernels": {int: "matrix"}}, "Received"),
        ({"kernels": "matrix"}, "kernels to be .*Received: 'matrix'"),
        ({"kernels": {Block: "nowhere"}}, "a variable 'nowhere'.*Received: 'block' with"),
    ],
)
def test_arguments_of_another_kind_are_one_clear_error(choice, received):
    with pytest.raises(lottery.LotteryError, match=f"Expected .*{received}") as error:
        masks(**choice)
    assert "\n" not in str(error.value)


def test_a_layer_of_the_users_own_declares_its_kernels():
    model = keras.Sequential([keras.Input((4,)), Leaf(name="leaf")])
    with pytest.warns(UserWarning, match="leaf/shift"):
        assert masks(model) == ["leaf/matrix"]
    again = keras.Sequential([keras.Input((4,)), Leaf(name="leaf")])
    assert masks(again, kernels={Leaf: "shift"}) == ["leaf/matrix", "leaf/shift"]


@pytest.mark.parametrize("answer", [None, "matrix", [np.ones(3)], 3])
def test_a_declaration_that_names_no_weights_is_one_clear_error(answer):
    class Wrong(Leaf):
        def get_prunable_weights(self):
            return answer

    with pytest.raises(lottery.LotteryError, match=r"Expected get_prunable_weights\(\) of Wrong") as error:
        masks(keras.Sequential([keras.Input((4,)), Wrong(), layers.Dense(2)]))
    assert "\n" not in str(error.value)


def test_a_layer_that_declares_none_is_left_as_it_is():
    class Nothing(Leaf):
        def get_prunable_weights(self):
            return []

    model = keras.Sequential([keras.Input((4,)), Nothing(name="none"), layers.Dense(2, name="output")])
    with pytest.warns(UserWarning, match="stay dense"):
        assert masks(model) == [OUTPUT]


def test_a_subclass_of_a_known_layer_is_known():
    class Own(layers.Dense):
        pass

    assert masks(keras.Sequential([keras.Input((4,)), Own(2, name="own")])) == ["own/kernel"]
    model = keras.Sequential([keras.Input((4,)), Own(2, name="own"), layers.Dense(2, name="output")])
    assert masks(model, include=Own) == ["own/kernel"]
    assert masks(model, exclude=Own) == [OUTPUT]


def embedded():
    inputs = keras.Input((3,), dtype="int32")
    x = layers.Embedding(9, 4, name="embed")(inputs)
    return keras.Model(inputs, layers.Dense(2, name="output")(x))


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        ({}, {OUTPUT}),
        ({"include": layers.Embedding}, {"embed/embeddings"}),
        ({"include": "embed"}, {"embed/embeddings"}),
        ({"include": ["embed", "output"]}, {"embed/embeddings", OUTPUT}),
        ({"include": "*"}, {"embed/embeddings", OUTPUT}),
        ({"kernels": {"Embedding": "embeddings"}}, {"embed/embeddings", OUTPUT}),
        ({"kernels": {layers.Embedding: "embeddings"}, "exclude": "embed"}, {OUTPUT}),
    ],
)
def test_embeddings_are_pruned_on_request(choice, expected):
    assert set(masks(embedded(), **choice)) == expected


def test_a_shared_layer_and_a_tied_weight_count_once():
    inputs = keras.Input((4,))
    shared = layers.Dense(4, name="shared")
    model = lottery.make_prunable(keras.Model(inputs, shared(shared(inputs))))
    lottery.prune(model, rate=0.5)
    assert {path: mask.sum() for path, mask in lottery.get_masks(model).items()} == {"shared/kernel": 8}
    assert lottery.sparsity(model, over="all") == 8 / 20

    tied = Tied()
    tied(np.zeros((1, 3), np.int32))
    model = lottery.make_prunable(tied, kernels={layers.Embedding: "embeddings"})
    assert set(lottery.get_masks(model)) == {"embed/embeddings", "dense/kernel"}
    lottery.prune(model, rate=0.5)
    assert lottery.sparsity(model) == (18 + 8) / (36 + 16)
    before = lottery.get_masks(model)
    model.compile("adam", "mse", jit_compile=False)
    model.fit(np.arange(9).reshape(3, 3), np.ones((3, 3, 9)), epochs=3, verbose=0)
    for path, kernel in get_kernels(model).items():
        assert ((kernel != 0) == before[path]).all(), path


def why(model):
    return {row.path: row.why for row in rows(model)}


@quiet
def test_the_table_says_why():
    reasons = why(lottery.make_prunable(plain(), exclude="hidden2"))
    assert reasons == {
        "hidden1/kernel": "prunable",
        "hidden1/bias": "no: not a kernel",
        "block/matrix": "no: a layer of your own, whose kernels aren't declared",
        "block/gain": "no: not a kernel",
        "block/first/kernel": "prunable",
        "block/first/bias": "no: not a kernel",
        "block/second/kernel": "prunable",
        "block/second/bias": "no: not a kernel",
        "hidden2/kernel": "no: left out by include or exclude",
        "hidden2/bias": "no: not a kernel",
        "norm/gamma": "no: not a kernel",
        "norm/beta": "no: not a kernel",
        "output/kernel": "prunable",
        "output/bias": "no: not a kernel",
    }
    assert why(embedded())["embed/embeddings"] == "no: on request only (kernels=, include=)"


@quiet
def test_the_table_adds_up():
    model = lottery.make_prunable(plain(), include=Block)
    lottery.prune(model, rate=0.25)
    lines = lottery.prunable_table(model).splitlines()
    assert lines[0].split() == ["weight", "layer", "shape", "weights", "remaining"]
    line = next(line for line in lines if line.startswith("block/first/kernel "))
    assert line.split() == ["block/first/kernel", "Dense", "(4,", "4)", "16", "12", "prunable"]
    total = sum(int(np.prod(v.shape)) for v in plain().trainable_variables)
    assert lines[-1] == (
        f"32 of {total} weights ({32 / total:.1%}) are prunable; 24 of those remain (75.0%), "
        f"{total - 8} of all {total} ({(total - 8) / total:.1%})."
    )


def test_the_table_of_a_plain_model_says_what_can_be_pruned():
    told = {row.path: row.why for row in rows(frozen())}
    assert told == {
        "frozen/kernel": "no: frozen (frozen=True prunes it)",
        "free/kernel": "not yet: make_prunable makes it prunable",
        "free/bias": "no: not a kernel",
    }


def test_the_table_refuses_what_is_no_model():
    with pytest.raises(lottery.LotteryError, match="Expected a Keras model. Received: int"):
        lottery.prunable_table(3)


def frozen():
    model = keras.Sequential(
        [keras.Input((4,)), layers.Dense(4, name="frozen", trainable=False), layers.Dense(4, name="free")]
    )
    model.compile("adam", "mse", jit_compile=False)
    return model


def test_a_frozen_layer_is_left_out_and_named():
    model = lottery.make_prunable(frozen())
    assert {row.path: row.why for row in rows(model)} == {
        "frozen/kernel": "no: frozen (frozen=True prunes it)",
        "free/kernel": "prunable",
        "free/bias": "no: not a kernel",
    }
    table = lottery.prunable_table(model)
    assert table.endswith(
        "16 of 20 weights (80.0%) are prunable; 16 of those remain (100.0%), 20 of all 20 (100.0%). "
        "16 more are frozen and not counted."
    )
    with pytest.raises(LotteryError, match="whose kernels are all frozen. Pass frozen=True"):
        lottery.make_prunable(frozen(), exclude="free")


def test_a_frozen_layer_is_pruned_where_one_asks_and_stays_frozen():
    model = lottery.make_prunable(frozen(), frozen=True)
    assert [v.path.split("/")[-2] for v in model.trainable_variables] == ["free", "free"]
    lottery.prune(model, rate=0.5)
    assert {row.path: row.remaining for row in rows(model) if row.why == "prunable"} == {
        "frozen/kernel": 8,
        "free/kernel": 8,
    }
    before = get_kernels(model)
    model.fit(np.ones((4, 4)), np.ones((4, 4)), verbose=0)
    after = get_kernels(model)
    assert (before["frozen/kernel"] == after["frozen/kernel"]).all()
    assert (before["free/kernel"] != after["free/kernel"]).any()
    assert not lottery.strip(model).get_layer("frozen").trainable
    assert masks(frozen(), exclude=lambda layer: not layer.trainable) == ["free/kernel"]


def test_a_layer_frozen_later_and_thawed_keeps_its_zeros():
    model = lottery.make_prunable(frozen())
    lottery.prune(model, rate=0.5)
    model.get_layer("free").trainable = False
    assert model.trainable_variables == []
    for layer in model.layers:
        layer.trainable = True
    assert len(model.trainable_variables) == 4
    model.compile("adam", "mse", jit_compile=False)
    model.fit(np.ones((4, 4)), np.ones((4, 4)), verbose=0)
    for path, kernel in get_kernels(model).items():
        assert np.count_nonzero(kernel) == 8, path


def test_a_layer_s_own_name_is_no_pattern():
    def model():
        stack = [layers.Dense(4, name=name) for name in ("out[class]", "outc", "other")]
        return keras.Sequential([keras.Input((4,)), *stack])

    assert masks(model(), include="out[class]") == ["out[class]/kernel"]
    assert masks(model(), exclude=["out[class]"]) == ["outc/kernel", "other/kernel"]
    assert masks(model(), include="out[a-c]") == ["outc/kernel"]
    inputs = keras.Input((3,), dtype="int32")
    embedded = keras.Model(inputs, layers.Embedding(9, 4, name="embed[a]")(inputs))
    assert masks(embedded, include="embed[a]") == ["embed[a]/embeddings"]
