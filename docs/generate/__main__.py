"""Writes the pages that follow from the source: `python docs/generate`."""

from pathlib import Path

import commands
import configuration

PAGES = {"configuration.md": configuration.page, "commands.md": commands.page}

if __name__ == "__main__":
    for name, page in PAGES.items():
        (Path(__file__).parent.parent / name).write_text(page())
