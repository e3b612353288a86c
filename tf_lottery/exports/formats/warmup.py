"""Requests that TensorFlow Serving runs on a model before it takes real ones."""

from collections.abc import Iterator, Mapping

import numpy as np
import tensorflow as tf

from tf_lottery.errors import LotteryError

BATCHES = (1, 32)


def warmup_requests(examples: Mapping[str, np.ndarray], signature: str) -> Iterator[bytes]:
    """Yield one serialized request for each batch size in `BATCHES`.

    Args:
        examples: Input name -> array, from which the requests are made.
        signature: The name of the SavedModel's signature.

    Raises:
        LotteryError: If tensorflow-serving-api isn't installed.
    """
    try:
        from tensorflow_serving.apis import model_pb2, predict_pb2, prediction_log_pb2
    except ImportError as error:
        raise LotteryError(
            "Warm-up requests need tensorflow-serving-api, which is not installed. "
            "Use pip install 'tf_lottery[serving]'"
        ) from error
    for batch in BATCHES:
        request = predict_pb2.PredictRequest(
            model_spec=model_pb2.ModelSpec(signature_name=signature),
            inputs={name: tf.make_tensor_proto(array[:batch]) for name, array in examples.items()},
        )
        log = prediction_log_pb2.PredictLog(request=request)
        yield prediction_log_pb2.PredictionLog(predict_log=log).SerializeToString()
