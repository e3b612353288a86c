"""Starts TensorFlow without its start-up messages."""

import sys

from tf_lottery.native import quiet_stderr


def start_quietly() -> None:
    """Import TensorFlow and let it look for devices. This doesn't fix its number of threads yet."""
    if "tensorflow" not in sys.modules:
        with quiet_stderr():
            import tensorflow as tf

            tf.config.list_physical_devices()
