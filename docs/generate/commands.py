"""Writes docs/commands.md: every command with its arguments and options, from the command line itself."""

import html
import re

import typer
from typer.cli import get_docs_for_click

from tf_lottery.cli import app

HEAD = """\
# Every command

<!-- Written by `make docs` from the command line: change the command. -->

`tf-lottery COMMAND --help` prints the same. [The command line](cli.md) says what is printed where,
and what exit codes mean.
"""


def page() -> str:
    """Return the page."""
    group = typer.main.get_command(app)
    context = group.context_class(group, info_name="tf-lottery")
    rows, parts = ["| command | what it does |", "|---|---|"], []
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        first = command.help.split("\n\n")[0]
        rows.append(f"| [`{name}`](#{name}) | {' '.join(first.split())} |")
        parts.append(get_docs_for_click(obj=command, ctx=context, name=name, indent=1, title=None))
    text = html.unescape("\n".join([HEAD, *rows, "", *parts]))
    text = re.sub(r"\n\* `--help`: Show this message and exit\.", "", text).replace(
        "[required]", "(required)"
    )
    text = text.replace("```console", "```text").replace("$ ", "tf-lottery ")
    return re.sub(r"\n{3,}", "\n\n", text).strip() + "\n"
