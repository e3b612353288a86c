"""The command that shows studies in the browser: `tensorboard`."""

import contextlib
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tf_lottery.cli.app import app, find

if TYPE_CHECKING:
    from tf_lottery.analysis.tensorboard.hparams import Line
    from tf_lottery.paths import StudyPaths

NOTES = (
    "Axes of weights remaining are linear and rise to the right, as all of TensorBoard's do. Clear 'Ignore "
    "outliers in chart scaling' to see lines that fall far."
)
"""What the page's address can't set."""


@dataclass
class _Shown:
    """What is shown.

    Attributes:
        directories: The name that each has in TensorBoard -> a directory.
        arms: The names of the arms' runs, the most telling ones first.
        lines: The arms' lines on the page HParams.
        tuned: The settings that tunings tried.
    """

    directories: dict[str, Path] = field(default_factory=dict)
    arms: list[str] = field(default_factory=list)
    lines: list["Line"] = field(default_factory=list)
    tuned: set[str] = field(default_factory=set)


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
        bool, typer.Option("--every-run", help="Show the curves of each single run, too.")
    ] = False,
) -> None:
    """Show the papers' figures of studies in TensorBoard, on this machine only. Ctrl-C ends it."""
    import os
    import webbrowser

    from tf_lottery import terminal

    try:
        with terminal.unwound(), contextlib.ExitStack() as stack:
            shown = _all(every_run) if study is None else _named(study, every_run)
            from tf_lottery.analysis.tensorboard.server import COLORS, gathered, only, start, wait_for_ever

            logdir = stack.enter_context(gathered(shown.directories))
            if shown.lines:
                _write_columns(logdir, shown)
            address = start(
                logdir, port, study or "tf_lottery", "custom_scalars" if shown.arms else "hparams"
            )
            address += only(shown.arms[:COLORS]) if len(shown.arms) > COLORS else ""
            print(f"TensorBoard: {address}")
            if shown.arms:
                print(NOTES)
            if len(shown.arms) > COLORS:
                print(
                    f"{COLORS} of {len(shown.arms)} arms are shown, as many as there are colours. "
                    "Change the filter of runs to see others."
                )
            print("Ctrl-C ends it.", flush=True)
            has_display = sys.platform in ("darwin", "win32") or bool(os.environ.get("DISPLAY"))
            if has_display if opens is None else opens:
                webbrowser.open(address)
            wait_for_ever()
    except KeyboardInterrupt:
        print("Ended.")


def _write_columns(logdir: Path, shown: _Shown) -> None:
    from tf_lottery.analysis.tensorboard.hparams import write_columns

    metrics: list[str] = []
    if shown.tuned:
        from tf_lottery.tuning.hparams import METRICS

        metrics += METRICS.values()
    write_columns(logdir, shown.lines, sorted(shown.tuned), metrics)


def _named(study: str, every_run: bool) -> _Shown:
    from tf_lottery.paths import OUTPUT

    roots = [OUTPUT / study, Path(study)]
    tuning = next((root for root in roots if (root / "tuning.yaml").exists()), None)
    if tuning is not None:
        return _Shown({"hparams": _candidates(tuning)})
    return _of_study(find(study), every_run)


def _all(every_run: bool) -> _Shown:
    from tf_lottery.config_tune import load_tuning
    from tf_lottery.errors import LotteryError
    from tf_lottery.paths import OUTPUT, StudyPaths

    every, ranked = _Shown(), []
    for root in sorted(path.parent for path in OUTPUT.glob("*/study.yaml")):
        try:
            one = _of_study(StudyPaths(root), every_run)
        except LotteryError as error:
            print(f"{root.name} is left out. {error}", file=sys.stderr)
            continue
        every.directories |= {f"{root.name}/{name}": path for name, path in one.directories.items()}
        every.lines += one.lines
        ranked += [(rank, f"{root.name}/{arm}") for rank, arm in enumerate(one.arms)]
    every.arms = [arm for _, arm in sorted(ranked)]
    for root in sorted(path.parent for path in OUTPUT.glob("*/tuning.yaml")):
        with contextlib.suppress(LotteryError):
            candidates, tuning = _candidates(root), load_tuning(root / "tuning.yaml")
            every.directories[f"{root.name}/hparams"] = candidates
            every.tuned |= tuning.tune.ranges.keys()
    if not every.directories:
        raise LotteryError(f"There is nothing to show in {OUTPUT}/ yet. `tf-lottery run` begins a study.")
    return every


def _candidates(tuning: Path) -> Path:
    from tf_lottery.errors import LotteryError

    directory = tuning / "tensorboard" / "hparams"
    if not directory.is_dir():
        raise LotteryError(f"{tuning} has no answer to show yet. `tf-lottery tune` goes on with it.")
    return directory


def _of_study(paths: "StudyPaths", every_run: bool) -> _Shown:
    """Write what is missing of a study, and return what is shown of it."""
    from rich.console import Console

    from tf_lottery.analysis.tensorboard.figures import in_order, write_figures
    from tf_lottery.analysis.tensorboard.hparams import arm_lines
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
            with contextlib.closing(StudyCurves(paths, store)) as curves:
                curves.planned(results.records, [])
    if plan(config, records):
        print(
            f"{paths.root.name} isn't finished: means are over the replicates that are there. Repeat the "
            "command to see what has been trained since.",
            file=sys.stderr,
        )
    directories = {path.name: path for path in figures.iterdir()}
    if every_run:
        directories |= {f"every_run/{each}": paths.tensorboard / each for each in ("runs", "rounds")}
    compared = arm_lines(config, results, paths.root.name)
    return _Shown(directories, in_order(config, results), list(compared.values()))
