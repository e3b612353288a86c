"""TensorFlow as the tests have it: quiet, two logical CPUs, one thread. To be imported before it is used.

Operations are deterministic from the beginning, as studies leave them: no test depends on whether an earlier
one has trained a study, and `fit` doesn't compile with XLA, for seconds a model, unless it is told to.
"""

import gc
import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("MPLBACKEND", "agg")

import tensorflow as tf

tf.config.set_logical_device_configuration(
    tf.config.list_physical_devices("CPU")[0], [tf.config.LogicalDeviceConfiguration()] * 2
)
tf.config.threading.set_intra_op_parallelism_threads(1)
tf.config.threading.set_inter_op_parallelism_threads(1)
tf.config.experimental.enable_op_determinism()
gc.freeze()  # modules stay: nothing is won by looking through them again and again,
gc.set_threshold(20_000, 20, 20)  # nor by looking through all compiled networks as often
