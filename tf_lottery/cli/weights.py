"""The command that looks at the values of weights: `weights`."""

import sys
from typing import Annotated

import typer

from tf_lottery.cli.app import Round, Study, app, find


@app.command()
def weights(
    study: Study,
    round_: Round = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="A JSON object: round, distributions and chosen.")
    ] = False,
) -> None:
    """Show how weights are distributed at both ends of training, and which initial values are kept."""
    from rich.console import Console

    from tf_lottery.analysis import weights as found
    from tf_lottery.analysis.shown import round_to_show, runs_to_show
    from tf_lottery.analysis.weights_words import describe
    from tf_lottery.cli.rows import print_rows
    from tf_lottery.live import bars
    from tf_lottery.method.plan import collect
    from tf_lottery.method.results import Results
    from tf_lottery.store.store import Store
    from tf_lottery.store.study_file import load

    paths = find(study)
    config = load(paths)
    store = Store(paths, config.storage)
    results = Results(collect(config, store.records()))
    at = round_to_show(results, config.tolerance, round_)
    records = runs_to_show(results, at)
    with bars(Console(file=sys.stderr), "{task.completed}/{task.total} runs") as bar:
        task = bar.add_task("reading weights", total=len(records))
        rows = found.distributions(records, store, lambda read: bar.update(task, completed=read))
        chosen = found.chosen(records, store)
    if as_json:
        print_rows({"distributions": rows, "chosen": chosen}, round=at)
        return
    print("\n".join(describe(at, rows, chosen)))
