"""The command line: parses, calls, prints. Imports TensorFlow only when a command needs it."""

import json
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Find, prove and ship winning lottery tickets on Keras 3.",
)

_Study = Annotated[str, typer.Argument(help="A study's name under saved_models/, or its directory.")]


@app.command()
def run(
    config: Annotated[str, typer.Argument(help="A shipped config's name (see `list`) or a YAML file.")],
    set_: Annotated[
        list[str], typer.Option("--set", metavar="KEY=VALUE", help="Override a setting: pruning.rounds=8.")
    ] = [],  # noqa: B006
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="The study's directory [saved_models/NAME].")
    ] = None,
) -> None:
    """Run a study, or go on with one that was interrupted."""
    from tf_lottery import config_file
    from tf_lottery.study_run import run_and_report

    study = config_file.load_config(config, set_)
    raise typer.Exit(run_and_report(study, output))


@app.command()
def show(
    study: _Study,
    as_json: Annotated[bool, typer.Option("--json", help="A JSON list, an object a finished run.")] = False,
) -> None:
    """Show the finished runs of a study."""
    from tf_lottery.analysis import table
    from tf_lottery.analysis.verdict import verdict
    from tf_lottery.experiment.executor import load
    from tf_lottery.experiment.plan import collect
    from tf_lottery.experiment.store import Store

    paths = _find(study)
    config = load(paths)
    records = collect(config, Store(paths).records())
    if as_json:
        print(json.dumps([record.row() for record in records], indent=2))
        return
    for line in [*table.header(), *map(table.row, records), "", *verdict(records, config.tolerance)]:
        print(line)


@app.command(name="list")
def list_() -> None:
    """List the configs that come with tf_lottery, and the studies under saved_models/."""
    from tf_lottery import config_file
    from tf_lottery.paths import OUTPUT

    print("Configs (tf-lottery run NAME):")
    for name, path in config_file.shipped().items():
        print(f"  {name:20} {config_file.load_config(path).description}")
    print(f"\nStudies in {OUTPUT}/ (tf-lottery show NAME):")
    studies = sorted(path.parent for path in OUTPUT.glob("*/study.yaml"))
    for directory in studies:
        finished = len(list(directory.glob("runs/*/record.json")))
        print(f"  {directory.name:20} {finished} finished runs")
    if not studies:
        print("  none yet")


@app.command()
def data(name: Annotated[str, typer.Argument(help="mnist, fashion_mnist, cifar10, digits")]) -> None:
    """Fetch a data set, verify it, and say where it came from."""
    from tf_lottery.config import DataConfig
    from tf_lottery.data import sources

    examples = sources.load(DataConfig(name=name))
    print(
        f"{name}: {len(examples.y_train):,} training and {len(examples.y_test):,} test examples of shape "
        f"{examples.x_train.shape[1:]}, from {examples.source}"
    )


def _find(study: str):
    from tf_lottery.errors import LotteryError
    from tf_lottery.paths import OUTPUT, StudyPaths

    for root in (Path(study), OUTPUT / study):
        if StudyPaths(root).study.exists():
            return StudyPaths(root)
    present = ", ".join(sorted(path.parent.name for path in OUTPUT.glob("*/study.yaml"))) or "none"
    raise LotteryError(
        f"Expected a study's directory, or the name of one in {OUTPUT}/ ({present}). Received: {study!r}"
    )
