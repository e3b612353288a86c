"""The picture of a search: how good, and how soon, against weights remaining."""

from pathlib import Path

from tf_lottery.analysis.plots import Panel, draw_panels
from tf_lottery.method.results import Results
from tf_lottery.search.record import FitRecord


def draw_search(results: Results[FitRecord], path: Path, best: int | None) -> Path:
    """Draw a search.

    Args:
        results: The finished runs.
        path: Where to write the PNG.
        best: The round that gets the star, None for none.
    """
    monitor = results.records[0].monitor
    panels = (
        Panel(f"best {monitor}", lambda record: record.value),
        Panel(f"epoch of the best {monitor}", lambda record: record.epoch),
    )
    draw_panels(results, panels, path, best)
    return path
