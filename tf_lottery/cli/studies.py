"""Commands that look at studies and check them: `show`, `list`, `verify`."""

from typing import Annotated, Any

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
    from tf_lottery.cli.rows import print_json
    from tf_lottery.method.plan import collect, plan
    from tf_lottery.store import environment, failures, upkeep
    from tf_lottery.store.store import Store
    from tf_lottery.store.study_file import load

    paths = find(study)
    config = load(paths)
    all_records = Store(paths).records()
    records = collect(config, all_records)
    if as_json:
        print_json([record.row() for record in records])
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
def list_(
    as_json: Annotated[
        bool, typer.Option("--json", help="A JSON object: configs, tunings, studies and tuned.")
    ] = False,
) -> None:
    """List the configs and tunings that come with tf_lottery, and what lies under saved_models/."""
    from tf_lottery.cli.rows import print_json
    from tf_lottery.paths import OUTPUT
    from tf_lottery.store.upkeep import readable

    listed = _listed()
    if as_json:
        print_json(listed)
        return
    width = max(len(each["name"]) for each in listed["configs"])
    print("Configs (tf-lottery run NAME):")
    for each in listed["configs"]:
        print(f"  {each['name']:{width}} {each['description']}")
    print("\nTunings (tf-lottery tune NAME):")
    for each in listed["tunings"]:
        print(f"  {each['name']:{width}} {each['description']}")
    print(f"\nStudies in {OUTPUT}/ (tf-lottery show NAME):")
    for each in listed["studies"]:
        print(f"  {each['name']:20} {each['finished']:6,} finished runs {readable(each['bytes']):>10}")
    for each in listed["tuned"]:
        print(f"  {each['name']:20} {each['candidates']:6,} candidates    {readable(each['bytes']):>10}")
    if not listed["studies"] and not listed["tuned"]:
        print("  none yet")


def _listed() -> dict[str, list[dict[str, Any]]]:
    """Return what comes along, and what lies under `saved_models/`: an object each."""
    from tf_lottery import config_file
    from tf_lottery.config_tune import load_tuning
    from tf_lottery.paths import OUTPUT, StudyPaths
    from tf_lottery.store.upkeep import sizes

    def found(file: str, counted: str, files: str) -> list[dict[str, Any]]:
        return [
            {
                "name": directory.name,
                counted: len(list(directory.glob(files))),
                "bytes": sum(sizes(StudyPaths(directory)).values()),
            }
            for directory in sorted(path.parent for path in OUTPUT.glob(f"*/{file}"))
        ]

    configs = {name: config_file.load_config(path) for name, path in config_file.shipped().items()}
    tunings = {name: load_tuning(path).study for name, path in config_file.shipped_tunings().items()}
    return {
        "configs": [{"name": name, "description": each.description} for name, each in configs.items()],
        "tunings": [{"name": name, "description": each.description} for name, each in tunings.items()],
        "studies": found("study.yaml", "finished", "runs/[!.]*/record.json"),
        "tuned": found("tuning.yaml", "candidates", "candidates/*/study.yaml"),
    }


@app.command()
def verify(
    study: Study,
    as_json: Annotated[bool, typer.Option("--json", help="A JSON object: intact and damaged.")] = False,
) -> None:
    """Check every file of a study's finished runs; set aside what is damaged."""
    from tf_lottery.cli.rows import print_json
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
    set_aside = [(error, store.set_aside(error)) for error in errors]
    intact = len(records) - len({error.key for error in errors} & {record.key for record in records})
    if as_json:
        damaged = [{"error": str(error), "set_aside": path and str(path)} for error, path in set_aside]
        print_json({"intact": intact, "damaged": damaged})
        raise typer.Exit(1 if errors else 0)
    for error, new_path in set_aside:
        print(f"{error} {f'Set aside as {new_path}.' if new_path else ''}")
    print(f"{intact:,} runs are intact, {len(errors)} files are damaged.")
    if errors:
        print("`tf-lottery run` with the study's config trains the damaged runs again.")
        raise typer.Exit(1)
