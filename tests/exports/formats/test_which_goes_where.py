"""The table of docs/export.md, which kind of model goes where: each cell is tried."""

from pathlib import Path

import keras
import numpy as np
import pytest

import tf_lottery as lottery
from tf_lottery.errors import LotteryError
from tf_lottery.exports.formats import registry
from tf_lottery.exports.source import make_source

L = keras.layers
TEXT = (Path(__file__).parents[3] / "docs/export.md").read_text()
FORMATS = {
    "`savedmodel`": ("savedmodel", None, ""),
    "`compact`": ("compact", None, ".keras"),
    "`litert`": ("litert", "float", ".tflite"),
    "`int8`": ("litert", "int8", ".tflite"),
    "`onnx`": ("onnx", None, ".onnx"),
    "`openvino`": ("openvino", None, ""),
}


@keras.saving.register_keras_serializable("tests")
class Own(L.Layer):
    def build(self, shape):
        self.matrix = self.add_weight(shape=(shape[-1], shape[-1]), name="matrix")

    def call(self, x):
        return x @ self.matrix


class Subclassed(keras.Model):
    def __init__(self):
        super().__init__()
        self.dense = L.Dense(3)

    def call(self, x):
        return self.dense(x)


def chain(shape, *layers, **options):
    return keras.Sequential([keras.Input(shape, **options), *layers, L.Dense(3)])


def attention():
    inputs = keras.Input((5, 8))
    x = L.LayerNormalization()(inputs + L.MultiHeadAttention(2, 4)(inputs, inputs))
    return keras.Model(inputs, L.Dense(3)(L.GlobalAveragePooling1D()(x)))


def several():
    inputs = [keras.Input((4,), name="user.age"), keras.Input((3,), name="b")]
    hidden = L.Dense(8)(L.Concatenate()(inputs))
    return keras.Model(inputs, {"x": L.Dense(2)(hidden), "y": L.Dense(1)(hidden)})


def subclassed():
    model = Subclassed()
    model(np.ones((2, 8)))
    return model


def tokens(dtype):
    return chain((5,), L.Embedding(3000, 8), L.GlobalAveragePooling1D(), dtype=dtype)


def texts():
    vectors = L.TextVectorization(max_tokens=50, output_sequence_length=6)
    vectors.adapt(["a b c d", "the cat sat"])
    return chain((), vectors, L.Embedding(50, 4), L.GlobalAveragePooling1D(), dtype="string")


def looked_up(layer, dtype):
    return chain((1,), layer, dtype=dtype)


MODELS = {
    "Dense": lambda: chain((8,), L.Dense(16, "relu")),
    "convolutions": lambda: chain((8, 8, 1), L.Conv2D(4, 3), L.BatchNormalization(), L.ReLU(), L.Flatten()),
    "attention": attention,
    "recurrent, a fixed number of steps": lambda: chain((5, 8), L.Bidirectional(L.LSTM(6))),
    "recurrent, any number of steps": lambda: chain((None, 8), L.GRU(6)),
    "recurrent, stateful": lambda: chain(None, L.LSTM(6, stateful=True), batch_shape=(4, 5, 8)),
    "indices (`Embedding`), declared as integers": lambda: tokens("int32"),
    "indices, declared as floats": lambda: tokens("float32"),
    "strings, `StringLookup`": lambda: looked_up(
        L.StringLookup(vocabulary=["x", "y"], output_mode="one_hot"), "string"
    ),
    "strings, `TextVectorization`": texts,
    "numbers, `IntegerLookup`": lambda: looked_up(
        L.IntegerLookup(vocabulary=[3, 5], output_mode="one_hot"), "int64"
    ),
    "several inputs or outputs": several,
    "layers of your own, registered": lambda: chain((8,), Own()),
    "subclassed models": subclassed,
}


def table():
    lines = [line for line in TEXT.splitlines() if line.startswith("|")]
    start = next(n for n, line in enumerate(lines) if line.startswith("| model |"))
    head = [cell.strip() for cell in lines[start].strip("|").split("|")]
    found = {}
    for line in lines[start + 2 :]:
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if len(cells) != len(head):
            break
        found[cells[0]] = dict(zip(head[1:], cells[1:], strict=True))
    return found


def test_it_has_every_kind_and_format():
    assert list(table()) == list(MODELS)
    assert all(list(row) == list(FORMATS) for row in table().values())
    assert {cell for row in table().values() for cell in row.values()} == {"yes", "no"}


def data(model):
    """Inputs by chance, of 300 examples where a model takes any number."""
    if not getattr(model, "inputs", None):
        return np.random.default_rng(0).normal(size=(300, 8)).astype("float32")
    if len(model.inputs) > 1 or model.inputs[0].dtype != "float32" or model.inputs[0].shape[0]:
        return None
    shape = [5 if size is None else size for size in model.inputs[0].shape[1:]]
    generator = np.random.default_rng(0)
    if isinstance(model.layers[0], L.Embedding):
        return generator.integers(0, 3000, (300, *shape)).astype("float32")
    return generator.normal(size=(300, *shape)).astype("float32")


def cells():
    """Every cell: of those that say yes, one half is exhaustive, as on a chessboard."""
    told = table()
    for row, kind in enumerate(MODELS):
        for number, column in enumerate(FORMATS):
            slow = (row + number) % 2 == 0 or told.get(kind, {}).get(column) == "no"
            mark = pytest.mark.slow if slow else pytest.mark.exhaustive
            yield pytest.param(kind, column, marks=mark)


@pytest.mark.parametrize(("kind", "column"), cells())
def test_each_cell(kind, column, tmp_path):
    format, weights, ending = FORMATS[column]
    if registry.missing(registry.find(format, weights)[1]):
        pytest.skip("not installed")
    keras.utils.set_random_seed(0)
    model = MODELS[kind]()
    given = {"latency": False, "accuracy_loss": 0.03}
    if (x := data(model)) is not None:
        y = np.asarray(model(x)).argmax(1)
        given |= {"test_data": (x, y), "train_data": x}
    elif column == "`int8`" and len(model.inputs) == 1:
        given["train_data"] = make_source(model).examples["inputs"]
    try:
        report = lottery.export(model, tmp_path / f"m{ending}", format, weights, **given)
        found, said = "yes" if report.rows[0].status == "verified" else "no", ""
    except LotteryError as error:
        found, said = "no", str(error)
    assert "\n" not in said
    assert found == table()[kind][column], said
