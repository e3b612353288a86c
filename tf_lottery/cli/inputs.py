"""The command that looks at the first layer: `inputs`."""

import sys
from typing import Annotated

import typer

from tf_lottery.cli.app import Functions, Round, Study, app, find


@app.command()
def inputs(
    study: Study,
    round_: Round = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="A JSON object: round and inputs, with the counts as arrays.")
    ] = False,
    functions: Functions = [],  # noqa: B006
) -> None:
    """Show which pixels or features the remaining weights of the first layer read."""
    from rich.console import Console

    from tf_lottery import terminal
    from tf_lottery.analysis.inputs import inputs as look
    from tf_lottery.analysis.inputs_words import describe
    from tf_lottery.analysis.shown import round_to_show
    from tf_lottery.cli.rows import print_rows
    from tf_lottery.errors import LotteryError
    from tf_lottery.live import bars
    from tf_lottery.method.plan import collect
    from tf_lottery.method.results import Results
    from tf_lottery.store.store import Store
    from tf_lottery.store.study_file import load

    paths = find(study)
    config, store = load(paths), Store(paths)
    results = Results(collect(config, store.records()))
    at = round_to_show(results, config.tolerance, round_)
    of_round = [record for record in results.records if record.spec.round == at]
    records = sorted(of_round, key=lambda record: record.spec.arm != results.main)  # the main arm's first
    if not at:
        raise LotteryError("Expected the --round of a pruned network: the dense one reads every input.")
    with terminal.unwound(), bars(Console(file=sys.stderr), "{task.completed}/{task.total} runs") as bar:
        task = bar.add_task("looking at masks", total=len(records))
        rows = look(records, store, None, lambda done: bar.update(task, completed=done), functions)
    if as_json:
        print_rows({"inputs": rows}, round=at)
        return
    print("\n".join(describe(rows)))
