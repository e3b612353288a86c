"""Figures as files and as parts of a page."""

import re
from xml.etree import ElementTree

import pytest

from tf_lottery.analysis.report.drawing import COLOURS, INK, PAPER, draw


def contrast(first, second):
    """The contrast of two colours, as WCAG 2 computes it."""

    def luminance(colour):
        parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
        return sum(share * c for share, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))

    dark, light = sorted((luminance(first), luminance(second)))
    return (light + 0.05) / (dark + 0.05)


@pytest.fixture(scope="module")
def picture():
    def drawn(figure):
        axes = figure.subplots()
        axes.plot([1, 2], [3, 4], "o-", color=COLOURS[0], label="a<b & $x_1$")
        axes.set_xlabel("<script>alert(1)</script>")

    return draw("some", "Title with <b> & more", "A caption.", drawn)


def test_files_are_valid(picture):
    root = ElementTree.fromstring(picture.files["svg"])
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    texts = [each.text for each in root.iter("{http://www.w3.org/2000/svg}text")]
    assert "<script>alert(1)</script>" in texts, "text stays text"
    assert "a<b & $x_1$" in texts, "and is no formula"
    assert picture.files["png"].startswith(b"\x89PNG")


def test_the_file_has_its_own_colours_and_the_page_gives_them(picture):
    text = picture.files["svg"].decode()
    assert INK in text
    assert PAPER in text
    assert INK not in picture.svg
    assert PAPER not in picture.svg
    assert "currentColor" in picture.svg


def test_in_a_page_it_names_itself_and_refers_to_nothing_else(picture):
    assert picture.svg.startswith('<svg role="img" aria-labelledby="some-title"')
    assert '<title id="some-title">Title with &lt;b&gt; &amp; more</title>' in picture.svg
    assert "http" not in picture.svg
    assert "<script" not in picture.svg
    ids = re.findall(r'\bid="([^"]+)"', picture.svg)
    assert len(ids) == len(set(ids))
    assert all(each.startswith("some-") for each in ids)
    used = re.findall(r'href="#([^"]+)"|url\(#([^)]+)\)', picture.svg)
    assert used
    assert {a or b for a, b in used} <= set(ids)


def test_the_same_figure_is_the_same_bytes(picture):
    def drawn(figure):
        figure.subplots().plot([1, 2], [1, 2])

    first, second = (draw("x", "t", "c", drawn) for _ in range(2))
    assert first.files == second.files


@pytest.mark.parametrize("colour", COLOURS)
def test_colours_are_seen_on_white_and_on_dark(colour):
    assert contrast(colour, "#f6f7f9") > 3
    assert contrast(colour, "#1e2228") > 3
