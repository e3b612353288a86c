"""Names of inputs that no file can have as they stand, in every format."""

import json
import warnings

import keras
import numpy as np
import pytest

import tf_lottery as lottery
from tf_lottery.errors import LotteryError
from tf_lottery.exports.examples import keras_input_names, named_inputs
from tf_lottery.exports.formats import registry
from tf_lottery.exports.signature import signature_of

NAMES = {"user.age": "user_age", "item-id": "item_id", "1st": "arg_1st", "_x y": "arg__x_y", "Plain": "Plain"}


def model_of(names, keys=None):
    inputs = [keras.Input((size,), name=name) for size, name in enumerate(names, 2)]
    outputs = keras.layers.Dense(3)(keras.layers.Concatenate()(inputs))
    return keras.Model(dict(zip(keys, inputs, strict=True)) if keys else inputs, outputs)


def arrays(count=5):
    generator = np.random.default_rng(0)
    return [generator.normal(size=(count, size)).astype("float32") for size in range(2, 2 + len(NAMES))]


def test_they_are_those_of_keras_s_own_export(tmp_path):
    tf = pytest.importorskip("tensorflow")
    names = ["user.age", "item-id", "Plain"]
    model = model_of(names)
    model.export(tmp_path / "keras", verbose=False)
    keras_s = tf.saved_model.load(str(tmp_path / "keras")).signatures["serving_default"]
    assert set(keras_s.structured_input_signature[1]) == set(signature_of(model, None, False))


def crossed(keys, names=NAMES):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of Keras, that the keys are other names
        return model_of(names, keys)


def test_data_may_be_called_by_either_name():
    model = crossed(["e", "d", "c", "b", "a"])
    signature = signature_of(model, None, False)
    order = dict(zip("edcba", NAMES, strict=True))
    assert list(signature) == [NAMES[order[key]] for key in "abcde"]
    sizes = [spec.shape[1] for spec in signature.values()]
    by_size = {array.shape[1]: array for array in arrays()}
    ways = (list(signature), [order[key] for key in "abcde"], list("abcde"))
    for names in ways:
        given = {name: by_size[size] for name, size in zip(names, sizes, strict=True)}
        found = named_inputs(given, signature, also=keras_input_names(model))
        assert list(found) == list(signature)
        assert [array.shape[1] for array in found.values()] == sizes
    with pytest.raises(LotteryError, match="Expected inputs .*'user_age'.*Received: .*'user.age'"):
        named_inputs({"user.age": arrays()[0]}, signature, also=keras_input_names(model))


def test_names_that_mean_two_things_are_refused():
    model = crossed(["b", "a"], names=["a", "b"])
    given = {"a": np.zeros((5, 2)), "b": np.zeros((5, 3))}
    with pytest.raises(LotteryError, match=r"\['a', 'b'\], are ambiguous: .* in the order \['b', 'a'\]"):
        named_inputs(given, signature_of(model, None, False), also=keras_input_names(model))


def test_names_that_would_be_one_are_refused(tmp_path):
    with pytest.raises(
        LotteryError,
        match="The inputs 'user.age' and 'user-age' would both be named 'user_age' .* Rename one",
    ):
        lottery.export(model_of(["user.age", "user-age", "b"]), tmp_path / "m")
    assert list(tmp_path.iterdir()) == []


EACH = [("savedmodel", "packed"), ("savedmodel", "dense"), ("litert", "float"), ("litert", "dynamic")]
EACH += [("onnx", None), ("openvino", None), ("compact", None)]


@pytest.mark.parametrize(("format", "weights"), EACH)
def test_every_format_takes_them(format, weights, tmp_path):
    kind = registry.find(format, weights)[1]
    model = model_of(NAMES)
    data = dict(zip(NAMES, arrays(), strict=True))
    path = tmp_path / f"m{kind.file[kind.file.find('.') :] if '.' in kind.file else ''}"
    report = lottery.export(model, path, format, weights, test_data=data, latency=False)
    assert report.rows[0].status == "verified"
    assert json.loads((tmp_path / f"{path.name}.report.json").read_text())["rows"][0]["status"] == "verified"
