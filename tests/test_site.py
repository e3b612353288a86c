"""The documentation's site: pages that follow from the source, a build that finds every link."""

import ast
import importlib
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import tf_lottery

ROOT = Path(__file__).parent.parent


@pytest.fixture
def generate(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "docs/generate"))
    monkeypatch.chdir(ROOT)
    return importlib.import_module


def test_the_page_of_settings_is_that_of_the_source(generate):
    page = generate("configuration").page()
    assert page == (ROOT / "docs/configuration.md").read_text(), "run `make docs`, and commit what it writes"
    assert "| `rate` | number above 0 and below 1 | `0.2` | The fraction of the remaining weights" in page


def test_the_page_of_commands_is_that_of_the_source(generate):
    page = generate("commands").page()
    assert page == (ROOT / "docs/commands.md").read_text(), "run `make docs`, and commit what it writes"
    assert "* `--retry-failed`: Train failed runs again." in page


def test_every_public_name_has_its_place_on_a_page_of_the_api():
    pages = "".join(path.read_text() for path in ROOT.glob("docs/api/*.md"))
    for name, module in tf_lottery._PUBLIC.items():
        path = module if name == "callbacks" else f"{module}.{name}"
        assert f"::: {path}" in pages, name


def test_every_page_is_in_the_menu():
    menu = (ROOT / ".mkdocs.yml").read_text()
    for path in ROOT.glob("docs/**/*.md"):
        assert str(path.relative_to(ROOT / "docs")) in menu, path


def skeletons():
    """Return the texts of the source, with `...` where a value is put in."""
    for path in ROOT.glob("tf_lottery/**/*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.JoinedStr):
                parts = [each.value if isinstance(each, ast.Constant) else "\0" for each in node.values]
                yield "".join(parts)
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield node.value


def test_the_messages_that_are_explained_are_those_of_the_source():
    page = (ROOT / "docs/troubleshooting.md").read_text()
    told = re.findall(r"^\| `([^`]+)`", page, re.M)
    assert len(told) > 20
    texts = list(skeletons())
    for message in told:
        pattern = ".*".join(re.escape(part.strip()) for part in message.split("..."))
        assert any(re.search(pattern, text, re.S) for text in texts), message


@pytest.mark.slow
def test_the_site_is_built_without_a_warning(tmp_path):
    command = [sys.executable, "-m", "mkdocs", "build", "-f", ".mkdocs.yml", "-d", str(tmp_path / "site")]
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    run = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    assert "WARNING" not in run.stderr
    html = (tmp_path / "site/api/keras.html").read_text()
    assert "A compiled model, or a function without arguments" in html
    hosts = set()
    for page in tmp_path.glob("site/**/*.html"):
        loaded = re.findall(
            r'<(?:script|img|link rel="stylesheet")[^>]*(?:src|href)="(https?:)?//', page.read_text()
        )
        hosts |= set(loaded)
    assert not hosts, "pages load nothing from another host"
