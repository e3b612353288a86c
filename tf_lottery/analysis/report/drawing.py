"""How figures are drawn: in ink that a page turns into its own, with names that no other figure has."""

import io
import re
from collections.abc import Callable
from typing import Any

from markupsafe import Markup, escape

from tf_lottery.analysis.report.blocks import Picture

INK = "#1b1e23"
"""The colour of texts and axes. A page writes them in its own colour, which is light on dark."""
PAPER = "#fefefd"
"""The colour behind a figure in a file. In a page there is none."""
WIDTH = 4.4
"""The width of a figure in inches. On a telephone its texts can still be read."""

LEVEL = "dense network"
"""The label of the dense network. It comes in the end of a legend."""
LONG, LONGEST = 26, 52
"""From so many characters on, labels of a legend stand below each other; longer ones are cut."""
STAR = "sparsest matching"
"""With what the label of the matching ticket begins, which comes there, too."""
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#b5609b", "#a87900", "#3b8ec4", "#7a5ac2", "#808080")
"""Okabe and Ito's colours for colour-blind readers; the light ones darker, so that all are seen on white and
on black."""
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "h")
DASHES: tuple[Any, ...] = ((0, (4, 1.5)), (0, (1.5, 1.5)), (0, (6, 1.5, 1.5, 1.5)), (0, (3, 1, 1, 1, 1, 1)))
"""Strokes of controls. Tickets are drawn in one stroke."""

_STYLE = {
    **dict.fromkeys(("text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color", "ytick.color"), INK),
    "grid.color": "#808080",
    "grid.alpha": 0.3,
    "grid.linewidth": 0.6,
    "font.family": "sans-serif",
    "font.size": 9,
    "axes.labelsize": 9,
    "xtick.labelsize": 8.5,
    "ytick.labelsize": 8.5,
    "legend.fontsize": 8.5,
    "figure.facecolor": PAPER,
    "axes.facecolor": "none",
    "savefig.facecolor": PAPER,
    "svg.fonttype": "none",
    "text.parse_math": False,
    "axes.spines.top": False,
    "axes.spines.right": False,
}


def draw(
    name: str,
    title: str,
    caption: str,
    drawn: Callable[[Any], None],
    height: float = 3.0,
    legend_columns: int = 2,
) -> Picture:
    """Return a figure as a page holds it, and as files.

    Args:
        name: The name of its files.
        title: What it shows.
        caption: How to read it.
        drawn: A function that draws it into matplotlib's figure.
        height: Its height in inches, without the legend.
        legend_columns: The columns of the legend below it, which has what the figure's first axes name.
    """
    import matplotlib
    from matplotlib.figure import Figure  # not pyplot: no window, no global state

    with matplotlib.rc_context(_STYLE | {"svg.hashsalt": name}):
        figure = Figure(figsize=(WIDTH, height), layout="constrained")
        drawn(figure)
        named = dict(zip(*reversed(figure.axes[0].get_legend_handles_labels()), strict=True))
        if named:
            last = [name for name in named if name == LEVEL or name.startswith(STAR)]
            named |= {name: named.pop(name) for name in last}
            labels, handles = [*named], [*named.values()]
            labels = [name if len(name) <= LONGEST else f"{name[: LONGEST - 3]}..." for name in labels]
            legend_columns = 1 if max(map(len, labels)) > LONG else legend_columns
            rows = -(-len(labels) // legend_columns)
            figure.set_size_inches(WIDTH, height + 0.19 * rows + 0.1)
            figure.legend(
                handles,
                labels,
                loc="outside lower center",
                ncols=legend_columns,
                frameon=False,
                handlelength=2.6,
                columnspacing=1.2,
            )
        png, svg = io.BytesIO(), io.BytesIO()
        figure.savefig(png, format="png", dpi=160)
        figure.set_layout_engine("none")  # it was laid out just now
        empty = dict.fromkeys(("Creator", "Date", "Format", "Type"))
        figure.savefig(svg, format="svg", metadata=empty)
    text = svg.getvalue().decode("utf-8")
    return Picture(
        name, title, caption, _inline(text, name, title), {"svg": text.encode(), "png": png.getvalue()}
    )


def _inline(text: str, name: str, title: str) -> Markup:
    """Return a file's SVG as HTML holds it: without its head, transparent, with names of its own."""
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.S)
    text = (
        re.sub(r'\s(?:xmlns(?::xlink)?|version|width|height)="[^"]*"', "", text[: text.index(">")])
        + (text[text.index(">") :])
    )
    text = re.sub(r'\bid="', f'id="{name}-', text)
    text = text.replace('href="#', f'href="#{name}-').replace("url(#", f"url(#{name}-")
    text = text.replace(INK, "currentColor").replace(PAPER, "none")
    head = f'<svg role="img" aria-labelledby="{name}-title"'
    return Markup(
        text.replace("<svg", head, 1).replace(">", f'><title id="{name}-title">{escape(title)}</title>', 1)
    )
