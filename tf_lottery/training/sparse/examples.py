"""How examples come to the sparse engine: as rows of a flat array, and which rows make up each batch."""

from collections.abc import Iterator

import numpy as np

from tf_lottery.data.order import BatchOrder
from tf_lottery.data.split import Split
from tf_lottery.training.feed import Feed, Resident
from tf_lottery.training.pace import Span

# How many examples of a mapped file are read at once in an evaluation.
_PART = 1000

Rows = tuple[np.ndarray, np.ndarray, np.ndarray]
"""Examples as the rows of a flat array, uint8 or float32; indices of rows; the labels of these."""


def batches(feed: Feed, order: BatchOrder, spans: list[Span]) -> Iterator[Rows]:
    """Yield the batches of each span: the examples, then rows and labels of shape (steps, batch).

    Args:
        feed: The feed of training examples.
        order: The order that decides which examples make up each step's batch.
        spans: The spans of steps.
    """
    if isinstance(feed, Resident):
        x, y = feed.examples()
        flat = _flat(x)
        for first, last in spans:
            rows = order.batches(first, last)
            yield flat, rows, y[rows]
        return
    for (first, last), (x, y) in zip(spans, feed.chunks(order, spans), strict=True):
        steps, size = last - first, y.shape[1]
        rows = np.arange(steps * size, dtype=np.int32).reshape(steps, size)
        yield _flat(np.asarray(x[:steps])), rows, np.asarray(y[:steps])


def parts(split: Split) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield a split's examples and their labels, in parts where they lie in a mapped file."""
    size = _PART if split.mapped else len(split)
    for first in range(0, len(split), size):
        chosen = np.arange(first, min(first + size, len(split)))
        yield _flat(split.take(chosen)), split.y[chosen]


def _flat(x: np.ndarray) -> np.ndarray:
    kept = x if x.dtype in (np.uint8, np.float32) else x.astype(np.float32)
    return read_only(np.ascontiguousarray(kept).reshape(-1))


def read_only(flat: np.ndarray) -> np.ndarray:
    """Return a view that can't be written, as those of tensors are: numba compiles for one kind only."""
    view = flat.view()
    view.flags.writeable = False
    return view
