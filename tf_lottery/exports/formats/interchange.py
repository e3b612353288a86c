"""Writing files for other runtimes: ONNX and OpenVINO."""

import logging
import tempfile
from dataclasses import replace
from pathlib import Path

import tensorflow as tf

from tf_lottery.exports.formats.fits import check_fits, conversion_error
from tf_lottery.exports.formats.saved_model import write_dense
from tf_lottery.exports.source import Source
from tf_lottery.native import quiet_stderr

OPSET = 17
"""The version of ONNX's operations. Runtimes of the last years, onnxruntime-web included, can read it."""


def write_onnx(source: Source, path: Path) -> None:
    """Write an ONNX file that takes any batch size."""
    check_fits(source, "ONNX")
    import onnx
    import tf2onnx

    logging.getLogger("tf2onnx").setLevel(logging.CRITICAL)
    signature = list(source.signature.values())
    names = [spec.name for spec in signature]

    @tf.function(input_signature=signature, autograph=False)
    def serve(*tensors):
        return source.function.python_function(**dict(zip(names, tensors, strict=True)))

    try:
        with quiet_stderr():
            content, _ = tf2onnx.convert.from_function(serve, input_signature=signature, opset=OPSET)
            onnx.checker.check_model(content)  # tf2onnx lets unknown operations through
    except Exception as error:  # tf2onnx may raise anything, depending on the operation
        raise conversion_error(source, "ONNX", error) from error
    path.write_bytes(content.SerializeToString())


def write_openvino(source: Source, path: Path) -> None:
    """Write OpenVINO's two files, with weights in float32."""
    check_fits(source, "OpenVINO")
    import openvino

    path.mkdir()
    with tempfile.TemporaryDirectory(prefix="tf_lottery_") as directory, quiet_stderr():
        plain = Path(directory) / "saved_model"
        write_dense(replace(source, classes=(), warmup=False), plain)
        try:
            converted = openvino.Core().read_model(str(plain))
        except Exception as error:  # openvino may raise anything
            raise conversion_error(source, "OpenVINO", error) from error
        openvino.save_model(converted, str(path / "model.xml"), compress_to_fp16=False)
