"""Which pixels the first layer reads, from masks alone, where it is a Dense layer on the flattened image.

`analysis.inputs` finds the first layer of any network, by building it; this is for pages and charts, which
build nothing.
"""

import math
from collections.abc import Mapping

import numpy as np

from tf_lottery.method.spec import Record

DENSE_ON_PIXELS = {"lenet_300_100": "hidden1/kernel", "mlp": "hidden1/kernel"}
"""The networks whose first layer is a Dense one on the flattened image -> its kernel."""


def kernel_on_pixels(record: Record) -> str | None:
    """Return the kernel of a first layer that is Dense on the flattened image; None if none is known.

    Args:
        record: A run's record.
    """
    model, shape = record.spec.model, record.resolved.get("input_shape")
    if model.build or not isinstance(shape, list | tuple) or len(shape) not in (2, 3) or min(shape[:2]) < 2:
        return None
    return DENSE_ON_PIXELS.get(model.name)


def per_pixel(masks: Mapping[str, np.ndarray], record: Record) -> np.ndarray | None:
    """Return how many weights of the first layer remain at each pixel, over all channels and units.

    Args:
        masks: The masks of a run.
        record: The run's record.

    Returns:
        An array of rows x columns; None if the first layer isn't known to be a Dense one on an image, or is
        never pruned.
    """
    path = kernel_on_pixels(record)
    if path not in masks or masks[path].shape[0] != math.prod(record.resolved["input_shape"]):
        return None
    return masks[path].reshape(*record.resolved["input_shape"][:2], -1).sum(axis=2)
