"""A closer look at the main arm's first replicate: histograms of surviving weights, and masks as pictures."""

from collections.abc import Iterator

import numpy as np
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.plugins.histogram.metadata import create_summary_metadata
from tensorboard.util.tensor_util import make_tensor_proto

from tf_lottery.analysis.pixels import per_pixel
from tf_lottery.analysis.tensorboard.pictures import picture, tiles
from tf_lottery.analysis.weights import surviving
from tf_lottery.method.spec import Record
from tf_lottery.store.store import Store

BUCKETS = 40


def histogram(tag: str, values: np.ndarray, description: str) -> Summary | None:
    """Return the summary of a histogram in percent of its values; None if no value is finite.

    Counts would hide sparse rounds beside the dense one.

    Args:
        tag: Its tag.
        values: The values. Those that aren't finite are left out.
        description: What it shows, in Markdown.
    """
    values = values[np.isfinite(values)].astype(float)
    if not values.size:
        return None
    counts, edges = np.histogram(values, BUCKETS)
    buckets = np.stack([edges[:-1], edges[1:], 100 * counts / values.size], axis=1)
    summary = Summary()
    summary.value.add(
        tag=tag,
        metadata=create_summary_metadata(display_name=None, description=description),
        tensor=make_tensor_proto(buckets, dtype=np.float64),
    )
    return summary


def closer_look(record: Record, store: Store) -> Iterator[Summary]:
    """Yield histograms of a run's weights, where they are kept, and pictures of its masks.

    Args:
        record: A finished run.
        store: The store that holds its masks and weights.

    Raises:
        DamagedError: If a file fails its checksum.
    """
    for path, before, after in surviving(record, store):
        for when, values in (("start", before), ("end", after)):
            words = (
                f"The weights of {path} that remain, in percent of them, at the {when} of the training. "
                "The step is the round."
            )
            summary = (
                None if values is None else histogram(f"weights_at_{when}_percent/{path}", values, words)
            )
            if summary is not None:
                yield summary
    masks = store.masks(record.key)
    for path, mask in masks.items():
        words = (
            f"The mask of {path} {list(mask.shape)}, inputs from above to below, outputs from left to right. "
            "The darkest place keeps most. The step is the round."
        )
        yield picture(f"masks/{path}", tiles(mask), words)
    counts = per_pixel(masks, record)
    if counts is not None:
        words = "How many weights of the first layer remain for each pixel. The darkest pixel keeps most."
        yield picture("input_pixels", counts, words)
