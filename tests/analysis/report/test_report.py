"""The whole report: of a study of real digits, and of made-up ones with something missing."""

import re
from xml.etree import ElementTree

import pytest

import tf_lottery as lottery
from tests.analysis.made_up import made_up, on_disk
from tests.analysis.report.pages import Page, told
from tests.fakes import all_at_once, fake_study
from tf_lottery.analysis.findings import Findings
from tf_lottery.analysis.report.report import write_report
from tf_lottery.paths import FIGURE, StudyPaths
from tf_lottery.store.ours import foreign

ARMS = ["ticket", "random_reinit", "shuffled"]
SMALL = ["training.steps=40it", "training.evaluate_every=20it", "pruning.rounds=2", "replicates=2"]
SECTIONS = ["verdict", "curves", "learning", "cost", "layers", "first_layer", "tickets", "reproduce"]


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A study of real digits, and its report."""
    directory = tmp_path_factory.mktemp("report") / "study"
    arms = "arms={ticket: {}, random_reinit: {}, shuffled: {}}"
    lottery.run_study("digits_quick", directory, [*SMALL, arms])
    paths = StudyPaths(directory)
    write_report(paths)
    return paths


def report(paths):
    """The report of a study, read."""
    write_report(paths)
    return Page(paths.report.read_text())


def test_it_has_its_sections_and_needs_nothing_else(trained):
    text = trained.report.read_text()
    page = Page(text)
    assert [each["id"] for each in page.attributes["section"]] == SECTIONS
    assert len(page.ids) == len(set(page.ids))
    assert all(link.startswith(("#", "data:image/png;base64,")) for link in page.links)
    assert "http" not in re.sub(r"data:image/png;base64,[^\"]*", "", text.replace("http-equiv", ""))
    assert "script" not in page.attributes
    assert text.lstrip().startswith("<!DOCTYPE html>")
    pictures = page.attributes["svg"]
    assert len(pictures) == len(page.attributes["figcaption"]) == 6
    assert all(each["role"] == "img" and each["aria-labelledby"] in page.ids for each in pictures)


def test_its_figures_are_files_of_both_kinds(trained):
    names = {path.name for path in trained.figures.iterdir()}
    stems = {"test_accuracy", "early_stop", "learning", "learning_loss", "layers", "first_layer"}
    assert names == {f"{stem}.{suffix}" for stem in stems for suffix in ("svg", "png")}
    for path in trained.figures.glob("*.svg"):
        assert ElementTree.parse(path).getroot().tag.endswith("svg")
        assert FIGURE.fullmatch(path.name)


def test_its_table_is_what_the_records_say(trained):
    page = Page(trained.report.read_text())
    records = lottery.run_study(
        "digits_quick", trained.root, [*SMALL, "arms={ticket: {}, random_reinit: {}, shuffled: {}}"]
    )
    rows = page.tables["ticket: test accuracy (%) at early stop, by round"][1:]
    for at, row in enumerate(rows):
        values = [
            100 * r.early_stop_test_accuracy for r in records if (r.spec.arm, r.spec.round) == ("ticket", at)
        ]
        assert row[4:7] == [f"{each:.2f}" for each in (sum(values) / 2, min(values), max(values))]


def test_a_study_with_a_report_is_still_ours_and_can_be_removed(trained):
    assert list(foreign(trained)) == []
    (trained.figures / "holiday.png").write_bytes(b"")
    assert list(foreign(trained)) == [trained.figures / "holiday.png"]
    write_report(trained)
    assert (trained.figures / "holiday.png").exists(), "what isn't ours stays"
    (trained.figures / "holiday.png").unlink()


def test_a_second_report_replaces_the_first(trained):
    (trained.figures / "barrier.svg").write_text("of an earlier report")
    trained.report.write_text("old")
    before = (trained.figures / "layers.svg").read_bytes()
    write_report(trained)
    assert not (trained.figures / "barrier.svg").exists()
    assert (trained.figures / "layers.svg").read_bytes() == before
    assert Page(trained.report.read_text()).headings[0] == (1, "digits_quick")
    assert [path.name for path in trained.root.glob(".*")] == []


def test_a_script_in_the_description_stays_text(tmp_path):
    findings = made_up(arms=ARMS)
    description = "<script>alert(1)</script><img src=x onerror=alert(2)>"
    findings.study = findings.study.model_copy(update={"description": description})
    page = report(on_disk(findings, tmp_path))
    assert not {"script", "img"} & page.attributes.keys()
    assert description in page.text


def test_half_of_a_study_says_how_many_are_left(tmp_path):
    page = report(on_disk(made_up(arms=ARMS, keep=lambda spec: spec.round < 4), tmp_path))
    assert told(page, "p", "30 runs are finished, 9 runs left.")
    assert told(page, "p", "claims nothing about a winning ticket yet")
    assert not [row for row in page.texts["td"] if "★" in row]
    assert "with 1.2% of its weights" not in page.text


def test_one_replicate_says_that_nothing_is_decided(tmp_path):
    page = report(on_disk(made_up(1, arms=ARMS), tmp_path))
    assert told(page, "p", "Nothing is decided")
    assert not [text for text in page.texts["td"] if text in ("✓ holds", "✗ fails")]


def test_damaged_files_are_left_out_and_named_on_top(tmp_path):
    findings = made_up(arms=ARMS)
    paths = on_disk(findings, tmp_path)
    one, other = findings.records[-1], findings.records[0]
    paths.run(one.key).record.write_text("{}")
    paths.run(other.key).curves.write_text("{")
    page = report(paths)
    (notice,) = told(page, "p", "2 files are damaged, and what they hold is left out")
    assert one.key[:16] in notice
    assert other.key[:16] in notice


def test_nothing_finished_is_a_page_too(tmp_path):
    page = report(on_disk(made_up(arms=ARMS, keep=lambda spec: False), tmp_path))
    assert told(page, "p", "No run of this study is finished yet")
    assert "svg" not in page.attributes


def test_a_study_with_a_squared_loss_has_classes_too_and_is_told_in_accuracies(tmp_path):
    study = fake_study(pruning={"rounds": 2}, training={"loss": "mean_squared_error"})
    paths = on_disk(Findings(study, all_at_once(study)), tmp_path)
    page = report(paths)
    assert "test accuracy (%)" in page.tables["ticket: at early stop, by round"][0]
    assert told(page, "p", "Dense network:")
    assert (paths.figures / "test_accuracy.svg").exists()


def test_thirty_arms_of_twenty_rounds_make_a_page_that_is_no_larger_than_it_may_be(tmp_path):
    rounds = [3, 7, 11, 15, 19]
    arms = {"ticket": {}, "random_reinit": {"rounds": rounds}}
    arms |= {
        f"arm{n}": {"like": "at_init", "rounds": rounds, "pruning": {"criterion": "random"}}
        for n in range(28)
    }
    study = fake_study(pruning={"rounds": 20}, arms=arms)
    left = lambda spec: max(1, round(1024 * 0.8**spec.round))  # noqa: E731
    paths = on_disk(Findings(study, all_at_once(study, left)), tmp_path)
    page = report(paths)
    assert paths.report.stat().st_size < 5e6
    assert {f"test_accuracy{n}.svg" for n in ("", "_2", "_3", "_4", "_5")} <= {
        path.name for path in paths.figures.iterdir()
    }
    assert "100" in page.texts["text"]
    assert "51.2" in page.texts["text"]
