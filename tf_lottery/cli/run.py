"""The command that trains: `run`."""

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
def run(
    config: Annotated[str, typer.Argument(help="A shipped config's name (see `list`) or a YAML file.")],
    set_: Annotated[
        list[str], typer.Option("--set", metavar="KEY=VALUE", help="Override a setting: pruning.rounds=8.")
    ] = [],  # noqa: B006
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="The study's directory \\[saved_models/NAME].")
    ] = None,
    workers: Workers = None,
    executor: ExecutorName = "local",
    address: Address = None,
    gpus: Gpus = None,
    shard: Annotated[
        str | None, typer.Option(metavar="I/N", help="Train every N-th replicate, beginning with the I-th.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be trained, train nothing.")
    ] = False,
    strict_environment: StrictEnvironment = False,
    retry_failed: RetryFailed = False,
    quiet: Quiet = False,
    as_json: DryRunJson = False,
) -> None:
    """Run a study, or resume one that was interrupted."""
    from tf_lottery import config_file
    from tf_lottery.drivers.execution import Execution
    from tf_lottery.importing import import_modules

    check_dry_run_json(as_json, dry_run, "`tf-lottery show NAME --json` has the runs")
    study = config_file.load_config(config, set_)
    import_modules(study.imports)
    execution = Execution(executor, workers, address, gpus, shard, strict_environment, retry_failed)
    execution.chains(study)
    if dry_run:
        from tf_lottery.cli.dry_run import describe, look
        from tf_lottery.cli.rows import print_json

        found = look(study, output, execution)
        print_json(found.row()) if as_json else print("\n".join(describe(found)))
        return
    from tf_lottery.cli.study_run import run_and_report

    raise typer.Exit(run_and_report(study, output, execution, quiet))
