"""Figures as TensorBoard reads them: its own readers, on a study of version 0.1 and a made-up one."""

import os
import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.custom_scalar import layout_pb2
from tensorboard.util.tensor_util import make_ndarray

from tests.fakes import fake_record, fake_study, run_to_the_end
from tf_lottery.analysis.tensorboard import figures
from tf_lottery.analysis.tensorboard.figures import write_figures
from tf_lottery.errors import LotteryError
from tf_lottery.lock import held
from tf_lottery.method.plan import collect
from tf_lottery.method.results import Results
from tf_lottery.paths import StudyPaths
from tf_lottery.store import upkeep
from tf_lottery.store.ours import foreign
from tf_lottery.store.store import Store
from tf_lottery.store.study_file import load

TESTS = Path(__file__).parents[2]
ARMS = {"ticket": {}, "random_reinit": {"rounds": [1, 2]}}
STUDY = fake_study(arms=ARMS, replicates=3)


@pytest.fixture(scope="module")
def records():
    """Three replicates whose test accuracies differ: 0.9 - replicate / 10 - round / 100."""
    return [
        fake_record(
            record.spec, early_stop_test_accuracy=0.9 - record.spec.replicate / 10 - record.spec.round / 100
        )
        for record in collect(STUDY, run_to_the_end(STUDY))
    ]


@pytest.fixture
def store(tmp_path, monkeypatch):
    """Runs whose validation loss is 1 / (1 + step) + replicate."""
    monkeypatch.setattr(figures, "closer_look", lambda record, store: ())
    known = {record.key: record.spec.replicate for record in run_to_the_end(STUDY)}

    def curves(key):
        steps = [0, 20, 40] if known[key] else [0, 20, 30, 40]
        loss = [1 / (1 + step) + known[key] for step in steps]
        return {"step": steps, "validation_loss": loss, "validation_accuracy": [0.5 for _ in steps]}

    return SimpleNamespace(paths=StudyPaths(tmp_path / "study"), curves=curves)


@pytest.fixture
def old(tmp_path):
    """The study of version 0.1: study, results, store."""
    shutil.unpack_archive(TESTS / "version_0_1.zip", tmp_path)
    store = Store(StudyPaths(tmp_path / "study"))
    study = load(store.paths)
    return study, Results(collect(study, store.records())), store


def read(directory):
    """Run -> tag -> [(step, value), ...]."""
    runs = {}
    for path in sorted(directory.rglob("events*")):
        found = EventAccumulator(str(path.parent), size_guidance={"tensors": 0}).Reload()
        runs[str(path.parent.relative_to(directory))] = {
            tag: [(event.step, make_ndarray(event.tensor_proto)) for event in found.Tensors(tag)]
            for tag in found.Tags()["tensors"]
        }
    return runs


def charts(runs, main="ticket"):
    """The charts of the page: title -> tags of mean, minimum and maximum."""
    page = layout_pb2.Layout.FromString(runs[main].pop("custom_scalars__config__")[0][1].item())
    return {
        chart.title: tuple(getattr(chart.margin.series[0], each) for each in ("value", "lower", "upper"))
        for category in page.category
        for chart in category.chart
    }


def test_charts_name_tags_that_exist_and_means_and_bands_are_those_worked_out_by_hand(store, records):
    runs = read(write_figures(STUDY, Results(records), store))
    page = charts(runs)
    written = {
        tag for tags in runs.values() for tag in tags if not tag.startswith(("outcome/", "_hparams_/"))
    }
    assert {tag for tags in page.values() for tag in tags} == written
    assert set(runs) == {"ticket", "random_reinit"} | {
        *(f"ticket/round_0{round}" for round in (0, 1, 2, 3)),
        *(f"random_reinit/round_0{round}" for round in (1, 2)),
    }
    by_round = page["Test accuracy at early stop (%), by round"]
    for tag, minus in zip(by_round, (10, 20, 0), strict=True):
        values = [(step, pytest.approx(90 - minus - step)) for step in range(4)]
        assert runs["ticket"][tag] == values
        assert runs["random_reinit"][tag] == values[:3]
    mean, low, high = page["Validation loss, by training step"]
    learned = runs["random_reinit/round_01"]
    assert [step for step, _ in learned[mean]] == [0, 20, 40], "only where all replicates were evaluated"
    assert [value for _, value in learned[low]] == [pytest.approx(1 / (1 + step)) for step in (0, 20, 40)]
    assert learned[mean][1] == (20, pytest.approx(1 + 1 / 21))
    assert learned[high][1] == (20, pytest.approx(2 + 1 / 21))


def test_every_step_of_a_line_is_there_once_and_steps_rise(store, records):
    for tags in read(write_figures(STUDY, Results(records), store)).values():
        for tag, points in tags.items():
            steps = [step for step, _ in points]
            assert steps == sorted(set(steps)), tag


def test_written_twice_nothing_changes_and_more_runs_replace_all(store, records):
    first = write_figures(STUDY, Results(records[:-1]), store)
    before = {path: path.stat().st_mtime_ns for path in first.rglob("*")}
    assert write_figures(STUDY, Results(records[:-1]), store) == first
    assert {path: path.stat().st_mtime_ns for path in first.rglob("*")} == before
    left = store.paths.tensorboard / f".{first.name}.abcdefgh.tf_lottery"
    (left / "ticket").mkdir(parents=True)
    (store.paths.tensorboard / "mine").mkdir()
    second = write_figures(STUDY, Results(records), store)
    assert sorted(path.name for path in store.paths.tensorboard.iterdir()) == [second.name, "mine"]


def test_a_replicate_that_is_missing_is_left_out_of_the_mean(store, records):
    without = [r for r in records if (r.spec.replicate, r.spec.round) != (2, 3)]
    runs = read(write_figures(STUDY, Results(without), store))
    tag = "accuracy_by_round, digits/mean"
    assert [value for _, value in runs["ticket"][tag]] == [pytest.approx(each) for each in (80, 79, 78, 82)]


def test_a_full_disk_is_told_and_leaves_nothing(store, records, monkeypatch):
    monkeypatch.setattr(figures, "count", lambda directory: 1)
    with pytest.raises(LotteryError, match="Make room"):
        write_figures(STUDY, Results(records), store)
    assert list(store.paths.tensorboard.iterdir()) == []


def test_a_file_where_the_directory_should_be_is_told(store, records):
    store.paths.root.mkdir()
    store.paths.tensorboard.write_text("")
    with pytest.raises(LotteryError, match="can't be written"):
        write_figures(STUDY, Results(records), store)


def test_of_two_commands_one_writes(store, records, monkeypatch):
    monkeypatch.setattr(figures, "PATIENCE", 0)
    with held(store.paths.figures_lock), pytest.raises(LotteryError, match="Another command"):
        write_figures(STUDY, Results(records), store)
    with held(store.paths.tensorboard_lock):  # a study that is being trained
        assert write_figures(STUDY, Results(records), store).is_dir()


def test_a_study_without_finished_runs_has_no_figures(store):
    with pytest.raises(LotteryError, match="No run of the study is finished"):
        write_figures(STUDY, Results([]), store)
    assert not store.paths.tensorboard.exists()


def test_weights_and_masks_of_a_stored_study(old):
    study, results, store = old
    runs = read(write_figures(study, results, store))
    page = charts(runs)
    assert {tag for tags in page.values() for tag in tags} <= {tag for tags in runs.values() for tag in tags}
    assert set(runs) >= {"ticket", "random_reinit", "ticket/round_02"}
    ticket, last = runs["ticket"], results.rounds()[2]
    masks, weights = store.masks(last.key), store.weights(last.key)
    for path, mask in masks.items():
        step, buckets = ticket[f"weights_at_end_percent/{path}"][-1]
        kept = weights["model/" + path][mask].astype(float)
        counts, edges = np.histogram(kept, 40)
        assert step == 2
        assert np.allclose(buckets[:, 2], 100 * counts / mask.sum())
        assert np.allclose(buckets[:, 1], edges[1:])
        assert [step for step, _ in ticket[f"weights_at_start_percent/{path}"]] == [0, 1, 2]
        assert [step for step, _ in ticket[f"masks/{path}"]] == [0, 1, 2]
    assert "input_pixels" not in ticket, "digits were vectors in version 0.1"


def test_without_weights_there_are_masks_only(old):
    study, results, store = old
    whole = write_figures(study, results, store)
    for path in store.paths.runs.rglob("weights_last.npz"):
        path.unlink()
    fewer = write_figures(study, results, store)
    assert fewer != whole, "what is kept decides what is written"
    tags = read(fewer)["ticket"]
    assert not [tag for tag in tags if tag.startswith("weights_at_end")]
    assert [tag for tag in tags if tag.startswith("masks/")]


def test_upkeep_knows_what_was_written(old):
    study, results, store = old
    figures_ = write_figures(study, results, store)
    left = store.paths.tensorboard / f".{figures_.name}.abcdefgh.tf_lottery"
    (left / "ticket").mkdir(parents=True)
    (left / "ticket" / "events.out.tfevents.1.host.1.0").touch()
    assert list(foreign(store.paths)) == []
    assert upkeep.rubbish(study, store) == [], "it may be in the making"
    os.utime(left, (0, 0))
    assert [each.path for each in upkeep.collect_rubbish(study, store)] == [left]
    assert figures_.is_dir()
    assert not left.exists()
    left.mkdir()
    (left / "thesis.txt").write_text("mine")
    os.utime(left, (0, 0))
    assert upkeep.collect_rubbish(study, store) == []
    shutil.rmtree(left)
    assert list(store.damaged(results.records[0])) == []
    (figures_ / "ticket" / "thesis.tex").write_text("mine")
    assert [path.name for path in foreign(store.paths)] == ["thesis.tex"]
