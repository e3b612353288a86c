"""What a tuning writes down of itself, and how processes agree on what is proposed."""

import json
import threading

import pytest
import yaml

from tests.tuning.made_up import STUDY, made_up
from tf_lottery.config_tune import Tuning, load_tuning
from tf_lottery.errors import LotteryError
from tf_lottery.tuning.journal import Asked, agree, asked, open_tuning
from tf_lottery.tuning.paths import TuningPaths

DATA = {"data": {"name": "digits", "validation": 200}}


@pytest.fixture
def paths(tmp_path):
    return TuningPaths(tmp_path / "tuning")


def batch(first, *rates):
    return [Asked(number=first + at, values={"pruning.rate": rate}) for at, rate in enumerate(rates)]


def test_a_new_tuning_is_written_with_its_datas_digest(paths):
    opened = open_tuning(made_up(DATA), paths)
    assert len(opened.study.data.digest) == 64
    assert load_tuning(paths.tuning, ["storage.keep=weights"]) == opened
    assert open_tuning(made_up(DATA), paths) == opened


def test_a_tuning_goes_on_from_what_was_written(paths):
    opened = open_tuning(made_up(DATA), paths)
    text = paths.tuning.read_text()
    assert open_tuning(made_up(DATA), paths) == opened
    assert paths.tuning.read_text() == text


@pytest.mark.parametrize(
    ("study", "tune", "differs"),
    [
        ({"pruning": {"rate": 0.4, "rounds": 3}}, {}, "pruning.rate"),
        ({"training": {"steps": "90it"}}, {}, "training.steps, training.evaluate_every"),
        ({"seed": 3}, {}, "seed"),
        ({"replicates": 2}, {}, "replicates"),
        ({"arms": {"ticket": {}, "final": {"training": {"learning_rate": 0.1}}}}, {}, "arms.final.training"),
        ({}, {"tolerance": 0.02}, "tune.tolerance"),
        ({}, {"oracle": "random"}, "tune.oracle"),
        ({}, {"at_once": 3}, "tune.at_once"),
        ({}, {"ranges": {"pruning.rate": [0.25, 0.5]}}, "tune.ranges.pruning.rate"),
        ({}, {"objective": {"accuracy_at": 0.1}}, "tune.objective"),
        ({}, {"seed": 1}, "tune.seed"),
    ],
)
def test_another_tuning_is_refused_and_what_differs_is_named(paths, study, tune, differs):
    open_tuning(made_up(DATA), paths)
    before = paths.tuning.read_text()
    with pytest.raises(LotteryError) as error:
        open_tuning(made_up(DATA | study, **tune), paths)
    assert f"holds another tuning, which differs in {differs}" in str(error.value)
    assert "--output" in str(error.value)
    assert paths.tuning.read_text() == before


@pytest.mark.parametrize(
    ("study", "tune"),
    [
        ({}, {"candidates": 80}),
        ({}, {"budget": "100000it"}),
        ({}, {"confirm": 0}),
        ({"description": "again"}, {}),
        ({"storage": {"keep": "all"}}, {}),
        ({"arms": {"ticket": {}, "final": {}, "random_reinit": {}}}, {}),
        ({"pruning": {"rate": 0.5, "rounds": 9}}, {}),
    ],
)
def test_what_changes_no_candidate_may_be_changed(paths, study, tune):
    open_tuning(made_up(DATA), paths)
    changed = made_up(DATA | study, **tune)
    opened = open_tuning(changed, paths)
    assert opened.tune == changed.tune
    assert load_tuning(paths.tuning, ["storage.keep=weights"]).tune == changed.tune


def test_a_study_needs_none_of_the_arms_that_candidates_have(paths):
    opened = open_tuning(made_up(DATA | {"arms": {"ticket": {}}}), paths)
    assert list(opened.study.arms) == ["ticket"]


def test_a_directory_with_anything_else_is_refused(paths):
    paths.root.mkdir()
    (paths.root / "thesis.tex").write_text("x")
    with pytest.raises(LotteryError, match="isn't a tuning's directory: it holds thesis.tex"):
        open_tuning(made_up(DATA), paths)
    assert [path.name for path in paths.root.iterdir()] == ["thesis.tex"]


def test_a_studys_directory_is_refused(paths):
    paths.root.mkdir()
    paths.study.write_text(yaml.safe_dump(STUDY))
    with pytest.raises(LotteryError, match=r"isn't a tuning's directory: it holds study\.yaml"):
        open_tuning(made_up(DATA), paths)


def test_a_config_of_ones_own_with_that_name_is_left_alone(paths):
    paths.root.mkdir()
    paths.tuning.write_text("name: mine\n")
    with pytest.raises(LotteryError, match=r"tuning\.yaml is a config of your own"):
        open_tuning(made_up(DATA), paths)
    assert paths.tuning.read_text() == "name: mine\n"


@pytest.mark.parametrize("damage", [lambda text: text.replace(b"0.5", b"0.4"), lambda text: text + b"\xff"])
def test_a_file_that_was_changed_is_refused(paths, damage):
    open_tuning(made_up(DATA), paths)
    paths.tuning.write_bytes(damage(paths.tuning.read_bytes()))
    with pytest.raises(LotteryError, match=r"tuning\.yaml is damaged, or was changed.*delete it and repeat"):
        open_tuning(made_up(DATA), paths)
    paths.tuning.unlink()
    paths.runs.mkdir()
    assert open_tuning(made_up(DATA), paths)


def test_a_digest_that_is_given_is_kept(paths):
    given = made_up()
    opened = open_tuning(given, paths)
    assert opened == Tuning(given.study, given.tune)


def test_batches_are_written_down_in_order_and_read_back(paths):
    assert asked(paths) == []
    first, second = batch(1, 0.25, 0.5), batch(3, 0.75)
    assert agree(paths, 0, first) == first
    assert agree(paths, 1, second) == second
    assert asked(paths) == [first, second]


def test_values_of_all_kinds_and_shares_are_read_back(paths):
    values = {"a": 0.1234, "b": "100it", "c": True, "d": 3, "e": "adam"}
    one = [Asked(number=1, values=values, share=1 / 3)]
    agree(paths, 0, one)
    assert asked(paths) == [one]
    assert type(asked(paths)[0][0].values["c"]) is bool


def test_the_first_who_proposes_a_batch_decides(paths):
    first = batch(1, 0.25, 0.5)
    agree(paths, 0, first)
    assert agree(paths, 0, batch(1, 0.75)) == first
    assert asked(paths) == [first]


def test_many_at_once_agree(paths):
    answers, proposals = [], [batch(1, rate) for rate in (0.1, 0.2, 0.3, 0.4)]
    threads = [
        threading.Thread(target=lambda own=own: answers.append(agree(paths, 0, own))) for own in proposals
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(answers) == 4
    assert all(answer == answers[0] for answer in answers)
    assert asked(paths) == [answers[0]]


@pytest.mark.parametrize(
    "text", ["", "{", "3", '[{"number": 1}]', '[[{"number": "x", "values": {}}]]', "\x00"]
)
def test_a_damaged_list_is_one_line_that_says_what_to_do(paths, text):
    paths.root.mkdir()
    paths.asked.write_text(text)
    with pytest.raises(LotteryError, match=r"asked\.json is damaged\. Delete it and repeat") as error:
        asked(paths)
    assert "\n" not in str(error.value)


def test_the_list_can_be_read_by_anyone(paths):
    agree(paths, 0, batch(1, 0.25))
    assert json.loads(paths.asked.read_text()) == [
        [{"number": 1, "values": {"pruning.rate": 0.25}, "share": 1.0}]
    ]
