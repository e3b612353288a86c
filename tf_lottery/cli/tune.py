"""The command that looks for the best settings: `tune`."""

from pathlib import Path
from typing import Annotated

import typer

from tf_lottery.cli.app import (
    Address,
    DryRunJson,
    ExecutorName,
    Gpus,
    Quiet,
    RetryFailed,
    StrictEnvironment,
    Workers,
    app,
    check_dry_run_json,
)


@app.command()
def tune(
    config: Annotated[str, typer.Argument(help="A shipped tuning's name (see `list`) or a YAML file.")],
    set_: Annotated[
        list[str], typer.Option("--set", metavar="KEY=VALUE", help="Override a setting: tune.candidates=10.")
    ] = [],  # noqa: B006
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="The tuning's directory \\[saved_models/NAME].")
    ] = None,
    workers: Workers = None,
    executor: ExecutorName = "local",
    address: Address = None,
    gpus: Gpus = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Check, and say what would be tried; train nothing.")
    ] = False,
    strict_environment: StrictEnvironment = False,
    retry_failed: RetryFailed = False,
    quiet: Quiet = False,
    as_json: DryRunJson = False,
) -> None:
    """Find the best settings of a study, such as k and p, or go on with a tuning that was interrupted."""
    from tf_lottery.config_tune import load_tuning
    from tf_lottery.drivers.execution import Execution

    check_dry_run_json(as_json, dry_run, "candidates.json in the tuning's directory has the candidates")
    tuning = load_tuning(config, set_)
    execution = Execution(executor, workers, address, gpus, None, strict_environment, retry_failed)
    if dry_run:
        from tf_lottery.cli.rows import print_json
        from tf_lottery.cli.tune_dry_run import describe, look

        found = look(tuning, execution)
        print_json(found) if as_json else print("\n".join(describe(found)))
        return
    from tf_lottery.cli.tune_run import tune_and_report

    raise typer.Exit(tune_and_report(tuning, output, execution, quiet))
