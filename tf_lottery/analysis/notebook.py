"""How results show themselves in a notebook: their table and their picture, as HTML without scripts."""

import base64
import html
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any


def page(text: str, draw: Callable[[Path], Any] | None = None) -> str:
    """Return a text, whose columns stay aligned, above a picture.

    Args:
        text: The text. It is escaped, so names of arms and layers are shown as they are.
        draw: A function that writes a PNG file, which is put into the HTML. Default: no picture.
    """
    shown = f'<pre style="line-height: 1.2; overflow-x: auto">{html.escape(text)}</pre>'
    if draw is None:
        return shown
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "picture.png"
        draw(path)
        picture = base64.b64encode(path.read_bytes()).decode("ascii")
    return f'{shown}<img src="data:image/png;base64,{picture}" style="max-width: 100%">'
