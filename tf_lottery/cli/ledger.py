"""The command `ledger`: what a study cost."""

import json
from typing import Annotated

import typer

from tf_lottery.cli.app import Study, app, find, finite


@app.command()
def ledger(
    study: Study,
    as_json: Annotated[
        bool,
        typer.Option(
            "--json", help="A JSON object: the rounds of each arm, the comparisons, the study's total."
        ),
    ] = False,
    matched: Annotated[
        bool, typer.Option("--matched", help="Compare arms at equal cost: what else it would have bought.")
    ] = False,
) -> None:
    """Show what a study's runs cost: each round's own training, and the search that led to its masks."""
    from tf_lottery.analysis.findings import Findings
    from tf_lottery.analysis.ledger import describe, rows
    from tf_lottery.analysis.matched import at_equal_cost
    from tf_lottery.analysis.matched import rows as matched_rows
    from tf_lottery.analysis.matched_words import matched_lines
    from tf_lottery.method.plan import collect
    from tf_lottery.store.store import Store
    from tf_lottery.store.study_file import load

    paths = find(study)
    config = load(paths)
    records = collect(config, Store(paths).records())
    if as_json or matched:
        compared = at_equal_cost(Findings(config, records))
    if as_json:
        print(json.dumps(finite(rows(records) | {"matched": matched_rows(compared)}), indent=2))
        return
    for line in matched_lines(compared, config) if matched else describe(records):
        print(line)
