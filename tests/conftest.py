"""Set up before anything imports TensorFlow: quiet, two logical CPUs, one thread."""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("MPLBACKEND", "agg")

import pytest
import tensorflow as tf

tf.config.set_logical_device_configuration(
    tf.config.list_physical_devices("CPU")[0], [tf.config.LogicalDeviceConfiguration()] * 2
)
tf.config.threading.set_intra_op_parallelism_threads(1)
tf.config.threading.set_inter_op_parallelism_threads(1)


@pytest.fixture(scope="session")
def digits():
    """Real data: scikit-learn's digits, split."""
    from tf_lottery.config import DataConfig
    from tf_lottery.data import sources, split

    config = DataConfig(name="digits", validation=200)
    return split.split(sources.load(config), config)
