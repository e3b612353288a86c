"""Files for other runtimes: ONNX, OpenVINO."""

import logging
import tempfile
from dataclasses import replace
from pathlib import Path

import tensorflow as tf

from tf_lottery.exports.formats.fits import check_fits, refused
from tf_lottery.exports.formats.saved_model import write_dense
from tf_lottery.exports.source import Source
from tf_lottery.native import quiet_stderr

OPSET = 17
"""Of ONNX: what runtimes of the last years, onnxruntime-web's too, read."""


def write_onnx(source: Source, path: Path) -> None:
    """Write an ONNX file, with a free batch size."""
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
            onnx.checker.check_model(content)  # tf2onnx leaves operations in that there aren't
    except Exception as error:  # what tf2onnx raises depends on the operation
        raise refused(source, "ONNX", error) from error
    path.write_bytes(content.SerializeToString())


def write_openvino(source: Source, path: Path) -> None:
    """Write OpenVINO's two files, weights in float32."""
    check_fits(source, "OpenVINO")
    import openvino

    path.mkdir()
    with tempfile.TemporaryDirectory(prefix="tf_lottery_") as directory, quiet_stderr():
        plain = Path(directory) / "saved_model"
        write_dense(replace(source, classes=(), warmup=False), plain)
        try:
            converted = openvino.Core().read_model(str(plain))
        except Exception as error:  # its failures have no common kind
            raise refused(source, "OpenVINO", error) from error
        openvino.save_model(converted, str(path / "model.xml"), compress_to_fp16=False)
