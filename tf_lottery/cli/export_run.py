"""What `tf-lottery export` does around an export: finds the model and its data, shows, says."""

import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
from rich.console import Console

from tf_lottery import terminal
from tf_lottery.config import DataConfig
from tf_lottery.data import sources
from tf_lottery.data.split import Dataset, Split, split
from tf_lottery.errors import LotteryError
from tf_lottery.exports import place
from tf_lottery.exports.export import ALL, export
from tf_lottery.exports.formats import registry
from tf_lottery.exports.source import check_model
from tf_lottery.exports.trained import TrainedRun, trained_run
from tf_lottery.exports.words.report import Report
from tf_lottery.paths import OUTPUT, StudyPaths, find_study
from tf_lottery.ticket import Ticket


@dataclass(frozen=True)
class Choice:
    """Which round of a study; which data, for a model's file.

    Attributes: as of `tf-lottery export`.
    """

    round: int | None = None
    density: float | None = None
    within: float | None = None
    replicate: int = 0
    data: str | None = None
    build: str | None = None


@terminal.unwound()
@terminal.unheard()
def export_and_report(
    source: str,
    output: Path | None,
    format: str,
    weights: str | None,
    choice: Choice,
    pixels: bool,
    force: bool,
    **options: Any,
) -> Report:
    """Export a study's round or a `.keras` file; print the table and where things are.

    Args:
        source: a study's directory or name, or the file of a model.
        output: where to. Default: under `saved_models/`, by name and round.
        format, weights, force: as of `export`.
        choice: which round, which data.
        pixels: uint8 in.
        options: further ones of `export`.

    Raises:
        LotteryError: as of `export`; no such study or file.
    """
    if format != ALL:
        registry.find(format, weights)  # before anything is loaded
    console = Console(file=sys.stdout)
    study = find_study(source)
    if output is not None:
        place.check(output, force)
    with console.status("Loading") as status:
        if study is not None:
            run = _run(study, choice)
            model, dataset, provenance = run.model, run.dataset, run.provenance
            options |= {"original": run.original, "provenance": provenance}
            stem = f"{study.root.resolve().name}_round{run.record.spec.round:02d}"
        else:
            model, dataset = _model(source, choice), _dataset(choice.data)
            options |= {"provenance": {"file": source}}
            stem = f"{Path(source).stem}_export"
        output = output or OUTPUT / (stem if format == ALL else _named(stem, format, weights))
        if dataset is not None:
            options |= _examples(dataset, pixels)
        noted = status.update if console.is_terminal else _told
        report = export(model, output, format, weights, pixels=pixels, force=force, noted=noted, **options)
    if study is not None:
        dense, kept = provenance["dense_validation_accuracy"], provenance["validation_accuracy"]
        console.print(
            f"Round {provenance['round']} of replicate {provenance['replicate']}: "
            f"validation accuracy {kept:.2%}, dense {dense:.2%}.",
            highlight=False,
        )
    for line in report.lines():
        console.print(line, highlight=False, markup=False, soft_wrap=True)
    beside = output / "report.json" if format == ALL else output.with_name(f"{output.name}.report.json")
    console.print(f"\nExport: {output}\nReport: {beside}", highlight=False, markup=False, soft_wrap=True)
    return report


def _named(stem: str, format: str, weights: str | None) -> str:
    file = registry.find(format, weights)[1].file
    return f"{stem}_{Path(file).stem}{Path(file).suffix}"


def _told(line: str) -> None:
    """Where there is no terminal: a line an export."""
    if line.endswith(": writing"):
        print(line, flush=True)


def _run(study: StudyPaths, choice: Choice) -> TrainedRun:
    if choice.data is not None:
        raise LotteryError(
            "Expected --data with a .keras file. Received: a study, which has its own. Leave it out."
        )
    return trained_run(study, choice.round, choice.density, choice.within, choice.replicate, choice.build)


def _model(source: str, choice: Choice) -> keras.Model:
    path = Path(source)
    if path.suffix == ".npz" and path.exists():
        check_model(Ticket.load(path))
    if (path / "search.json").exists():
        raise LotteryError(
            f"Expected a study, or a .keras file. Received: {source}, a search. In Python: "
            "lottery.export(result.trained(), ...)"
        )
    if not path.is_file():
        present = ", ".join(sorted(each.parent.name for each in OUTPUT.glob("*/study.yaml"))) or "none"
        raise LotteryError(
            f"Expected a study's directory, the name of one in {OUTPUT}/ ({present}), or a .keras file. "
            f"Received: {source!r}"
        )
    if path.suffix == ".keras" and not zipfile.is_zipfile(path):
        raise LotteryError(
            f"Expected a model that Keras saved (.keras). Received: {source}, which is cut off, or isn't one"
        )
    if choice != Choice(data=choice.data):
        raise LotteryError(
            "Expected --round, --density, --within and --replicate with a study. "
            f"Received: {source}, a model. Leave them out."
        )
    try:
        return keras.models.load_model(path, compile=False)
    except Exception as error:  # whatever a file that isn't one raises
        raise LotteryError(
            "Expected a model that Keras saved (.keras), of layers that it knows. "
            f"Received: {source}, of which it says: {' '.join(str(error).split())[:160]}"
        ) from error


def _dataset(name: str | None) -> Dataset | None:
    if name is None:
        return None
    own = Path(name).exists()
    # Nothing is chosen here, so next to nothing is held out.
    config = DataConfig(name="npz" if own else name, path=name if own else None, validation=1)
    return split(sources.load(config), config)


def _examples(dataset: Dataset, pixels: bool) -> dict[str, Any]:
    def taken(part: Split):
        return part.take(slice(None)) if pixels else part.x

    test, train = dataset.test, dataset.train
    return {"test_data": (taken(test), test.y), "train_data": (train.x, train.y)}
