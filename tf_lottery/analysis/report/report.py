"""The report of one study, written into its directory."""

from datetime import datetime
from importlib import metadata

from tf_lottery import atomic
from tf_lottery.analysis.report.blocks import Section, Text, pictures_in
from tf_lottery.analysis.report.connected import connected
from tf_lottery.analysis.report.cost import cost
from tf_lottery.analysis.report.curves import curves
from tf_lottery.analysis.report.first_layer import first_layer
from tf_lottery.analysis.report.gather import Material, gather
from tf_lottery.analysis.report.layers import layers
from tf_lottery.analysis.report.learning import learning
from tf_lottery.analysis.report.page import render
from tf_lottery.analysis.report.reproduce import reproduce
from tf_lottery.analysis.report.tickets import tickets
from tf_lottery.analysis.report.verdict import verdict
from tf_lottery.paths import FIGURE, StudyPaths


def sections(material: Material) -> list[Section]:
    """Return the sections of a report, in order; some may have no blocks.

    Args:
        material: The study.
    """
    if not material.records:
        return [verdict(material), reproduce(material)]
    return [
        verdict(material),
        curves(material),
        learning(material),
        cost(material),
        layers(material),
        first_layer(material),
        connected(material),
        tickets(material),
        reproduce(material),
    ]


def write_report(paths: StudyPaths) -> Material:
    """Write a study's `report.html` and its figures, in place of earlier ones, and return what it is about.

    Args:
        paths: The paths of the study.

    Raises:
        LotteryError: If there is no study, its own file is damaged, or nothing can be written there.
    """
    material = gather(paths)
    first, *rest = sections(material)
    if material.damaged:  # known in full only now that all sections have read their files
        first = Section(first.name, first.title, [first.blocks[0], damage(material), *first.blocks[1:]])
    found = [first, *rest]
    figures = {
        f"{picture.name}.{suffix}": content
        for section in found
        for picture in pictures_in(section.blocks)
        for suffix, content in picture.files.items()
    }
    for name, content in figures.items():
        atomic.write(paths.figures / name, lambda file, content=content: file.write(content))
    page = render(material.study.name, material.study.description, found, made())
    atomic.write_text(paths.report, page)
    for path in paths.figures.iterdir() if paths.figures.is_dir() else ():
        if FIGURE.fullmatch(path.name) and path.name not in figures:
            path.unlink()  # of an earlier report
    return material


def damage(material: Material) -> Text:
    """Return the notice of what couldn't be read and is left out.

    Args:
        material: The study.
    """
    lines = " ".join(material.damaged[:3])
    count, more = len(material.damaged), len(material.damaged) - 3
    what = (
        "1 file is damaged, and what it holds is"
        if count == 1
        else f"{count:,} files are damaged, and what they hold is"
    )
    rest = f" And {more:,} more." if more > 0 else ""
    return Text(
        f"{what} left out: {lines}{rest} `tf-lottery verify` sets damaged runs aside, and `tf-lottery run` "
        "trains them again.",
        "notice",
    )


def made() -> str:
    """Return what made a page, and when."""
    now = datetime.now().strftime("%Y-%m-%d %H:%M")
    return f"Made by tf_lottery {metadata.version('tf_lottery')} on {now}."
