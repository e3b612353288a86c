"""What a study cost: the ledger as a table, each round's own training and the search for it apart."""

from collections.abc import Callable

from tf_lottery.analysis.ledger import totals
from tf_lottery.analysis.report.blocks import Folded, Section, Table, Text
from tf_lottery.analysis.report.gather import Material
from tf_lottery.analysis.report.words import counted, percent
from tf_lottery.method.ledger import Line, Spending, ledger, lines

_HEAD = (
    *("arm", "round", "density", "effective", "own steps", "search steps", "own FLOPs", "search FLOPs"),
    *("own seconds", "search seconds"),
)


def cost(material: Material) -> Section:
    """Return the section of costs, without blocks if no run is finished.

    Args:
        material: The study.
    """
    entries = ledger(material.records)
    found = lines(entries)
    if not found:
        return Section("cost", "What it cost", [])
    words = totals(material.records, entries)
    main = [line for line in found if line.arm == material.main]
    others = [line for line in found if line.arm != material.main]
    blocks = [Text(" ".join(words)), Table(f"Cost of {material.main}, by round", _HEAD, [*map(_row, main)])]
    if others:
        rows = [*map(_row, others)]
        blocks.append(
            Folded(
                f"Cost of all other arms ({counted(len(rows), 'row')})", [Table("Other arms", _HEAD, rows)]
            )
        )
    note = (
        "Own: the run's own training. Search: every other run that its masks and weights build on. FLOPs are "
        "of the weights that remain. Effective: of weights on a path from an input to an output. Means over "
        "replicates; - stands for what isn't known."
    )
    return Section("cost", "What it cost", [*blocks, Text(note, "note")])


def _row(line: Line) -> list[str]:
    def both(read: Callable[[Spending], float | None], write: Callable[[float | None], str]) -> list[str]:
        return [write(read(line.own)), write(read(line.search))]

    return [
        line.arm,
        str(line.round),
        percent(line.density),
        percent(line.effective_density),
        *both(lambda spent: spent.steps, _whole),
        *both(lambda spent: spent.flops_remaining, _short),
        *both(lambda spent: spent.seconds, lambda value: "-" if value is None else f"{value:,.1f}"),
    ]


def _whole(value: float | None) -> str:
    return "-" if value is None else f"{value:,.0f}"


def _short(value: float | None) -> str:
    """Return a large number with three digits and the prefix of its thousands: `959 G`."""
    if value is None:
        return "-"
    for power, prefix in ((18, "E"), (15, "P"), (12, "T"), (9, "G"), (6, "M"), (3, "k")):
        if value >= 10**power:
            return f"{value / 10**power:.3g} {prefix}"
    return f"{value:.0f}"
