"""Runs that a neighbouring study has trained."""

import os
import re
import shutil

import pytest

from tests.drivers.test_run_study import SETTINGS, results, study
from tests.store.test_damage import Notes, flip
from tf_lottery import importing
from tf_lottery.drivers.execution import Execution
from tf_lottery.drivers.run_study import run_study
from tf_lottery.paths import StudyPaths
from tf_lottery.pruning.criteria import CRITERIA
from tf_lottery.store import adopt as adopt_module

LENET = {"model": {"name": "lenet_300_100"}, "arms": {"ticket": {}}}


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    directory = tmp_path_factory.mktemp("neighbours") / "first"
    return directory, run_study(study(**LENET, pruning__rounds=1), directory)


@pytest.fixture
def neighbour(trained, tmp_path):
    """A directory with one study, of which each test has its own copy: what it trains is nobody else's."""
    shutil.copytree(trained[0], tmp_path / "first")
    return tmp_path, trained[1]


def adopt(neighbour, name, execution=None, **changes):
    notes = Notes()
    settings = {**LENET, "pruning__rounds": 2, **changes}
    config = study(**settings)
    records = run_study(
        config, neighbour[0] / name, observer=notes, execution=execution or Execution(workers=1)
    )
    return records, notes


def test_what_is_the_same_is_taken_over_and_lies_on_the_disk_once(neighbour):
    root, first = neighbour
    records, notes = adopt(neighbour, "second")
    assert notes.trained == [records[2].key]
    assert [note.split(": ")[1] for note in notes.notes] == [f"taken over from {root / 'first'}"] * 2
    for record in first:
        mine, theirs = (StudyPaths(root / name).run(record.key) for name in ("second", "first"))
        assert os.path.samefile(mine.weights_last, theirs.weights_last)
    own = run_study(study(**LENET, pruning__rounds=2), root / "own" / "study")
    assert [record.digests for record in own] == [record.digests for record in records]
    assert results(root / "second") == results(root / "own" / "study")


def test_another_learning_rate_takes_over_nothing(neighbour):
    training = {**SETTINGS["training"], "learning_rate": 0.02}
    records, notes = adopt(neighbour, "other_rate", training=training)
    assert notes.trained == [record.key for record in records]


def test_another_pruning_rate_takes_over_the_dense_network_alone(neighbour):
    records, notes = adopt(neighbour, "other_pruning", pruning={"rate": 0.5, "rounds": 2})
    assert notes.trained == [record.key for record in records[1:]]


def test_another_rewind_point_takes_over_nothing_since_the_dense_run_lacks_it(neighbour):
    records, notes = adopt(neighbour, "late", rewind={"to": "20it"})
    assert notes.trained == [record.key for record in records]


def test_a_run_that_vanishes_meanwhile_is_trained(tmp_path, monkeypatch):
    run_study(study(**LENET, pruning__rounds=0), tmp_path / "first")
    link = adopt_module.link

    def late(source, target, record):
        source.masks.unlink()
        return link(source, target, record)

    monkeypatch.setattr(adopt_module, "link", late)
    records, notes = adopt((tmp_path, None), "second", pruning__rounds=0)
    assert notes.trained == [records[0].key]
    assert [path.name for path in StudyPaths(tmp_path / "second").runs.iterdir()] == [records[0].key[:16]]


def test_damaged_runs_are_not_taken_over(tmp_path):
    dense, _ = run_study(study(**LENET, pruning__rounds=1), tmp_path / "first")
    flip(StudyPaths(tmp_path / "first").run(dense.key).weights_early_stop)
    _, notes = adopt((tmp_path, None), "second")
    assert dense.key in notes.trained


def test_a_users_own_network_is_not_taken_over(tmp_path):
    own = {"pruning__rounds": 0, "arms": {"ticket": {}}}
    run_study(study(**own), tmp_path / "first")
    notes = Notes()
    run_study(study(**own), tmp_path / "second", observer=notes)
    assert len(notes.trained) == 1


def test_under_strict_environment_nothing_of_another_one_is_taken_over_or_used(neighbour, monkeypatch):
    strict = Execution(workers=1, strict_environment=True)
    records, notes = adopt(neighbour, "strict", strict)
    assert notes.trained == [records[2].key], "the others are in the neighbour, from here"
    elsewhere = {"tensorflow": "9.9.9"}
    from tf_lottery.store import environment

    real = environment.environment()
    for module in ("store.environment", "runs.execute", "runs.keep"):
        monkeypatch.setattr(f"tf_lottery.{module}.environment", lambda: real | elsewhere)
    _, notes = adopt(neighbour, "stricter", strict)
    assert len(notes.trained) == 3
    with pytest.raises(
        ValueError, match=re.escape("tensorflow") + ".*here it is 9.9.9.*--strict-environment"
    ):
        adopt(neighbour, "strict", strict, pruning__rounds=3)


def test_studies_with_code_of_ones_own_neither_take_over_nor_give(neighbour, monkeypatch):
    """A name in a run's key says nothing of the code that stands for it in another process."""
    shutil.rmtree(neighbour[0] / "first")
    monkeypatch.setattr(importing, "_imported", {})
    for name, imports in (("gives", ["colorsys"]), ("plain", []), ("takes", ["colorsys"])):
        records, notes = adopt(neighbour, name, pruning__rounds=0, imports=imports)
        assert notes.trained == [records[0].key], name
        monkeypatch.setattr(importing, "_imported", {})
    records, notes = adopt(neighbour, "again", pruning__rounds=0)
    assert notes.trained == [], "from the plain one"


def test_code_that_no_config_names_is_noticed_too(neighbour, monkeypatch):
    shutil.rmtree(neighbour[0] / "first")
    monkeypatch.setattr(importing, "_imported", {"colorsys": None})  # by --import, or by an earlier study
    records, notes = adopt(neighbour, "import", pruning__rounds=0)
    assert notes.trained == [records[0].key]
    assert records[0].checks["own_code"] == ["colorsys"]
    monkeypatch.setattr(importing, "_imported", {})
    assert adopt(neighbour, "import", pruning__rounds=0)[1].trained == []  # and its config is written anew
    magnitude = CRITERIA["magnitude"]
    monkeypatch.setitem(CRITERIA, "magnitude", lambda evidence: magnitude(evidence))
    records, notes = adopt(neighbour, "with_a_line", pruning__rounds=0)
    assert notes.trained == [records[0].key]
    assert records[0].checks["own_code"] == [__name__]
    monkeypatch.setitem(CRITERIA, "magnitude", magnitude)
    records, notes = adopt(neighbour, "plain", pruning__rounds=0)
    assert notes.trained == [records[0].key]
    assert "own_code" not in records[0].checks
