"""What `tf-lottery export` does around an export: it finds the model and its data, and prints the report."""

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
class RoundChoice:
    """Which round of a study to export, or which data to use with a model's file.

    The attributes are the options of `tf-lottery export`; `within` is a fraction here, not points.
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
    choice: RoundChoice,
    pixels: bool,
    force: bool,
    quiet: bool = False,
    **options: Any,
) -> Report:
    """Export a study's round or a `.keras` file; print the table and the paths of what was written.

    Args:
        source: A study's directory or name, or the file of a model.
        output: Where to write. Default: under `saved_models/`, named by study and round.
        format: The format, as of `export`.
        weights: The kind of weights, as of `export`.
        choice: The round of a study, or the data for a model's file.
        pixels: Whether the exported file takes uint8 pixels.
        force: Whether to replace an earlier export.
        quiet: Whether to print only where the export is.
        options: Further arguments of `export`.

    Returns:
        The report of the export.

    Raises:
        LotteryError: For the same reasons as `export`, and if there is no such study or file.
    """
    if format != ALL:
        registry.find(format, weights)  # refuses unknown formats before anything is loaded
    console = Console(file=sys.stdout, quiet=quiet)
    study = find_study(source)
    if output is not None:
        place.check(output, force)
    with console.status("Loading") as status:
        if study is not None:
            run = _load_run(study, choice)
            model, dataset, provenance = run.model, run.dataset, run.provenance
            if pixels and dataset.standardized:
                raise LotteryError(
                    "--pixels scales pixels by 1/255 only, and this study's inputs are standardized as well. "
                    "Leave --pixels out."
                )
            options |= {"original": run.original, "provenance": provenance}
            stem = f"{study.root.resolve().name}_round{run.record.spec.round:02d}"
        else:
            model, dataset = _load_model(source, choice), _dataset(choice.data)
            options |= {"provenance": {"file": source}}
            stem = f"{Path(source).stem}_export"
        output = output or OUTPUT / (stem if format == ALL else _file_name(stem, format, weights))
        if dataset is not None:
            options |= _examples(dataset, pixels)
        notify = status.update if quiet or console.is_terminal else _print_progress
        report = export(model, output, format, weights, pixels=pixels, force=force, noted=notify, **options)
    if quiet:
        print(f"Result: {output}")
        return report
    if study is not None:
        dense, kept = provenance["dense_validation_accuracy"], provenance["validation_accuracy"]
        console.print(
            f"Round {provenance['round']} of replicate {provenance['replicate']}: "
            f"validation accuracy {kept:.2%}, dense {dense:.2%}.",
            highlight=False,
        )
    for line in report.lines():
        console.print(line, highlight=False, markup=False, soft_wrap=True)
    report_path = output / "report.json" if format == ALL else output.with_name(f"{output.name}.report.json")
    console.print(f"\nExport: {output}\nReport: {report_path}", highlight=False, markup=False, soft_wrap=True)
    return report


def _file_name(stem: str, format: str, weights: str | None) -> str:
    file = registry.find(format, weights)[1].file
    return f"{stem}_{Path(file).stem}{Path(file).suffix}"


def _print_progress(line: str) -> None:
    """Print one line for each export, where the output isn't a terminal."""
    if line.endswith(": writing"):
        print(line, flush=True)


def _load_run(study: StudyPaths, choice: RoundChoice) -> TrainedRun:
    if choice.data is not None and ":" not in choice.data:
        raise LotteryError("--data is for .keras files, and a study has data of its own. Leave --data out.")
    return trained_run(
        study, choice.round, choice.density, choice.within, choice.replicate, choice.build, choice.data
    )


def _load_model(source: str, choice: RoundChoice) -> keras.Model:
    path = Path(source)
    if path.suffix == ".npz" and path.exists():
        check_model(Ticket.load(path))
    if (path / "search.json").exists():
        raise LotteryError(
            f"{source} is a search, and the command exports studies and .keras files. "
            "Export a search in Python: lottery.export(result.trained(), ...)"
        )
    if not path.is_file():
        present = ", ".join(sorted(each.parent.name for each in OUTPUT.glob("*/study.yaml"))) or "none"
        raise LotteryError(
            f"Expected a study's directory, the name of one in {OUTPUT}/ ({present}), or a .keras file. "
            f"Received: {source!r}"
        )
    if path.suffix == ".keras" and not zipfile.is_zipfile(path):
        raise LotteryError(f"{source} is cut off, or isn't a .keras file. Name a model that Keras saved.")
    if choice != RoundChoice(data=choice.data):
        raise LotteryError(
            "--round, --density, --within, --replicate and --build are for studies, "
            f"and {source} is a model. Leave them out."
        )
    try:
        return keras.models.load_model(path, compile=False)
    except Exception as error:  # a file of any other kind may raise anything
        raise LotteryError(
            f"Keras can't load {source}. Name a model that Keras saved (.keras), whose layers it knows. "
            f"Keras says: {' '.join(str(error).split())[:160]}"
        ) from error


def _dataset(name: str | None) -> Dataset | None:
    if name is None:
        return None
    # Nothing is chosen here, so only one example is held out for validation.
    if Path(name).exists():
        config = DataConfig(name="npz", path=name, validation=1)
    elif name.count(":") == 1:
        config = DataConfig(load=name, validation=1)
    else:
        config = DataConfig(name=name, validation=1)
    return split(sources.load(config), config)


def _examples(dataset: Dataset, pixels: bool) -> dict[str, Any]:
    def inputs(part: Split):
        return part.take(slice(None)) if pixels else part.x

    test, train = dataset.test, dataset.train
    return {"test_data": (inputs(test), test.y), "train_data": (train.x, train.y)}
