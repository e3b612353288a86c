import keras
import numpy as np
import pytest

from tf_lottery.errors import LotteryError
from tf_lottery.exports.formats import interchange
from tf_lottery.exports.source import make_source


@pytest.mark.parametrize("network", ["ticket", "conv_ticket"])
def test_onnx_answers_as_its_source(network, digits, tmp_path, request):
    onnxruntime = pytest.importorskip("onnxruntime")
    pytest.importorskip("tf2onnx")
    source = make_source(request.getfixturevalue(network), (digits.test.x, digits.test.y))
    interchange.write_onnx(source, tmp_path / "m.onnx")
    session = onnxruntime.InferenceSession(str(tmp_path / "m.onnx"))
    for count in (1, len(digits.test)):
        (found,) = session.run(["outputs"], {"inputs": digits.test.x[:count]})
        np.testing.assert_allclose(found, source.outputs["outputs"][:count], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("network", ["ticket", "conv_ticket"])
def test_openvino_answers_as_its_source_in_float32(network, digits, tmp_path, request):
    openvino = pytest.importorskip("openvino")
    source = make_source(request.getfixturevalue(network), (digits.test.x, digits.test.y))
    interchange.write_openvino(source, tmp_path / "m")
    weights = sum(4 * kernel.size for kernel in source.kernels().values())
    assert (tmp_path / "m" / "model.bin").stat().st_size >= weights  # not halved to float16
    settings = {"INFERENCE_PRECISION_HINT": "f32"}
    model = openvino.Core().compile_model(str(tmp_path / "m" / "model.xml"), "CPU", settings)
    for count in (1, len(digits.test)):
        found = model({"inputs": digits.test.x[:count]})["outputs"]
        np.testing.assert_allclose(found, source.outputs["outputs"][:count], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(("what", "write"), [("ONNX", "write_onnx"), ("OpenVINO", "write_openvino")])
def test_operations_that_there_are_not_are_refused_in_one_line(what, write, tmp_path):
    pytest.importorskip("tf2onnx" if what == "ONNX" else "openvino")
    inputs = keras.Input((4, 4))
    model = keras.Model(inputs, keras.ops.linalg.cholesky(keras.layers.Dense(4)(inputs)))
    with pytest.raises(LotteryError, match=f"{what} can't convert an operation of .* The cause: ") as caught:
        getattr(interchange, write)(make_source(model), tmp_path / "m")
    assert "\n" not in str(caught.value)
