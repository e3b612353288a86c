"""The command that looks at masks: `masks`."""

import sys
from dataclasses import asdict
from typing import Annotated

import typer

from tf_lottery.cli.app import Study, app, find


@app.command()
def masks(
    study: Study,
    round_: Annotated[
        int | None, typer.Option("--round", help="The round that is shown \\[the last].")
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="A JSON object: layers, shared and signs, of all rounds.")
    ] = False,
) -> None:
    """Show where weights remain, and what masks have in common: replicates, arms, against chance."""
    from rich.console import Console
    from rich.progress import Progress

    from tf_lottery.analysis import masks as found
    from tf_lottery.analysis.tables import table
    from tf_lottery.cli.rows import print_json
    from tf_lottery.errors import LotteryError
    from tf_lottery.method.plan import collect
    from tf_lottery.store.store import Store
    from tf_lottery.store.study_file import load

    paths = find(study)
    config = load(paths)
    store = Store(paths, config.storage)
    records = collect(config, store.records())
    by_layer = found.layers(records)
    if not by_layer:
        raise LotteryError(f"No pruned run of {paths.root} is finished yet. Run the study first.")
    rounds = sorted({layer.round for layer in by_layer})
    if round_ is not None and round_ not in rounds:
        raise LotteryError(f"Expected --round of {rounds[0]} to {rounds[-1]}. Received: {round_}")
    with Progress(console=Console(file=sys.stderr), transient=True) as progress:
        task = progress.add_task("comparing masks", total=None)
        shared = found.shared(records, store, lambda made: progress.update(task, completed=made))
        signs = found.signs(records, store)
    if as_json:
        parts = {"layers": by_layer, "shared": shared, "signs": signs}
        print_json({name: [asdict(row) for row in rows] for name, rows in parts.items()})
        return
    at = rounds[-1] if round_ is None else round_
    lines = [f"Weights that remain by layer, round {at} (effective: on a path from an input to an output)"]
    lines += table([layer for layer in by_layer if layer.round == at], without=("round",))
    if here := [row for row in shared if row.round == at]:
        lines += ["", f"What masks of round {at} have in common, as shares of the sparser one, and by chance"]
        lines += table(here, without=("round",))
    if signs:
        lines += ["", "Remaining weights that end with the sign that they had at step 0"]
        lines += table(signs)
    print("\n".join(lines))
