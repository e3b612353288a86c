"""The picture of a search: the best value and its epoch, against weights remaining."""

from pathlib import Path

from tf_lottery.analysis.plots import Panel, draw_panels
from tf_lottery.method.results import Results
from tf_lottery.search.record import FitRecord


def draw_search(results: Results[FitRecord], path: Path, best: int | None) -> Path:
    """Draw a search.

    Args:
        results: The search's finished runs.
        path: The PNG file to write.
        best: The round that is marked with a star; None marks no round.
    """
    monitor = results.records[0].monitor
    panels = (
        Panel(f"best {monitor}", lambda record: record.value),
        Panel(f"epoch of the best {monitor}", lambda record: record.epoch),
    )
    draw_panels(results, panels, path, best)
    return path
