"""The table of tickets: how good each arm is at each round, and what was exported."""

from statistics import mean

from tf_lottery.analysis.findings import test_accuracy
from tf_lottery.analysis.report.blocks import Folded, Section, Table, Text
from tf_lottery.analysis.report.exported import exports_of
from tf_lottery.analysis.report.exported import table as exports_table
from tf_lottery.analysis.report.gather import Material
from tf_lottery.analysis.report.words import counted, percent
from tf_lottery.method.matching import by_round

STAR = " ★"


def tickets(material: Material) -> Section:
    """Return the section of tickets, without blocks if no run is finished.

    Args:
        material: The study.
    """
    section = Section("tickets", "All tickets", [])
    rows = {arm: _rows(material, arm) for arm in material.results.arms}
    if material.main not in rows:
        return section
    several = material.study.replicates > 1
    shown = "test accuracy (%)"
    head = ["arm", "round", "weights remaining", "density", *(["mean", "min", "max"] if several else [shown])]
    head += ["early stop", *(["replicates"] if several else [])]
    what = f"{shown} at early stop" if several else "at early stop"
    blocks = [Table(f"{material.main}: {what}, by round", head, rows.pop(material.main))]
    if any(cell.endswith(STAR) for cell, *_ in blocks[0].rows):
        tolerance = material.study.tolerance
        less = f" less {100 * tolerance:g} points" if tolerance else ""
        text = (
            f"{STAR.strip()} The sparsest matching ticket: on validation data it, and every denser one, is "
            f"as accurate as the dense network{less}."
        )
        blocks.append(Text(text, "note"))
    if rest := [row for each in rows.values() for row in each]:
        summary = f"All other arms ({counted(len(rest), 'row')})"
        blocks.append(Folded(summary, [Table(f"Other arms: {what}", head, rest)]))
    if found := exports_of(material):
        blocks.append(exports_table(found))
    return Section(section.name, section.title, blocks)


def _rows(material: Material, arm: str) -> list[list[str]]:
    runs = [record for record in material.records if record.spec.arm == arm and record.spec.round >= 0]
    values, steps = by_round(runs, test_accuracy), by_round(runs, lambda record: record.early_stop_iteration)
    remaining = by_round(runs, lambda record: record.weights_remaining)
    densities = by_round(runs, lambda record: record.density)
    several = material.study.replicates > 1
    found = []
    for at, each in sorted(values.items()):
        figures = [mean(each), min(each), max(each)] if several else [mean(each)]
        name = f"{arm} (dense)" if at == 0 and arm == material.main else arm
        found.append(
            [
                name + (STAR if arm == material.main and at == material.best else ""),
                str(at),
                f"{mean(remaining[at]):,.0f}",
                percent(mean(densities[at])),
                *(f"{value:.2f}" for value in figures),
                f"{mean(steps[at]):,.0f}",
                *([str(len(each))] if several else []),
            ]
        )
    return found
