"""Commands that delete: `gc`, `rm`."""

from typing import Annotated

import typer

from tf_lottery.cli.app import Study, app, find


@app.command()
def gc(
    study: Study,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="List what would be deleted.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="A JSON object: deleted, bytes and files.")] = False,
) -> None:
    """Delete what a study has no use for: runs it no longer asks for, leftovers, damaged files set aside."""
    from tf_lottery.cli.rows import print_json
    from tf_lottery.store import upkeep
    from tf_lottery.store.store import Store
    from tf_lottery.store.study_file import load

    paths = find(study)
    config, store = load(paths), Store(paths)
    rubbish = upkeep.rubbish(config, store) if dry_run else upkeep.collect_rubbish(config, store)
    if as_json:
        files = [{"path": str(each.path), "why": each.why, "bytes": each.size} for each in rubbish]
        print_json({"deleted": not dry_run, "bytes": sum(each.size for each in rubbish), "files": files})
        return
    for each in rubbish:
        print(f"{each.path} ({each.why}, {upkeep.readable(each.size)})")
    freed = "would be freed" if dry_run else "freed"
    print(f"{upkeep.readable(sum(each.size for each in rubbish))} {freed}.")


@app.command()
def rm(
    study: Study,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Don't ask.")] = False,
) -> None:
    """Delete a study and all its runs."""
    from tf_lottery.store import upkeep

    paths = find(study)
    runs = len(list(paths.runs.glob("[!.]*/record.json")))
    if not yes:
        typer.confirm(f"Delete {paths.root} with {runs:,} finished runs?", abort=True)
    print(f"Deleted {paths.root}: {upkeep.readable(upkeep.remove(paths))}.")
