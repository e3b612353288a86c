"""The command that looks for the best settings: `tune`."""

from pathlib import Path
from typing import Annotated

import typer

from tf_lottery.cli.app import app


@app.command()
def tune(
    config: Annotated[str, typer.Argument(help="A shipped tuning's name (see `list`) or a YAML file.")],
    set_: Annotated[
        list[str], typer.Option("--set", metavar="KEY=VALUE", help="Override a setting: tune.candidates=10.")
    ] = [],  # noqa: B006
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="The tuning's directory \\[saved_models/NAME].")
    ] = None,
    workers: Annotated[
        int | None, typer.Option("--workers", "-w", help="Processes that train side by side \\[one a core].")
    ] = None,
    executor: Annotated[str, typer.Option(help="local, or ray: a cluster.")] = "local",
    address: Annotated[
        str | None, typer.Option(help="The address of a running Ray cluster \\[a local one].")
    ] = None,
    gpus: Annotated[float | None, typer.Option(help="GPUs for each run on a Ray cluster: 1, 0.25.")] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Check, and say what would be tried; train nothing.")
    ] = False,
    strict_environment: Annotated[
        bool, typer.Option("--strict-environment", help="Refuse runs of other versions or processors.")
    ] = False,
    retry_failed: Annotated[bool, typer.Option("--retry-failed", help="Train failed runs again.")] = False,
) -> None:
    """Find the best settings of a study, such as k and p, or go on with a tuning that was interrupted."""
    from tf_lottery.config_tune import load_tuning
    from tf_lottery.drivers.execution import Execution

    tuning = load_tuning(config, set_)
    execution = Execution(executor, workers, address, gpus, None, strict_environment, retry_failed)
    if dry_run:
        from tf_lottery.cli.tune_dry_run import described

        print("\n".join(described(tuning, execution)))
        return
    from tf_lottery.cli.tune_run import tune_and_report

    raise typer.Exit(tune_and_report(tuning, output, execution))
