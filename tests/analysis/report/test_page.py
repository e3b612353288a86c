"""The page as HTML: its structure, its colours, and that nothing in it is more than text."""

import re
import subprocess
import tomllib
from pathlib import Path

import pytest

from tests.analysis.report.pages import Page
from tests.analysis.report.test_drawing import contrast
from tf_lottery.analysis.report import page as page_
from tf_lottery.analysis.report.blocks import Claims, Code, Folded, Row, Section, Table, Text
from tf_lottery.analysis.report.page import TEMPLATES, render

ROOT = Path(__file__).parents[3]
BAD = "<script>alert(1)</script>\"'&{{ 7 * 7 }}"


@pytest.fixture(scope="module")
def html():
    """A page in which all that can be text is a script."""
    row = Row("holds", "✓", BAD, BAD, BAD, BAD, BAD)
    table = Table(BAD, ["a", BAD], [[BAD, "1"], ["x", BAD]])
    blocks = [Text(BAD, kind) for kind in ("plain", "lead", "notice", "note")]
    blocks += [Code(BAD, BAD), table, Claims("claims", [row]), Folded(BAD, [table, Text(BAD)])]
    return render(BAD, BAD, [Section("first", BAD, blocks), Section("empty", "Nothing", [])], BAD)


def test_whatever_it_is_given_stays_text(html):
    page = Page(html)
    assert "script" not in page.attributes
    assert "<script" not in html
    assert page.text.count("<script>alert(1)</script>") >= 12
    assert "{{ 7 * 7 }}" in page.text
    assert "49" not in page.text


def test_its_structure(html):
    page = Page(html)
    assert page.attributes["html"] == [{"lang": "en"}]
    assert [level for level, _ in page.headings] == [1, 2], "sections without blocks are left out"
    assert "empty" not in page.ids
    assert len(page.ids) == len(set(page.ids))
    assert {"header", "nav", "main", "footer"} <= page.attributes.keys()
    assert all(link.startswith("#") and link[1:] in page.ids for link in page.links)
    assert {each.get("scope") for each in page.attributes["th"]} == {"col", "row"}
    boxes = [each for each in page.attributes["div"] if each.get("class") == "scroll"]
    assert len(boxes) == len(page.attributes["table"]) == len(page.attributes["caption"])
    assert all(box["tabindex"] == "0" and box["aria-label"] for box in boxes)


def test_answers_are_words_and_signs_and_numbers_are_aligned(html):
    page = Page(html)
    assert "✓ holds" in page.texts["td"]
    assert [each.get("class") for each in page.attributes["td"][:2]] == ["number", "number"]


@pytest.mark.parametrize("place", [0, 1, 2], ids=["light", "dark", "print"])
def test_texts_can_be_read_on_their_background(place):
    style = (page_.resources.files("tf_lottery.analysis.report") / "templates/style.css").read_text()
    blocks = re.findall(r":root \{(.*?)\}", style, re.S)
    assert len(blocks) == 3
    colours = dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{6});", blocks[place]))
    for name in ("ink", "soft", "link", "holds", "fails", "undecided", "untested"):
        for paper in ("paper", "card"):
            assert contrast(colours[name], colours[paper]) >= 4.5, (name, paper)
    assert contrast(colours["ink"], colours["notice"]) >= 4.5


def files_of_the_wheel():
    """What hatchling puts into the wheel, if it is here; otherwise what its rules say."""
    try:
        from hatchling.builders.wheel import WheelBuilder
    except ImportError:
        rules = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"][
            "wheel"
        ]
        assert rules.keys() == {"packages", "force-include"}, "nothing is excluded"
        assert rules["packages"] == ["tf_lottery"]
        paths = [path for path in (ROOT / "tf_lottery").rglob("*") if path.is_file()]
        names = [str(path.relative_to(ROOT)) for path in paths]
        command = ["git", "check-ignore", "--no-index", "--stdin"]
        ran = subprocess.run(command, cwd=ROOT, input="\n".join(names), capture_output=True, text=True)
        return set(names) - set(ran.stdout.split("\n"))
    return {each.distribution_path for each in WheelBuilder(str(ROOT)).recurse_included_files()}


def test_the_wheel_has_the_templates():
    names = {f"tf_lottery/analysis/report/templates/{name}" for name in TEMPLATES}
    assert names <= files_of_the_wheel()
    here = {path.name for path in (ROOT / "tf_lottery/analysis/report/templates").iterdir()}
    assert here == set(TEMPLATES)
