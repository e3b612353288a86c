"""The command that shows studies in the browser: `tensorboard`."""

import contextlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tf_lottery.cli.app import app, find

if TYPE_CHECKING:
    from tf_lottery.paths import StudyPaths

NOTES = (
    "Axes of weights remaining are linear and rise to the right, as all of TensorBoard's are. Scalars and "
    "Time Series keep the smoothing that was set there last: set it to 0 where rounds are the axis."
)
"""What the page's address can't set."""


@app.command()
def tensorboard(
    study: Annotated[
        str | None,
        typer.Argument(help="A study or tuning under saved_models/, or its directory \\[all of them]."),
    ] = None,
    port: Annotated[
        int | None, typer.Option(min=1, max=65535, help="The port \\[6006, or the next free one].")
    ] = None,
    opens: Annotated[
        bool | None, typer.Option("--open/--no-open", help="Open the browser \\[if there is a display].")
    ] = None,
    every_run: Annotated[
        bool, typer.Option("--every-run", help="The curves of each single run, too.")
    ] = False,
) -> None:
    """Show the papers' figures of studies in TensorBoard, on this machine only. Ctrl-C ends it."""
    import os
    import webbrowser

    from tf_lottery import terminal

    try:
        with terminal.unwound(), contextlib.ExitStack() as stack:
            directories = _directories(study, every_run)
            from tf_lottery.analysis.tensorboard.server import gathered, start, wait_for_ever

            page = "hparams" if all(name == "hparams" for name in directories) else "custom_scalars"
            address = start(stack.enter_context(gathered(directories)), port, study or "tf_lottery", page)
            print(f"TensorBoard: {address}\n{NOTES}\nCtrl-C ends it.", flush=True)
            has_display = sys.platform in ("darwin", "win32") or bool(os.environ.get("DISPLAY"))
            if has_display if opens is None else opens:
                webbrowser.open(address)
            wait_for_ever()
    except KeyboardInterrupt:
        print("Ended.")


def _directories(study: str | None, every_run: bool) -> dict[str, Path]:
    """Return what is shown: a name in TensorBoard -> a directory, written if it isn't there."""
    from tf_lottery.errors import LotteryError
    from tf_lottery.paths import OUTPUT, StudyPaths

    if study is not None:
        roots = [OUTPUT / study, Path(study)]
        tuning = next((root for root in roots if (root / "tuning.yaml").exists()), None)
        if tuning is not None:
            return {"hparams": _candidates(tuning)}
        return _of_study(find(study), every_run)
    found: dict[str, Path] = {}
    for root in sorted(path.parent for path in OUTPUT.glob("*/study.yaml")):
        try:
            of_study = _of_study(StudyPaths(root), every_run)
            found |= {f"{root.name}/{name}": directory for name, directory in of_study.items()}
        except LotteryError as error:
            print(f"{root.name} is left out. {error}", file=sys.stderr)
    for root in sorted(path.parent for path in OUTPUT.glob("*/tuning.yaml")):
        with contextlib.suppress(LotteryError):
            found[f"{root.name}/hparams"] = _candidates(root)
    if not found:
        raise LotteryError(f"There is nothing to show in {OUTPUT}/ yet. `tf-lottery run` begins a study.")
    return found


def _candidates(tuning: Path) -> Path:
    from tf_lottery.errors import LotteryError

    directory = tuning / "tensorboard" / "hparams"
    if not directory.is_dir():
        raise LotteryError(f"{tuning} has no answer to show yet. `tf-lottery tune` goes on with it.")
    return directory


def _of_study(paths: "StudyPaths", every_run: bool) -> dict[str, Path]:
    from rich.console import Console

    from tf_lottery.analysis.tensorboard.figures import write_figures
    from tf_lottery.analysis.tensorboard.rounds import StudyCurves
    from tf_lottery.live import bars
    from tf_lottery.method.plan import collect, plan
    from tf_lottery.method.results import Results
    from tf_lottery.store.store import Store
    from tf_lottery.store.study_file import load

    config = load(paths)
    store = Store(paths, config.storage)
    records = store.records()
    results = Results(collect(config, records))
    with bars(Console(file=sys.stderr), "{task.completed}/{task.total}") as bar:
        task = bar.add_task(f"writing {paths.root.name}", total=None)
        figures = write_figures(
            config, results, store, lambda done, total: bar.update(task, completed=done, total=total)
        )
        if every_run:
            curves = StudyCurves(paths, store)
            try:
                curves.planned(results.records, [])
            finally:
                curves.close()
    if plan(config, records):
        print(
            f"{paths.root.name} isn't finished: means are over the replicates that are there. Repeat the "
            "command to see what has been trained since.",
            file=sys.stderr,
        )
    shown = {path.name: path for path in sorted(figures.iterdir())}
    if every_run:
        shown |= {f"every_run/{each}": paths.tensorboard / each for each in ("runs", "rounds")}
    return shown
