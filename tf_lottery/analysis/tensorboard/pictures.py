"""Masks as pictures: the more of a place remains, the darker it is."""

import io

import numpy as np
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.plugins.image.metadata import create_summary_metadata
from tensorboard.util.tensor_util import make_tensor_proto

MOST = 256
"""The most rows and columns of a picture; of more, each dot is the mean of a rectangle."""
LEAST = 192
"""What is smaller is enlarged, by a whole factor."""


def tiles(mask: np.ndarray) -> np.ndarray:
    """Return a mask as an array of two axes: inputs by outputs; a convolution's are a tile of positions each.

    Args:
        mask: The mask of a kernel. Its last two axes are its inputs and outputs, those before are positions.
    """
    if mask.ndim < 2:
        return mask.reshape(1, -1)
    *positions, inputs, outputs = mask.shape
    width = positions[-1] if len(positions) > 1 else 1
    height = int(np.prod(positions)) // width
    parts = mask.reshape(height, width, inputs, outputs)
    return parts.transpose(2, 0, 3, 1).reshape(inputs * height, outputs * width)


def shrunk(values: np.ndarray, most: int = MOST) -> np.ndarray:
    """Return the means of rectangles, so that no axis is longer than `most`.

    Args:
        values: An array of two axes.
        most: The most rows and columns.
    """
    values = np.asarray(values, float)
    for axis in (0, 1):
        size = values.shape[axis]
        begins = np.unique(np.linspace(0, size, min(size, most), endpoint=False).astype(int))
        sizes = np.diff([*begins, size]).reshape((-1, 1) if axis == 0 else (1, -1))
        values = np.add.reduceat(values, begins, axis=axis) / sizes
    return values


def picture(tag: str, values: np.ndarray, description: str) -> Summary:
    """Return the summary of a picture: white where nothing is, black where there is most.

    Args:
        tag: Its tag.
        values: An array of two axes, of numbers of at least 0.
        description: What it shows, in Markdown.
    """
    from matplotlib.image import imsave

    values = shrunk(values)
    most = values.max()
    shades = (255 * (1 - values / (most if most else 1))).round().astype(np.uint8)
    factor = max(1, LEAST // max(shades.shape))
    shades = shades.repeat(factor, 0).repeat(factor, 1)
    file = io.BytesIO()
    imsave(file, np.repeat(shades[..., None], 3, -1), format="png")
    height, width = (str(size).encode() for size in shades.shape)
    summary = Summary()
    summary.value.add(
        tag=tag,
        metadata=create_summary_metadata(display_name=None, description=description),
        tensor=make_tensor_proto(np.array([width, height, file.getvalue()], dtype=object)),
    )
    return summary
