"""What all commands share. A command imports TensorFlow only when it needs it."""

import math
from pathlib import Path
from typing import Annotated, Any

import typer

from tf_lottery.errors import LotteryError
from tf_lottery.paths import OUTPUT, StudyPaths, find_study

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Find, prove and ship winning lottery tickets on Keras 3.",
)

Workers = Annotated[
    int | None, typer.Option("--workers", "-w", help="Processes that train side by side \\[one a core].")
]
ExecutorName = Annotated[str, typer.Option(help="local, or ray: a cluster.")]
Address = Annotated[str | None, typer.Option(help="The address of a running Ray cluster \\[a local one].")]
Gpus = Annotated[float | None, typer.Option(help="GPUs for each run on a Ray cluster: 1, 0.25.")]
StrictEnvironment = Annotated[
    bool, typer.Option("--strict-environment", help="Refuse runs of other versions or processors.")
]
RetryFailed = Annotated[bool, typer.Option("--retry-failed", help="Train failed runs again.")]
Functions = Annotated[
    list[str],
    typer.Option(
        "--function", help="A function of the study's own that may be called: package.module:function."
    ),
]
Round = Annotated[
    int | None,
    typer.Option("--round", help="The round that is shown \\[the sparsest that matches, or the last]."),
]
Quiet = Annotated[
    bool, typer.Option("--quiet", "-q", help="Print errors and, at the end, where the result is; no more.")
]
DryRunJson = Annotated[bool, typer.Option("--json", help="With --dry-run: a JSON object.")]
Imports = Annotated[
    list[str],
    typer.Option(
        "--import", metavar="MODULE", help="A module of your own that adds arms, criteria or claims."
    ),
]
Study = Annotated[str, typer.Argument(help="A study's name under saved_models/, or its directory.")]


@app.callback()
def main(imports: Imports = []) -> None:  # noqa: B006
    """Import what the user names before any command."""
    from tf_lottery.importing import import_modules

    import_modules(imports, "--import")


def find(study: str) -> StudyPaths:
    """Return the paths of a study that the user named.

    Args:
        study: The study's directory, or its name under `saved_models/`.

    Raises:
        LotteryError: If there is no such study.
    """
    if (paths := find_study(study)) is not None:
        return paths
    for root in (OUTPUT / study, Path(study)):
        if (root / "tuning.yaml").exists():
            one = root / "candidates" / "000"
            raise LotteryError(f"{root} is a tuning. Its candidates are studies: name one, such as {one}.")
        if (root / "search.json").exists():
            raise LotteryError(
                f"{root} is a search, not a study. Its result shows it in Python: print(result.summary()), "
                'result.plot("tickets.png").'
            )
    present = ", ".join(sorted(path.parent.name for path in OUTPUT.glob("*/study.yaml"))) or "none"
    raise LotteryError(
        f"Expected a study's directory, or the name of one in {OUTPUT}/ ({present}). Received: {study!r}"
    )


def check_dry_run_json(as_json: bool, dry_run: bool, after: str) -> None:
    """Refuse `--json` where something is trained.

    Args:
        as_json: Whether `--json` was given.
        dry_run: Whether `--dry-run` was given.
        after: What prints the result as JSON, in words.

    Raises:
        LotteryError: If the first was given without the second.
    """
    if as_json and not dry_run:
        raise LotteryError(f"--json goes with --dry-run. Leave it out; afterwards {after}.")


def finite(value: Any) -> Any:
    """Return JSON values with None for what isn't finite, which JSON lacks.

    Args:
        value: Lists, tuples and dicts, however nested, of what JSON knows.
    """
    if isinstance(value, dict):
        return {key: finite(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [finite(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
