"""What the site has besides docs/: the project's own pages and the examples. mkdocs calls this."""

import ast
import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page
from nbconvert import MarkdownExporter

ROOT = Path(__file__).parent.parent.parent

JOINED = {
    "README.md": "index.md",
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "SECURITY.md": "security.md",
}
"""Pages that lie at the top of the repository -> where they stand in the site."""

ELSEWHERE = {
    **{f"../{name}": page for name, page in JOINED.items()},
    "../examples": "examples.md",
    "examples": "examples.md",
}
"""Links to what lies outside docs/ -> the page that has it."""


def examples() -> str:
    """Return the page of the examples: each with its docstring, which is Markdown, and its code."""
    rows, parts = [], []
    for path in sorted(ROOT.glob("examples/*.py")):
        source = path.read_text()
        tree = ast.parse(source)
        told = ast.get_docstring(tree) or ""
        code = "\n".join(source.splitlines()[tree.body[0].end_lineno :]).strip()
        first = " ".join(told.split("\n\n")[0].split())
        rows.append(f"| [{path.name}](#{path.stem}py) | {first} |")
        parts.append(f"## {path.name}\n\n{told}\n\n```python\n{code}\n```\n")
    head = "Scripts to paste; a test runs each. `python examples/NAME.py`, `--small` for a look."
    return "\n".join(["# Examples\n", head, "\n| script | what it does |\n|---|---|", *rows, "", *parts])


def notebooks() -> dict[str, str | bytes]:
    """Return the pages of the notebooks, as they were executed, and their pictures."""
    pages: dict[str, str | bytes] = {}
    for path in sorted(ROOT.glob("examples/*.ipynb")):
        text, found = MarkdownExporter().from_filename(str(path), {"unique_key": path.stem})
        pages[f"notebooks/{path.stem}.md"] = text
        pages |= {f"notebooks/{name}": picture for name, picture in found["outputs"].items()}
    return pages


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Join what lies outside docs/."""
    joined = {page: (ROOT / name).read_text() for name, page in JOINED.items()}
    for page, content in {**joined, "examples.md": examples(), **notebooks()}.items():
        files.append(File.generated(config, page, content=content))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Turn links that leave docs/, or come from outside it, into the site's."""

    def inside(link: re.Match) -> str:
        target, anchor = link[1], link[2] or ""
        if page.file.src_uri in JOINED.values():
            target = JOINED.get(target, target.removeprefix("docs/"))
        if page.file.src_uri.startswith("notebooks/"):
            target = re.sub(r"\.ipynb$", ".md", target.replace("../docs/", "../"))
        if script := re.fullmatch(r"(?:\.\./)?examples/(\w+)\.py", target):
            return f"](examples.md#{script[1]}py)"
        return f"]({ELSEWHERE.get(target.rstrip('/'), target)}{anchor})"

    return re.sub(r"\]\(([^)#\s]+)(#[^)\s]*)?\)", inside, markdown)
