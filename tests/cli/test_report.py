"""`tf-lottery report` and `tf-lottery compare`."""

import pytest
from typer.testing import CliRunner

from tests.analysis.made_up import made_up, on_disk
from tests.cli.test_cli import printed_without
from tf_lottery.cli import app
from tf_lottery.errors import LotteryError

ARMS = ["ticket", "random_reinit"]


@pytest.fixture
def studies(tmp_path, monkeypatch):
    """A directory with two made-up studies under saved_models/."""
    for name in ("one", "two"):
        on_disk(made_up(arms=ARMS), tmp_path / "saved_models" / name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def typed(*arguments):
    """What a command prints."""
    result = CliRunner().invoke(app, [*arguments], catch_exceptions=False)
    assert result.exit_code == 0
    return result.output.splitlines()


def test_report_says_where_it_is(studies):
    assert typed("report", "one") == [
        "Report:   saved_models/one/report.html",
        "Figures:  saved_models/one/report",
    ]
    assert (studies / "saved_models/one/report.html").stat().st_size > 10_000


def test_report_names_what_it_left_out(studies):
    record = next((studies / "saved_models/one/runs").glob("*/record.json"))
    record.write_text("{}")
    first, *_ = typed("report", "one")
    assert first.startswith("Left out: The record saved_models/one/runs/")


def test_compare_writes_a_page_and_replaces_it(studies):
    path = studies / "saved_models/comparison.html"
    assert typed("compare", "two", "one") == ["Comparison: saved_models/comparison.html"]
    assert "two and one" in path.read_text()
    assert typed("compare", "one", "two") == ["Comparison: saved_models/comparison.html"]
    assert "one and two" in path.read_text()
    typed("compare", "one", "saved_models/two", "--output", "there/both.html")
    assert "one and two" in (studies / "there/both.html").read_text()


def test_studies_of_one_name_are_named_as_they_were_typed(studies):
    on_disk(made_up(arms=ARMS), studies / "elsewhere/one")
    typed("compare", "one", "elsewhere/one")
    assert "one and elsewhere/one" in (studies / "saved_models/comparison.html").read_text()


@pytest.mark.parametrize(
    "arguments", [["report", "nothing"], ["compare", "one", "nothing"], ["compare", "one"]]
)
def test_bad_names_are_one_line_and_write_nothing(studies, arguments):
    with pytest.raises(LotteryError, match=r"^Expected [^\n]*$"):
        typed(*arguments)
    assert not (studies / "saved_models/comparison.html").exists()


def test_neither_needs_tensorflow(studies):
    out = printed_without({"tensorflow", "keras"}, ["report", "one"], ["compare", "one", "two"], cwd=studies)
    assert out[0].startswith("Report: ")
    assert out[1].startswith("Comparison: ")


def test_a_page_of_someone_else_is_not_replaced(studies):
    path = studies / "mine.html"
    path.write_text("<p>Mine.</p>")
    with pytest.raises(LotteryError, match=r"mine.html wasn't written by tf_lottery"):
        typed("compare", "one", "two", "--output", str(path))
    assert path.read_text() == "<p>Mine.</p>"


def test_a_search_is_told_from_a_study(studies):
    (studies / "saved_models/mine").mkdir()
    (studies / "saved_models/mine/search.json").touch()
    with pytest.raises(LotteryError, match=r"saved_models/mine is a search, not a study.*result\.summary"):
        typed("report", "mine")
