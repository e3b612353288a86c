"""The commands that write pages to read: `report` of one study, `compare` of several."""

from pathlib import Path
from typing import Annotated

import typer

from tf_lottery.cli.app import Study, app, find


@app.command()
def report(study: Study) -> None:
    """Write a study's report: a page with verdict, figures and tables, and the figures as files."""
    from tf_lottery.analysis.report.report import write_report

    paths = find(study)
    material = write_report(paths)
    for line in material.damaged:
        print(f"Left out: {line}")
    print(f"Report:   {paths.report}")
    if material.records:
        print(f"Figures:  {paths.figures}")


@app.command()
def compare(
    studies: Annotated[list[str], typer.Argument(help="Names under saved_models/, or directories.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="The HTML file to write.")] = Path(
        "saved_models/comparison.html"
    ),
) -> None:
    """Write a page that compares studies: claims side by side, their tickets, what they cost."""
    from tf_lottery.analysis.report.comparison import write_comparison

    paths = [find(name) for name in studies]
    names = [each.root.resolve().name for each in paths]
    alike = len(set(names)) < len(names)
    materials = write_comparison(dict(zip(studies if alike else names, paths, strict=True)), output)
    for name, material in materials.items():
        for line in material.damaged:
            print(f"Left out, of {name}: {line}")
    print(f"Comparison: {output}")
