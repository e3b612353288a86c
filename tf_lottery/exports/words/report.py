"""The report of an export, as JSON and as a table."""

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from tf_lottery import atomic
from tf_lottery.exports.contents import KIND, with_digest
from tf_lottery.exports.cost import Cost
from tf_lottery.exports.words import words
from tf_lottery.exports.words.rows import ExportRow


@dataclass(frozen=True)
class Report:
    """The report that `export` returns. It prints as a table.

    Attributes:
        rows: One row for each export.
        model: The name of the model.
        cost: The weights and FLOPs of the model.
        examples: The number of examples on which the exports were checked.
        real: Whether the examples were real rather than random.
        original: A description of the dense original.
        environment: The processor, the number of threads, and versions.
        provenance: The study, round and run that the model comes from.
        compact: Whether there were dead units and they were removed first.
        files: Relative name -> sha256 of all files of the export.
    """

    rows: list[ExportRow]
    model: str
    cost: Cost
    examples: int
    real: bool
    original: str
    environment: dict[str, str]
    provenance: dict[str, Any] = field(default_factory=dict)
    compact: bool = False
    files: dict[str, str] = field(default_factory=dict)

    @property
    def verified(self) -> list[ExportRow]:
        """The rows of the exports that were verified."""
        return [row for row in self.rows if row.status == "verified"]

    def find(self, name: str) -> ExportRow:
        """Return the row with a name such as `litert int8`."""
        return next(row for row in self.rows if row.name == name)

    def words(self) -> Iterator[str]:
        """Yield sentences about the figures, and about what the inputs must be."""
        yield from words.sentences(self.rows, self.original, self.compact, self.cost)
        yield from words.choice(self.rows)
        yield from words.inputs(self.provenance.get("standardized"))

    def lead(self) -> Iterator[str]:
        """Yield what matters most, in two lines: the model; what was verified, and which export to take."""
        what = "test examples" if self.real else "random inputs"
        yield f"{self.model}: {self.cost}; checked on {self.examples:,} {what}."
        names = {status: [row.name for row in self.rows if row.status == status] for status in STATUSES}
        others = [f"{status}: {', '.join(names[status])}" for status in STATUSES[1:] if names[status]]
        verified = f"{len(self.verified)} of {_counted(len(self.rows))} verified"
        yield " ".join([f"{'; '.join([verified, *others])}.", *words.choice(self.rows)])

    def lines(self) -> Iterator[str]:
        """Yield what matters most, the table, and the sentences about it."""
        yield from self.lead()
        yield ""
        yield from table(self)
        yield ""
        chosen = set(words.choice(self.rows))
        yield from (line for line in self.words() if line not in chosen)

    def __str__(self) -> str:
        return "\n".join(self.lines())

    def save(self, path: Path) -> None:
        """Write the report atomically as JSON, sentences included. Values that JSON lacks become text.

        Args:
            path: The path of the file.
        """
        content = {
            "format": KIND,
            "version": 2,
            **asdict(self),
            "words": list(self.words()),
        }
        plain = json.loads(json.dumps(content, default=str), parse_constant=lambda _: None)
        atomic.write_json(path, with_digest(plain))


STATUSES = ("verified", "refused", "not made")

_WIDTHS = {"1": 14, "32": 17, "256": 19}
_HEAD = (
    f"{'':18}{'size':>9}{'':>9}{'of':>8}{'load':>6}{'model':>7}  "
    f"{'median us at batch (dense original)':50}{'test':>6}  largest",
    f"{'export':18}{'kB':>9}{'.tar.gz':>9}{'dense':>8}{'s':>6}{'MB':>7}  "
    f"{''.join(f'{batch:{width}}' for batch, width in _WIDTHS.items())}{'acc.':>6}  difference",
)


def table(report: Report) -> Iterator[str]:
    """Yield the lines of a report's table."""
    yield from _HEAD
    for row in report.rows:
        yield _line(row) if row.status == "verified" else f"{row.name:18} {row.status}: {row.reason}"


def _counted(exports: int) -> str:
    return f"{exports} export{'' if exports == 1 else 's'}"


def _line(row: ExportRow) -> str:
    verified = row.verified
    assert verified  # and measured
    assert row.bytes
    assert row.compressed_bytes
    times = "".join(f"{_time(row, batch):{width}}" for batch, width in _WIDTHS.items())
    accuracy = "" if verified.accuracy is None else f"{100 * verified.accuracy:.2f}"
    of_dense = f"{row.bytes / row.dense_bytes:.1%}" if row.dense_bytes else ""
    difference = "none, bit for bit" if verified.identical else f"{verified.difference:.1e}"
    return (
        f"{row.name:18}{row.bytes / 1e3:9,.1f}{row.compressed_bytes / 1e3:9,.1f}"
        f"{of_dense:>8}{verified.load_seconds:6.2f}"
        f"{verified.memory_of_model_bytes / 1e6:7.1f}  {times}{accuracy:>6}  {difference}"
    )


def _time(row: ExportRow, batch: str) -> str:
    if batch not in row.latency:
        return "not measured"
    dense = f" ({1e6 * row.dense_latency[batch]:,.0f})" if batch in row.dense_latency else ""
    return f"{1e6 * row.latency[batch]:,.0f}{dense}"
