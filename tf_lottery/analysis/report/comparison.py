"""The comparison of several studies: claims side by side, their tickets in one figure, what they cost."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tf_lottery import atomic
from tf_lottery.analysis.claim import UNTESTED
from tf_lottery.analysis.claims import together
from tf_lottery.analysis.findings import test_accuracy
from tf_lottery.analysis.report.blocks import Picture, Section, Table, Text
from tf_lottery.analysis.report.curves import Point, points, weights_axis
from tf_lottery.analysis.report.drawing import COLOURS, DASHES, MARKERS, draw
from tf_lottery.analysis.report.gather import Material, gather
from tf_lottery.analysis.report.page import GENERATOR, render
from tf_lottery.analysis.report.report import damage, made
from tf_lottery.analysis.report.verdict import SIGNS, judged
from tf_lottery.analysis.report.words import counted, listed, percent
from tf_lottery.errors import LotteryError
from tf_lottery.method.ledger import ledger, lines
from tf_lottery.paths import StudyPaths

MOST = 8
"""The most studies in one figure."""


def write_comparison(studies: Mapping[str, StudyPaths], output: Path) -> dict[str, Material]:
    """Write a page that compares studies, in place of an earlier one, and return what it is about.

    Args:
        studies: The name of a study, as the page shows it -> its paths.
        output: The HTML file to write.

    Raises:
        LotteryError: If there are fewer than two studies, one can't be read, or the file can't be written.
    """
    if len({paths.root.resolve() for paths in studies.values()}) < 2:
        raise LotteryError(f"Expected at least two studies to compare. Received: {', '.join(studies)}")
    if output.suffix.lower() not in (".html", ".htm") or output.is_dir():
        raise LotteryError(f"Expected --output as an HTML file. Received: {output}")
    if output.exists() and GENERATOR not in output.read_text(encoding="utf-8", errors="replace"):
        raise LotteryError(f"{output} wasn't written by tf_lottery. Use another --output, or move it away.")
    materials = {name: gather(paths) for name, paths in studies.items()}
    page = render("Comparison of studies", listed([*studies]), sections(materials), made())
    atomic.write_text(output, page)
    return materials


def sections(materials: Mapping[str, Material]) -> list[Section]:
    """Return the sections of a comparison.

    Args:
        materials: Study -> what is known of it.
    """
    return [
        Section("verdict", "What they say together", [*_notices(materials), *_claims(materials)]),
        Section("curves", "Their tickets", [*_pictures(materials), *_notes(materials)]),
        Section("cost", "The sparsest matching tickets, and their cost", [_tickets(materials)]),
        Section("studies", "The studies", [_studies(materials)]),
    ]


def _notices(materials: Mapping[str, Material]) -> list[Text]:
    notices = []
    for name, material in materials.items():
        if not material.finished:
            left = material.left
            more = f"at least {material.ready:,}" if left is None else f"{max(left, material.ready):,}"
            notices.append(Text(f"{name} isn't finished: {more} runs left.", "notice"))
        if material.failed:
            notices.append(Text(f"{counted(len(material.failed), 'run')} of {name} failed.", "notice"))
        if material.damaged:
            notices.append(Text(f"{name}: {damage(material).text}", "notice"))
        if material.study.replicates == 1:
            notices.append(Text(f"{name} has one replicate, which decides no claim.", "notice"))
    return notices


def _claims(materials: Mapping[str, Material]) -> list[Any]:
    told = {name: judged(each) for name, each in materials.items()}
    found = together(told)
    if not found:
        return [Text("None of these studies tests a claim of the papers.")]
    names = list(materials)

    def cell(answer: str) -> str:
        return f"{SIGNS[answer]} {answer}"

    rows = [
        [
            each.statement,
            *(cell(each.answers.get(name, UNTESTED)) for name in names),
            each.answer if len(each.answers) > 1 else "one study only",
        ]
        for each in found
    ]
    head = ["claim", *names, "together"]
    note = "A claim holds on any structure if it does in each study that tests it."
    return [
        Table("Claims of papers", head, rows, frozenset(range(len(head))), prose=True),
        Text(note, "note"),
    ]


def _pictures(materials: Mapping[str, Material]) -> list[Picture]:
    names = [name for name, material in materials.items() if material.main in material.results.arms]
    parts = [names[start : start + MOST] for start in range(0, len(names), MOST)]
    return [_picture({name: materials[name] for name in part}, at) for at, part in enumerate(parts)]


def _on_one_data(materials: Mapping[str, Material]) -> bool:
    return len({material.study.data.digest for material in materials.values()}) == 1


def _picture(materials: Mapping[str, Material], number: int) -> Picture:
    one_data = _on_one_data(materials)
    curves = {name: of_study(material, one_data) for name, material in materials.items()}
    axis = "test accuracy at early stop (%)" if one_data else "test accuracy less the dense network's"
    what = "Test accuracy at early stop" + ("" if one_data else ", less the dense network's")
    title = f"{what}, against percent of weights remaining: {listed([*materials])}."
    caption = (
        f"{what}, of the ticket of each study; its random reinitialization is dashed. "
        "Higher is better. Means over replicates, bars from minimum to maximum."
    )
    if not one_data:
        caption += " The studies are on different data, so each is compared with its own dense network, at 0."

    def drawn(figure: Any) -> None:
        axes = figure.subplots()
        for place, (name, (tickets, controls)) in enumerate(curves.items()):
            for found, stroke, label in (
                (tickets, "-", name),
                (controls, DASHES[0], f"{name}, reinitialized"),
            ):
                shown = [point for point in found if point.density > 0]
                if shown:
                    axes.errorbar(
                        [p.density for p in shown],
                        [p.mean for p in shown],
                        [[p.mean - p.low for p in shown], [p.high - p.mean for p in shown]],
                        color=COLOURS[place],
                        marker=MARKERS[place],
                        linestyle=stroke,
                        linewidth=1.4,
                        markersize=4,
                        capsize=1.8,
                        elinewidth=0.9,
                        label=label,
                    )
        every = sorted({p.density for both in curves.values() for p in both[0]}, reverse=True)
        marks = max((both[0] for both in curves.values()), key=lambda found: -_least(found))
        weights_axis(axes, every, [p.density for p in marks if p.density > 0])
        axes.set_ylabel(axis)

    return draw(f"comparison_{number}", title, caption, drawn, height=3.4)


def _least(found: list[Point]) -> float:
    return min((point.density for point in found), default=100.0)


def of_study(material: Material, absolute: bool) -> tuple[list[Point], list[Point]]:
    """Return the points of a study's ticket, and those of its random reinitialization.

    Args:
        material: The study.
        absolute: Whether values stand as they are, or less the mean of the dense network.
    """
    controls = material.findings.on(material.main, "random_reinit")
    found = [points(material.results, arm, test_accuracy) for arm in (material.main, *controls[:1])]
    tickets, of_control = found[0], found[1] if len(found) > 1 else []
    if absolute:
        return tickets, of_control
    dense = next((p.mean for p in tickets if p.round == 0), None)
    if dense is None:
        return [], []
    return tuple([_less(point, dense) for point in every] for every in (tickets, of_control))


def _less(point: Point, dense: float) -> Point:
    moved = (value - dense for value in (point.mean, point.low, point.high))
    return Point(point.round, point.density, *moved, point.replicates)


def _notes(materials: Mapping[str, Material]) -> list[Text]:
    empty = [name for name, material in materials.items() if not material.records]
    notes = [f"No run is finished yet of {listed(empty)}."] if empty else []
    return [Text(each, "note") for each in notes]


def _tickets(materials: Mapping[str, Material]) -> Table:
    head = [
        "study",
        "round",
        "weights remaining",
        "density",
        "test",
        "dense network",
        "search steps",
        "own steps",
    ]
    head += ["times dense", "remark"]
    rows = [_ticket(name, material) for name, material in materials.items()]
    caption = (
        "The sparsest matching ticket of each study (times dense: the steps to find and to train it, as a "
        "multiple of the dense network's)"
    )
    return Table(caption, head, rows, frozenset({0, len(head) - 1}))


def _ticket(name: str, material: Material) -> list[str]:
    tickets = {p.round: p for p in points(material.results, material.main, test_accuracy)}
    dense = f"{tickets[0].mean:.2f}%" if 0 in tickets else "-"
    best = material.best
    if best is None:
        why = "not finished" if not material.finished else "no ticket matches"
        return [name, "-", "-", "-", "-", dense, "-", "-", "-", why]
    by_round = {line.round: line for line in lines(ledger(material.records)) if line.arm == material.main}
    line = by_round[best]
    remaining = [
        r.weights_remaining for r in material.records if (r.spec.arm, r.spec.round) == (line.arm, best)
    ]
    steps, whole = line.all.steps, by_round[0].own.steps if 0 in by_round else None
    return [
        name,
        str(best),
        f"{sum(remaining) / len(remaining):,.0f}",
        percent(line.density),
        f"{tickets[best].mean:.2f}%",
        dense,
        "-" if line.search.steps is None else f"{line.search.steps:,.0f}",
        "-" if line.own.steps is None else f"{line.own.steps:,.0f}",
        f"{steps / whole:.1f}" if steps is not None and whole else "-",
        "one replicate" if material.study.replicates == 1 else "",
    ]


def _studies(materials: Mapping[str, Material]) -> Table:
    head = ["study", "name", "data", "network", "replicates", "seed", "runs", "data's sha256"]
    rows = [
        [
            name,
            material.study.name,
            material.study.data.name,
            material.study.model.build or material.study.model.name or "-",
            str(material.study.replicates),
            str(material.study.seed),
            f"{len({record.key for record in material.records}):,}",
            (material.study.data.digest or "unknown")[:16],
        ]
        for name, material in materials.items()
    ]
    return Table("What is compared", head, rows, frozenset({0, 1, 2, 3, 7}))
