"""The command `connectivity`: are two trainings from one start connected by a line of low error?"""

import json
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from tf_lottery.cli.app import Functions, Study, app, find

if TYPE_CHECKING:
    from tf_lottery.analysis.forks import Pair


@app.command()
def connectivity(
    study: Study,
    points: Annotated[int, typer.Option(help="The points of each line, both ends included.")] = 30,
    as_json: Annotated[bool, typer.Option("--json", help="A JSON list, an object for each pair.")] = False,
    functions: Functions = [],  # noqa: B006
) -> None:
    """Measure the error barriers between runs that differ in the order of the examples (arm fork)."""
    from tf_lottery import terminal
    from tf_lottery.analysis.connectivity import connectivity as measure
    from tf_lottery.analysis.connectivity_words import describe
    from tf_lottery.store.store import Store
    from tf_lottery.store.study_file import load

    paths = find(study)
    config = load(paths)
    with terminal.unwound(), Bar(points) as bar:
        found = measure(config, Store(paths), points=points, passed=bar.passed, functions=functions)
    if as_json:
        print(json.dumps([each.row() for each in found], indent=2))
        return
    print("\n".join(describe(found)))


class Bar:
    """Shows on the terminal which pair is measured, and how far. Use it as a context manager.

    It is written to standard error, so that a program can read what the command prints.

    Args:
        points: The points of each line.
    """

    def __init__(self, points: int):
        from rich.console import Console

        from tf_lottery.live import bars

        console = Console(file=sys.stderr)
        self._points = points
        self._progress = bars(console, "{task.completed}/{task.total} points")
        self._task = None

    def __enter__(self) -> "Bar":
        self._progress.start()
        return self

    def __exit__(self, *exception) -> None:
        self._progress.stop()

    def passed(self, pair: "Pair", point: int) -> None:
        """Show how many points of a pair are measured."""
        if self._task is None:
            self._task = self._progress.add_task(pair.describe(), total=self._points)
        self._progress.update(self._task, description=pair.describe(), completed=point)
