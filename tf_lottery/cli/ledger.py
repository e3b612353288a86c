"""The command `ledger`: what a study cost."""

import json
from typing import Annotated

import typer

from tf_lottery.cli.app import Study, app, find


@app.command()
def ledger(
    study: Study,
    as_json: Annotated[
        bool, typer.Option("--json", help="A JSON object: the rounds of each arm, and the study's total.")
    ] = False,
) -> None:
    """Show what a study's runs cost: each round's own training, and the search that led to its masks."""
    from tf_lottery.analysis.ledger import describe, rows
    from tf_lottery.method.plan import collect
    from tf_lottery.store.store import Store
    from tf_lottery.store.study_file import load

    paths = find(study)
    records = collect(load(paths), Store(paths).records())
    if as_json:
        print(json.dumps(rows(records), indent=2))
        return
    for line in describe(records):
        print(line)
