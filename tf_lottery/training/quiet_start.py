"""TensorFlow's start without its start-up lines."""

import sys

from tf_lottery.native import quiet_stderr


def start_quietly() -> None:
    """Import TensorFlow and let it look for devices, which doesn't yet fix its threads."""
    if "tensorflow" not in sys.modules:
        with quiet_stderr():
            import tensorflow as tf

            tf.config.list_physical_devices()
