import keras
import numpy as np
import pytest

from tests.exports.models import accuracy, conv_net
from tf_lottery.errors import LotteryError
from tf_lottery.exports.export import export
from tf_lottery.exports.formats import litert
from tf_lottery.exports.source import make_source

interpreter = pytest.importorskip("ai_edge_litert.interpreter")


def answers(path, x):
    run = interpreter.Interpreter(model_path=str(path), num_threads=1)
    given, asked = run.get_input_details()[0], run.get_output_details()[0]
    run.resize_tensor_input(given["index"], x.shape)
    run.allocate_tensors()
    scale, zero = given["quantization"]
    if given["dtype"] == np.int8:
        x = np.clip(np.round(x / scale + zero), -128, 127).astype(np.int8)
    run.set_tensor(given["index"], x)
    run.invoke()
    found = run.get_tensor(asked["index"])
    scale, zero = asked["quantization"]
    return (found.astype(np.float32) - zero) * scale if found.dtype == np.int8 else found


def source_of(model, digits):
    return make_source(model, (digits.test.x, digits.test.y), (digits.train.x, digits.train.y))


@pytest.mark.parametrize(
    ("kind", "network"),
    [
        *(("dynamic", "ticket"), ("sparse", "ticket"), ("int8", "ticket")),
        *(("float", "conv_ticket"), ("int8", "conv_ticket")),
        *(
            pytest.param(*pair, marks=pytest.mark.exhaustive)
            for pair in (("float", "ticket"), ("sparse", "conv_ticket"), ("dynamic", "conv_ticket"))
        ),
    ],
)
def test_it_answers_as_its_source_at_any_batch_size(kind, network, digits, tmp_path, request):
    source = source_of(request.getfixturevalue(network), digits)
    path = tmp_path / "m.tflite"
    getattr(litert, f"write_{kind}")(source, path)
    found, expected = answers(path, digits.test.x), source.outputs["outputs"]
    if kind in ("float", "sparse"):
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)
    assert accuracy(found, digits) > 0.85
    assert abs(accuracy(found, digits) - accuracy(expected, digits)) < 0.02
    assert answers(path, digits.test.x[:1]).shape == (1, 10)


def test_sparse_and_integer_files_are_smaller(ticket, digits, tmp_path):
    source = source_of(ticket, digits)
    sizes = {}
    for kind in ("float", "sparse", "int8"):
        getattr(litert, f"write_{kind}")(source, tmp_path / kind)
        sizes[kind] = (tmp_path / kind).stat().st_size
    assert sizes["sparse"] < sizes["float"] / 2
    assert sizes["int8"] < sizes["float"] / 2


def test_integer_files_take_and_give_integers(ticket, digits, tmp_path):
    litert.write_int8(source_of(ticket, digits), tmp_path / "m.tflite")
    run = interpreter.Interpreter(model_path=str(tmp_path / "m.tflite"))
    assert run.get_input_details()[0]["dtype"] == run.get_output_details()[0]["dtype"] == np.int8
    assert {detail["dtype"] for detail in run.get_tensor_details()} <= {np.int8, np.int32}


def test_ranges_are_read_from_training_examples(ticket, digits, tmp_path):
    with pytest.raises(LotteryError, match="ranges of activations from train_data, which is missing"):
        litert.write_int8(make_source(ticket, digits.test.x), tmp_path / "m")


def test_pixels_are_refused_where_the_file_takes_int8(ticket, digits, tmp_path):
    pixels = (digits.test.x * 255).astype(np.uint8)
    source = make_source(ticket, pixels, digits.train.x, pixels=True)
    with pytest.raises(LotteryError, match="litert int8, whose file takes int8. Received: pixels=True"):
        litert.write_int8(source, tmp_path / "m")
    litert.write_float(source, tmp_path / "m")
    found = answers(tmp_path / "m", pixels)
    np.testing.assert_allclose(found, source.outputs["outputs"], rtol=1e-4, atol=1e-4)


def test_an_operation_that_litert_doesn_t_have_is_refused_in_one_line(tmp_path):
    inputs = keras.Input((4, 4))
    model = keras.Model(inputs, keras.ops.linalg.cholesky(keras.layers.Dense(4)(inputs)))
    with pytest.raises(LotteryError, match="LiteRT can't convert an operation of 'functional") as caught:
        litert.write_float(make_source(model), tmp_path / "m")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "m").exists()


def test_the_same_bytes_each_time(digits, tmp_path):
    keras.utils.set_random_seed(3)
    source = source_of(conv_net(), digits)
    for name in ("first", "second"):
        litert.write_int8(source, tmp_path / name)
    assert (tmp_path / "first").read_bytes() == (tmp_path / "second").read_bytes()


def test_the_cause_is_named_where_float_indices_don_t_fit_8_bits(tmp_path):
    keras.utils.set_random_seed(0)
    layers = [keras.layers.Embedding(2000, 4), keras.layers.Flatten(), keras.layers.Dense(2)]
    model = keras.Sequential([keras.Input((8,)), *layers])
    x = np.random.default_rng(0).integers(0, 2000, (400, 8)).astype("float32")
    y = model(x).numpy().argmax(1)
    said = "its test accuracy is .* index into an Embedding, declared as a float: int8 rounds .* 'dynamic'"
    with pytest.raises(LotteryError, match=said):
        export(model, tmp_path / "m.tflite", "litert", "int8", test_data=(x, y), train_data=x, latency=False)
    report = export(model, tmp_path / "d.tflite", "litert", "dynamic", test_data=(x, y), latency=False)
    assert report.rows[0].status == "verified"
