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
    from rich.progress import Progress

    from tf_lottery.analysis import weights as found
    from tf_lottery.analysis.shown import round_to_show, runs_to_show
    from tf_lottery.analysis.weights_words import describe
    from tf_lottery.cli.rows import print_rows
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
    with Progress(console=Console(file=sys.stderr), transient=True) as progress:
        task = progress.add_task("reading weights", total=len(records))
        advanced = lambda read: progress.update(task, completed=read)  # noqa: E731
        rows = found.distributions(records, store, advanced)
        chosen = found.chosen(records, store)
    if as_json:
        print_rows({"distributions": rows, "chosen": chosen}, round=at)
        return
    print("\n".join(describe(at, rows, chosen)))
