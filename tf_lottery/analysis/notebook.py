"""How results show themselves in a notebook: table, sentences and picture, as HTML without scripts.

No colour is set, so that all of it is legible in light and dark notebooks alike.
"""

import base64
import html
import tempfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_CELL = "padding: 0.2em 0.6em; white-space: nowrap; text-align: "


@dataclass(frozen=True)
class Table:
    """A table.

    Attributes:
        head: The columns' names.
        rows: The cells of each row.
    """

    head: Sequence[str]
    rows: Sequence[Sequence[str]]


def page(table: Table | None, sentences: Iterable[str], draw: Callable[[Path], Any] | None = None) -> str:
    """Return a table, sentences and a picture below each other, as HTML.

    All text is escaped, so names of arms and layers are shown as they are.

    Args:
        table: The table. None, or one without rows, isn't shown.
        sentences: The sentences, each in a paragraph.
        draw: A function that writes a PNG file, which is put into the HTML. Default: no picture.
    """
    shown = _table(table) if table is not None and table.rows else ""
    shown += "".join(f"<p>{html.escape(sentence)}</p>" for sentence in sentences if sentence)
    if draw is None:
        return shown
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "picture.png"
        draw(path)
        picture = base64.b64encode(path.read_bytes()).decode("ascii")
    return f'{shown}<img alt="" src="data:image/png;base64,{picture}" style="max-width: 100%">'


def _table(table: Table) -> str:
    sides = [
        "right" if any(cell[:1].isdigit() for cell in column) else "left"
        for column in zip(*table.rows, strict=True)
    ]

    def line(cells: Sequence[str], tag: str) -> str:
        parts = (
            f'<{tag} style="{_CELL}{side}">{html.escape(cell)}</{tag.split()[0]}>'
            for cell, side in zip(cells, sides, strict=True)
        )
        return f"<tr>{''.join(parts)}</tr>"

    head = line(table.head, 'th scope="col"')
    rows = "".join(line(cells, "td") for cells in table.rows)
    return (
        '<div style="overflow-x: auto"><table style="font-variant-numeric: tabular-nums"><thead>'
        f"{head}</thead><tbody>{rows}</tbody></table></div>"
    )
