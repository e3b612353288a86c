"""What it takes for several replicas to train as one device would, and the proof that they do."""

import keras
import tensorflow as tf


def synchronize(model: keras.Model, replicas: int) -> None:
    """Let batch normalization take its statistics over the whole batch, on all replicas.

    Each replica's own would train another network, with moving statistics that differ.
    """
    if replicas > 1:
        for layer in model._flatten_layers():
            if isinstance(layer, keras.layers.BatchNormalization):
                layer.synchronized = True


def check_replicas(variables: dict[str, keras.Variable]) -> None:
    """Assert that all replicas hold the same bits.

    Args:
        variables: name -> variable, of model, masks and optimizer.

    Raises:
        RuntimeError: if a replica differs. That is a defect of ours.
    """
    for name, variable in variables.items():
        copies = [copy.numpy().tobytes() for copy in local_copies(variable)]
        if any(copy != copies[0] for copy in copies):
            raise RuntimeError(f"{name} differs between replicas: please report this")


def local_copies(variable: keras.Variable) -> list[tf.Variable]:
    """Return a variable's copies on this machine, one a replica."""
    return list(getattr(variable.value, "values", [variable.value]))
