"""The command that tests networks again, class by class: `classes`."""

import sys
from typing import Annotated

import typer

from tf_lottery.cli.app import Functions, Round, Study, app, find


@app.command()
def classes(
    study: Study,
    round_: Round = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="A JSON object: round, summaries, by_class and churn.")
    ] = False,
    functions: Functions = [],  # noqa: B006
) -> None:
    """Show what a ticket loses that its accuracy hides: by class, by example, and in calibration."""
    from rich.console import Console

    from tf_lottery import terminal
    from tf_lottery.analysis.classes import classes as measure
    from tf_lottery.analysis.classes_words import describe
    from tf_lottery.cli.rows import print_rows
    from tf_lottery.live import bars
    from tf_lottery.store.store import Store
    from tf_lottery.store.study_file import load

    paths = find(study)
    config = load(paths)
    with terminal.unwound(), bars(Console(file=sys.stderr), "{task.completed}/{task.total} runs") as bar:
        task = bar.add_task("testing", total=None)

        def passed(done: int, runs: int) -> None:
            bar.update(task, completed=done, total=runs)

        found = measure(config, Store(paths), round_, passed=passed, functions=functions)
    if as_json:
        parts = {"summaries": found.summaries, "by_class": found.by_class, "churn": found.churn}
        print_rows(parts, round=found.round)
        return
    print("\n".join(describe(found)))
