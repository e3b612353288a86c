"""Starts TensorFlow without its start-up messages."""

import logging
import sys

from tf_lottery.native import quiet_stderr


def start_quietly() -> None:
    """Import TensorFlow and let it look for devices. This doesn't fix its number of threads yet."""
    if "tensorflow" not in sys.modules:
        with quiet_stderr():
            import tensorflow as tf

            tf.config.list_physical_devices()
    logging.getLogger("tensorflow").addFilter(_says_more_than_that_networks_are_many)


def _says_more_than_that_networks_are_many(record: logging.LogRecord) -> bool:
    """Return False for the warning that a function is traced often: each network has functions of its own."""
    return "tf.function retracing" not in record.getMessage()
