"""The command that exports: `export`."""

from pathlib import Path
from typing import Annotated

import typer

from tf_lottery.cli.app import Quiet, app


@app.command(name="export")
def export_command(
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
        Path | None, typer.Option("--output", "-o", help="Where to write \\[saved_models/STUDY_roundN].")
    ] = None,
    round: Annotated[int | None, typer.Option(help="Which round of a study.")] = None,
    density: Annotated[float | None, typer.Option(help="The round nearest to this density: 0.036.")] = None,
    within: Annotated[
        float | None,
        typer.Option(metavar="POINTS", help="The sparsest round this close to dense on validation: 0.2."),
    ] = None,
    replicate: Annotated[int, typer.Option(help="Which replicate of a study.")] = 0,
    build: Annotated[
        str | None,
        typer.Option(metavar="MODULE:FUNCTION", help="The model builder, if a study has one of its own."),
    ] = None,
    data: Annotated[
        str | None,
        typer.Option(
            help="Data for a .keras file: a data set's name, an npz file or MODULE:FUNCTION, which a study "
            "takes that has one of its own."
        ),
    ] = None,
    pixels: Annotated[
        bool, typer.Option("--pixels", help="The file takes uint8 pixels and scales them itself.")
    ] = False,
    labels: Annotated[
        str | None, typer.Option(help="Class names, separated by commas; a SavedModel returns them, too.")
    ] = None,
    warmup: Annotated[
        bool, typer.Option("--warmup", help="Add requests that TensorFlow Serving warms up with.")
    ] = False,
    compact: Annotated[
        bool, typer.Option("--compact", help="Remove dead units first, in every format.")
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace an earlier export.")] = False,
    latency: Annotated[bool, typer.Option(help="Measure the latency.")] = True,
    threads: Annotated[int, typer.Option(min=1, max=1024, help="Threads of each runtime.")] = 1,
    quiet: Quiet = False,
) -> None:
    """Export a trained ticket as SavedModel, LiteRT, ONNX, ...; verify it and measure it beside dense."""
    from tf_lottery.training.quiet_start import start_quietly

    start_quietly()
    from tf_lottery.cli.export_run import RoundChoice, export_and_report

    choice = RoundChoice(round, density, None if within is None else within / 100, replicate, data, build)
    classes = tuple(labels.split(",")) if labels else ()
    export_and_report(
        source,
        output,
        format,
        weights,
        choice,
        pixels,
        force,
        quiet,
        classes=classes,
        warmup=warmup,
        compact=compact,
        latency=latency,
        threads=threads,
    )
