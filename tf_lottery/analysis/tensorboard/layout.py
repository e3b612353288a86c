"""The page of custom scalars: which charts there are, as TensorBoard reads it."""

from collections.abc import Iterable

import numpy as np
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.plugins.custom_scalar import layout_pb2, metadata
from tensorboard.util.tensor_util import make_tensor_proto

from tf_lottery.analysis.tensorboard.points import Chart

BAND = ("mean", "min", "max")
"""What follows a chart's tag: the line, and the lower and the upper end of its band."""


def tags(chart: Chart) -> tuple[str, str, str]:
    """Return the tags of a chart's line and of both ends of its band."""
    return tuple(f"{chart.tag}/{each}" for each in BAND)


def layout(charts: Iterable[Chart]) -> Summary:
    """Return the summary that tells TensorBoard's custom scalars which charts to draw.

    Args:
        charts: The charts, in their order; those of one category stand together. Equal ones are drawn once.
    """
    categories: dict[str, list[Chart]] = {}
    for chart in dict.fromkeys(charts):
        categories.setdefault(chart.category, []).append(chart)
    page = layout_pb2.Layout(
        category=[
            layout_pb2.Category(
                title=title,
                chart=[_margin(chart) for chart in reversed(of_title)],  # it draws the last one first
                closed=of_title[0].closed,
            )
            for title, of_title in categories.items()
        ]
    )
    summary = Summary()
    summary.value.add(
        tag=metadata.CONFIG_SUMMARY_TAG,
        metadata=metadata.create_summary_metadata(),
        tensor=make_tensor_proto(np.array(page.SerializeToString(), dtype=object)),
    )
    return summary


def _margin(chart: Chart) -> layout_pb2.Chart:
    value, lower, upper = tags(chart)
    series = layout_pb2.MarginChartContent.Series(value=value, lower=lower, upper=upper)
    return layout_pb2.Chart(title=chart.title, margin=layout_pb2.MarginChartContent(series=[series]))
