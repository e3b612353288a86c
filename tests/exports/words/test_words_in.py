"""Models that take strings: a SavedModel serves them, other files are refused in a line."""

import keras
import numpy as np
import pytest

import tf_lottery as lottery
from tf_lottery.errors import LotteryError
from tf_lottery.exports.examples import named_inputs
from tf_lottery.exports.signature import signature_of

L = keras.layers
TEXTS = ["the cat sat", "on the mat", "größe", "", "never heard of"]


def texts():
    vectors = L.TextVectorization(max_tokens=50, output_sequence_length=4)
    vectors.adapt(TEXTS[:3])
    inputs = keras.Input((), dtype="string")
    return keras.Model(inputs, L.Dense(2)(L.GlobalAveragePooling1D()(L.Embedding(50, 4)(vectors(inputs)))))


def words():
    kind, size = keras.Input((1,), dtype="string", name="kind.of"), keras.Input((3,), name="size")
    lookup = L.StringLookup(vocabulary=["red", "größe"], output_mode="one_hot")
    return keras.Model([kind, size], L.Dense(2)(L.Concatenate()([lookup(kind), size])))


@pytest.mark.parametrize(
    ("model", "data", "weights"),
    [
        (texts, (np.array(TEXTS), np.array([0, 1, 0, 1, 0])), "packed"),
        (texts, np.array(TEXTS, object), "dense"),
        (texts, None, "packed"),
        (words, {"kind.of": np.array([["red"], ["blue"]]), "size": np.ones((2, 3))}, "packed"),
        (words, {"kind.of": np.array([["red"], ["blue"]]), "size": np.ones((2, 3))}, "dense"),
    ],
)
def test_a_saved_model_serves_them_in_a_fresh_process(model, data, weights, tmp_path):
    report = lottery.export(model(), tmp_path / "m", weights=weights, test_data=data, latency=False)
    found = report.rows[0].verified
    assert found.identical
    assert found.graph_session
    assert (found.accuracy is not None) is isinstance(data, tuple)


def test_its_answers_are_the_model_s(tmp_path):
    tf = pytest.importorskip("tensorflow")
    model = texts()
    lottery.export(model, tmp_path / "m", test_data=np.array(TEXTS), latency=False)
    serve = tf.saved_model.load(str(tmp_path / "m")).signatures["serving_default"]
    assert np.array_equal(serve(inputs=tf.constant(TEXTS))["outputs"], model(tf.constant(TEXTS)))


@pytest.mark.parametrize(
    ("format", "file", "what"),
    [
        ("litert", "m.tflite", "LiteRT"),
        ("onnx", "m.onnx", "ONNX"),
        ("openvino", "m", "OpenVINO"),
    ],
)
def test_other_formats_say_what_to_do(format, file, what, tmp_path):
    said = f"{what} can't take strings, as the input 'kind_of' does. Use a SavedModel, or look"
    with pytest.raises(LotteryError, match=said):
        lottery.export(words(), tmp_path / file, format, latency=False)


@pytest.mark.parametrize(("format", "file"), [("litert", "m.tflite"), ("onnx", "m.onnx")])
def test_tables_of_numbers_are_named_where_they_don_t_fit(format, file, tmp_path):
    lookup = L.IntegerLookup(vocabulary=[3, 5, 7], output_mode="one_hot")
    model = keras.Sequential([keras.Input((2,), dtype="int64"), lookup, L.Dense(2)])
    with pytest.raises(LotteryError, match="can't hold the table in which .* looks numbers up. Use a"):
        lottery.export(model, tmp_path / file, format, latency=False)
    report = lottery.export(model, tmp_path / "m", latency=False)
    assert report.rows[0].verified.identical


@pytest.mark.parametrize(
    "bad", [np.array([1, 2]), np.array(["a", 3], object), np.array([b"a\0", b"b"], object)]
)
def test_what_is_no_text_is_refused(bad):
    with pytest.raises(LotteryError, match=r"Expected test inputs 'inputs' of shape \(None,\) and string"):
        named_inputs(bad, signature_of(texts(), None, False))


def test_strings_out_are_refused_with_what_to_do(tmp_path):
    names = L.StringLookup(vocabulary=["red", "blue"], invert=True)
    model = keras.Sequential([keras.Input((2,), dtype="int64"), names])
    with pytest.raises(
        LotteryError, match="The output 'outputs' consists of strings, .* Export the model without its last"
    ):
        lottery.export(model, tmp_path / "m", latency=False)


def test_compact_models_keep_their_vocabularies(tmp_path):
    tf = pytest.importorskip("tensorflow")
    model = texts()
    assert np.array_equal(lottery.compact(model).model(tf.constant(TEXTS)), model(tf.constant(TEXTS)))
    report = lottery.export(model, tmp_path / "m.keras", "compact", test_data=np.array(TEXTS), latency=False)
    assert report.rows[0].status == "verified"
