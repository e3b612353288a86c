"""What a page is made of: sections, and the blocks in them. The template writes each kind in its own way."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from markupsafe import Markup


@dataclass(frozen=True)
class Text:
    """A paragraph.

    Attributes:
        text: The text.
        kind: `plain`; `lead` for the one sentence that matters most; `notice` for what a reader has to know
            before the rest; `note` for small print.
    """

    text: str
    kind: str = "plain"
    block: str = "text"


@dataclass(frozen=True)
class Code:
    """Something to be typed or copied, as it is."""

    text: str
    label: str
    block: str = "code"


@dataclass(frozen=True)
class Table:
    """A table whose first column names its rows.

    Attributes:
        caption: What it shows.
        head: The columns' headings.
        rows: The cells, as text; as many in each row as there are headings.
        texts: The numbers of the columns that hold text; all others are aligned as numbers.
        prose: Whether the first column holds sentences, which may be broken into lines.
    """

    caption: str
    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    texts: frozenset[int] = frozenset({0})
    prose: bool = False
    block: str = "table"


@dataclass(frozen=True)
class Picture:
    """A figure.

    Attributes:
        name: The name of its files, and of all names within it.
        title: What it shows, for who can't see it, too.
        caption: How to read it.
        svg: The picture as it stands in the page.
        files: The suffix of a file -> its content.
    """

    name: str
    title: str
    caption: str
    svg: Markup
    files: dict[str, bytes] = field(repr=False)
    block: str = "picture"


@dataclass(frozen=True)
class Row:
    """A claim as a page shows it: all texts, apart from the answer, which has a sign beside it."""

    answer: str
    sign: str
    statement: str
    source: str
    effect: str
    interval: str
    why: str


@dataclass(frozen=True)
class Claims:
    """A table of claims."""

    caption: str
    rows: Sequence[Row]
    block: str = "claims"


@dataclass(frozen=True)
class Folded:
    """Blocks that are shown once the reader asks for them."""

    summary: str
    blocks: Sequence[Any]
    block: str = "folded"


@dataclass(frozen=True)
class Pair:
    """Pictures that stand side by side where there is room."""

    pictures: Sequence[Picture]
    block: str = "pair"


@dataclass(frozen=True)
class Section:
    """A part of a page with a heading.

    Attributes:
        name: The name that a link leads to.
        title: The heading.
        blocks: What it holds. A section without blocks isn't shown.
    """

    name: str
    title: str
    blocks: Sequence[Any]


def pictures_in(blocks: Sequence[Any]) -> list[Picture]:
    """Return the pictures in some blocks, in order.

    Args:
        blocks: The blocks.
    """
    found: list[Picture] = []
    for each in blocks:
        if isinstance(each, Picture):
            found.append(each)
        elif isinstance(each, Pair):
            found += each.pictures
        elif isinstance(each, Folded):
            found += pictures_in(each.blocks)
    return found
