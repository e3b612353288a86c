"""Commands that look at studies and check them: `show`, `list`, `verify`."""

import json
from typing import Annotated

import typer

from tf_lottery.cli.app import Study, app, find


@app.command()
def show(
    study: Study,
    as_json: Annotated[
        bool, typer.Option("--json", help="A JSON list, an object for each finished run.")
    ] = False,
) -> None:
    """Show the finished runs of a study."""
    from tf_lottery.analysis import table
    from tf_lottery.analysis.verdict import verdict
    from tf_lottery.method.plan import collect, plan
    from tf_lottery.store import environment, failures, upkeep
    from tf_lottery.store.store import Store
    from tf_lottery.store.study_file import load

    paths = find(study)
    config = load(paths)
    all_records = Store(paths).records()
    records = collect(config, all_records)
    if as_json:
        print(json.dumps([record.row() for record in records], indent=2))
        return
    width = table.width_for(config.arms)
    rows = [table.row(record, width) for record in records]
    for line in [*table.header(width), *rows, "", *verdict(records, config.tolerance)]:
        print(line)
    failed = [failure for spec in plan(config, all_records) if (failure := failures.find(paths, spec.key))]
    for line in [*(failure.describe() for failure in failed), *environment.described(records)]:
        print(line)
    kinds = upkeep.sizes(paths)
    parts = ", ".join(f"{kind} {upkeep.readable(size)}" for kind, size in kinds.most_common())
    print(f"\nOn the disk: {upkeep.readable(sum(kinds.values()))} ({parts})")


@app.command(name="list")
def list_() -> None:
    """List the configs and tunings that come with tf_lottery, and what lies under saved_models/."""
    from tf_lottery import config_file
    from tf_lottery.config_tune import load_tuning
    from tf_lottery.paths import OUTPUT, StudyPaths
    from tf_lottery.store.upkeep import readable, sizes

    print("Configs (tf-lottery run NAME):")
    shipped = config_file.shipped()
    width = max(map(len, shipped))
    for name, path in shipped.items():
        print(f"  {name:{width}} {config_file.load_config(path).description}")
    print("\nTunings (tf-lottery tune NAME):")
    for name, path in config_file.shipped_tunings().items():
        print(f"  {name:{width}} {load_tuning(path).study.description}")
    print(f"\nStudies in {OUTPUT}/ (tf-lottery show NAME):")
    studies = sorted(path.parent for path in OUTPUT.glob("*/study.yaml"))
    for directory in studies:
        finished = len(list(directory.glob("runs/[!.]*/record.json")))
        size = readable(sum(sizes(StudyPaths(directory)).values()))
        print(f"  {directory.name:20} {finished:6,} finished runs {size:>10}")
    for directory in sorted(path.parent for path in OUTPUT.glob("*/tuning.yaml")):
        tried = len(list(directory.glob("candidates/*/study.yaml")))
        size = readable(sum(sizes(StudyPaths(directory)).values()))
        print(f"  {directory.name:20} {tried:6,} candidates    {size:>10}")
        studies.append(directory)
    if not studies:
        print("  none yet")


@app.command()
def verify(study: Study) -> None:
    """Check every file of a study's finished runs; set aside what is damaged."""
    from tf_lottery.errors import DamagedError
    from tf_lottery.store.store import Store
    from tf_lottery.store.study_file import load

    paths = find(study)
    store = Store(paths, load(paths).storage)
    records, errors = [], []
    for name in store.names():
        try:
            record = store.find(name)
            if record is not None:
                records.append(record)
                errors += store.damaged(record)
        except DamagedError as error:
            errors.append(error)
    for error in errors:
        new_path = store.set_aside(error)
        print(f"{error} {f'Set aside as {new_path}.' if new_path else ''}")
    intact = len(records) - len({error.key for error in errors} & {record.key for record in records})
    print(f"{intact:,} runs are intact, {len(errors)} files are damaged.")
    if errors:
        print("`tf-lottery run` with the study's config trains the damaged runs again.")
        raise typer.Exit(1)
