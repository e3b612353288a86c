"""The command that exports: `export`."""

from pathlib import Path
from typing import Annotated

import typer

from tf_lottery.cli.app import app


@app.command()
def export(
    source: Annotated[
        str, typer.Argument(metavar="STUDY|MODEL", help="A study's name or directory, or a .keras file.")
    ],
    format: Annotated[
        str, typer.Option("--format", "-f", help="all; savedmodel, compact, litert, onnx, openvino.")
    ] = "all",
    weights: Annotated[
        str | None,
        typer.Option(help="savedmodel: packed, dense. litert: float, sparse, dynamic, int8, int8_qat."),
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Where to \\[saved_models/STUDY_roundN].")
    ] = None,
    round: Annotated[int | None, typer.Option(help="Which round of a study.")] = None,
    density: Annotated[float | None, typer.Option(help="The round nearest to it: 0.036.")] = None,
    within: Annotated[
        float | None,
        typer.Option(metavar="POINTS", help="The sparsest round so near to dense on validation: 0.2."),
    ] = None,
    replicate: Annotated[int, typer.Option(help="Of a study.")] = 0,
    build: Annotated[
        str | None,
        typer.Option(metavar="MODULE:FUNCTION", help="Of a study with a builder of its own: that builder."),
    ] = None,
    data: Annotated[
        str | None, typer.Option(help="Of a .keras file: a data set's name, or an npz file.")
    ] = None,
    pixels: Annotated[
        bool, typer.Option("--pixels", help="The file takes uint8 pixels and scales them itself.")
    ] = False,
    labels: Annotated[
        str | None, typer.Option(help="Names of the classes, by commas: a SavedModel answers them, too.")
    ] = None,
    warmup: Annotated[
        bool, typer.Option("--warmup", help="Requests for TensorFlow Serving to warm up with.")
    ] = False,
    compact: Annotated[
        bool, typer.Option("--compact", help="Remove dead units first, in every format.")
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace an earlier export.")] = False,
    latency: Annotated[bool, typer.Option(help="Measure it.")] = True,
    threads: Annotated[int, typer.Option(min=1, max=1024, help="Of each runtime.")] = 1,
) -> None:
    """Export a trained ticket: SavedModel, LiteRT, ONNX, ...; verified, and measured beside dense."""
    from tf_lottery.training.quiet_start import start_quietly

    start_quietly()
    from tf_lottery.cli.export_run import Choice, export_and_report

    choice = Choice(round, density, None if within is None else within / 100, replicate, data, build)
    classes = tuple(labels.split(",")) if labels else ()
    export_and_report(
        source,
        output,
        format,
        weights,
        choice,
        pixels,
        force,
        classes=classes,
        warmup=warmup,
        compact=compact,
        latency=latency,
        threads=threads,
    )
