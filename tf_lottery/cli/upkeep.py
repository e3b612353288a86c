"""Commands that delete: `gc`, `rm`."""

from typing import Annotated

import typer

from tf_lottery.cli.app import Study, app, find


@app.command()
def gc(
    study: Study,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would go, delete nothing.")] = False,
) -> None:
    """Delete what a study has no use for: runs it no longer asks for, leftovers, what was set aside."""
    from tf_lottery.store import upkeep
    from tf_lottery.store.store import Store
    from tf_lottery.store.study_file import load

    paths = find(study)
    config, store = load(paths), Store(paths)
    found = upkeep.rubbish(config, store) if dry_run else upkeep.collect_rubbish(config, store)
    for each in found:
        print(f"{each.path} ({each.why}, {upkeep.readable(each.size)})")
    done = "would be" if dry_run else "are"
    print(f"{upkeep.readable(sum(each.size for each in found))} {done} free.")


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
