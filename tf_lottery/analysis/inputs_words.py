"""Where the weights of the first layer are, as a picture, tables and words."""

from collections.abc import Sequence

import numpy as np

from tf_lottery.analysis.inputs import FEATURES, KERNEL, PIXELS, Inputs
from tf_lottery.analysis.picture import bars, picture
from tf_lottery.analysis.tables import table

MOST = 20
"""The most features or channels that are listed."""
_MAPS = ("round", "kind", "counts", "channels")
_OF_PIXELS = ("middle", "border")


def describe(rows: Sequence[Inputs]) -> list[str]:
    """Return a picture of the first row, and a table of all.

    Args:
        rows: Where weights are, of one round, at least one; the main arm's first.
    """
    first = rows[0]
    lines = [f"Weights of {first.path} that remain for each {_what(first)}: {first.arm}, round {first.round}"]
    lines += [*_SHOWN[first.kind](first), ""]
    if first.kind == KERNEL:
        lines += ["By arm: positions of the kernel without a weight (unread), and how many by chance"]
        return lines + table(rows, without=(*_MAPS, *_OF_PIXELS, "correlation", "constant"))
    pixels = any(row.middle is not None for row in rows)
    where = " weights a pixel in the middle and at the border;" if pixels else ""
    lines += [
        f"By arm: {first.kind} without a weight (unread), and by chance;{where}",
        f"the correlation by rank of weights with how much {first.kind} vary in the training data;",
        "the weights that read what is constant there",
    ]
    return lines + table(rows, without=_MAPS if pixels else (*_MAPS, *_OF_PIXELS))


def _what(row: Inputs) -> str:
    return {PIXELS: "pixel", FEATURES: "feature", KERNEL: "position of the kernel"}[row.kind]


def _pixels(row: Inputs) -> list[str]:
    counts = np.array(row.counts)
    image = counts.sum(axis=-1) if counts.ndim == 3 else counts
    frame = "+" + "-" * max(map(len, picture(np.ones_like(image)))) + "+"
    inner = [f"|{line.ljust(len(frame) - 2)}|" for line in picture(image)]
    return [frame, *inner, frame, f"blank: none; darkest: {image.max():,.1f}"]


def _features(row: Inputs) -> list[str]:
    counts = np.array(row.counts)
    places = [np.unravel_index(at, counts.shape) for at in np.argsort(-counts, axis=None, kind="stable")]
    shown = places[:MOST]
    names = [",".join(map(str, place)) for place in shown]
    lines = bars(names, [float(counts[place]) for place in shown])
    left = len(places) - len(shown)
    return [*lines, *([f"... and {left:,} with fewer"] if left else [])]


def _kernel(row: Inputs) -> list[str]:
    counts = np.array(row.counts)
    planes = counts.reshape(-1, counts.shape[-1])
    lines = [" ".join(f"{value:8,.1f}" for value in plane) for plane in planes]
    channels = list(row.channels[:MOST])
    lines += ["by channel of the input:", *bars([str(at) for at in range(len(channels))], channels)]
    left = len(row.channels) - len(channels)
    return [*lines, *([f"... and {left:,} channels more"] if left else [])]


_SHOWN = {PIXELS: _pixels, FEATURES: _features, KERNEL: _kernel}
