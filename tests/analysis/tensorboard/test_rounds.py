import shutil

import pytest
import tensorflow as tf
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from tests.fakes import fake_record, fake_spec, fake_study, run_to_the_end
from tf_lottery.analysis.tensorboard.rounds import StudyCurves, write_missing_steps
from tf_lottery.errors import DamagedError
from tf_lottery.lock import held
from tf_lottery.method.plan import collect
from tf_lottery.paths import StudyPaths

CURVES = {
    "step": [0, 20, 40],
    "train_loss": [None, 1.5, 0.5],
    "train_accuracy": [None, 0.5, 0.75],
    "validation_loss": [2.5, 1.25, 1.0],
    "validation_accuracy": [0.125, 0.625, 0.875],
}
ARMS = {"ticket": {}, "random_reinit": {"rounds": [2], "trials": 2}}
LINES = ["random_reinit_replicate0", "random_reinit_replicate0_trial1", "ticket_replicate0"]
SOMETHING = [fake_spec()]


class StubStore:
    """Gives the curves of every run, or what `curves` holds under its key."""

    def __init__(self, **curves):
        self._curves = curves

    def curves(self, key):
        found = self._curves.get(key, CURVES)
        if isinstance(found, Exception):
            raise found
        return found


@pytest.fixture
def paths(tmp_path):
    return StudyPaths(tmp_path / "study")


@pytest.fixture
def curves(paths):
    watching = StudyCurves(paths, StubStore())
    yield watching
    watching.close()


@pytest.fixture(scope="module")
def records():
    """Dense network, three rounds, two controls at round 2."""
    return run_to_the_end(fake_study(arms=ARMS))


def read(directory):
    """Tag -> [(step, value), ...], in the order written."""
    found = EventAccumulator(str(directory), size_guidance={"tensors": 0}).Reload()
    return {
        tag: [(event.step, tf.make_ndarray(event.tensor_proto).item()) for event in found.Tensors(tag)]
        for tag in found.Tags()["tensors"]
    }


def rounds(paths):
    """Line -> rounds of its density curve, in the order written."""
    directories = sorted((paths.tensorboard / "rounds").glob("*"))
    return {each.name: [step for step, _ in read(each)["round/density"]] for each in directories}


def steps_directory(paths, record):
    spec = record.spec
    return paths.tensorboard_run(spec.arm, spec.replicate, spec.round, spec.trial)


def test_every_line_begins_at_the_dense_network(paths, curves, records):
    curves.planned(records, [])
    assert rounds(paths) == dict(zip(LINES, ([0, 2], [0, 2], [0, 1, 2, 3]), strict=True))


def test_tags_and_values_are_those_of_the_records(paths, curves):
    dense = fake_record(fake_spec())
    pruned = fake_record(fake_spec(round=1), validation=0.75, early_stop_test_accuracy=0.625)
    curves.planned([dense, pruned], SOMETHING)
    found = read(paths.tensorboard_arm("ticket", 0, 0))
    assert {tag: points[1] for tag, points in found.items()} == {
        "round/density": (1, 0.5),
        "round/sparsity": (1, 0.5),
        "round/early_stop_test_accuracy": (1, 0.625),
        "round/early_stop_validation_accuracy": (1, 0.75),
        "round/early_stop_iteration": (1, 600.0),
        "density_by_layer/hidden/kernel": (1, 0.5),
    }
    assert found["round/density"][0] == (0, 1.0)


def test_later_calls_add_what_is_new_and_readers_see_it_at_once(paths, curves, records):
    tickets = [record for record in records if record.spec.arm == "ticket"]
    for count in (1, 2, 2, 4):
        curves.planned(tickets[:count], SOMETHING)
        assert rounds(paths) == {"ticket_replicate0": list(range(count))}


def test_old_curves_go(paths, curves, records):
    for count in (4, 1):
        watching = StudyCurves(paths, StubStore())
        watching.planned(records[:count], SOMETHING)
        watching.close()
    assert rounds(paths) == {"ticket_replicate0": [0]}


def test_no_curves_before_a_run_is_finished(paths, curves):
    curves.planned([], SOMETHING)
    assert rounds(paths) == {}
    assert not paths.tensorboard.exists()


def content(paths):
    return {path: path.stat().st_mtime_ns for path in paths.tensorboard.rglob("*")}


def test_a_study_that_was_finished_before_keeps_its_curves(paths, records):
    watching = StudyCurves(paths, StubStore())
    watching.planned(records, [])
    watching.close()
    before = content(paths)
    again = StudyCurves(paths, StubStore())
    again.planned(records, [])
    again.close()
    assert content(paths) == before

    shutil.rmtree(paths.tensorboard / "rounds")
    again.planned(records, [])
    again.close()
    assert list(rounds(paths)) == LINES, "unless they were deleted"


@pytest.mark.parametrize("part", ["runs", "rounds"])
@pytest.mark.parametrize("cut", [0, 30, -1])
def test_curves_that_a_kill_cut_off_are_made_whole(paths, records, part, cut):
    watching = StudyCurves(paths, StubStore())
    watching.planned(records, [])
    watching.close()
    whole = {path.parent: read(path.parent) for path in paths.tensorboard.rglob("events*")}
    path = next((paths.tensorboard / part).rglob("events*"))
    path.write_bytes(path.read_bytes()[:cut])
    again = StudyCurves(paths, StubStore())
    again.planned(records, [])
    again.close()
    assert {path.parent: read(path.parent) for path in paths.tensorboard.rglob("events*")} == whole


def test_while_another_process_writes_this_one_does_not(paths, curves, records):
    with held(paths.tensorboard_lock) as mine:
        assert mine
        curves.planned(records[:1], SOMETHING)
        curves.planned(records, [])
        curves.close()
        assert not paths.tensorboard.exists()


def test_once_the_other_process_has_ended_this_one_writes_all(paths, curves, records):
    with held(paths.tensorboard_lock):
        curves.planned(records[:1], SOMETHING)
        stale = paths.tensorboard_arm("ticket", 7, 0)
        stale.mkdir(parents=True)
    curves.planned(records, SOMETHING)
    assert list(rounds(paths)) == LINES
    with held(paths.tensorboard_lock) as free:
        assert not free, "from now on it is the one that writes"


def test_close_writes_what_it_heard_of_last(paths, curves, records):
    with held(paths.tensorboard_lock):
        curves.planned(records[:1], SOMETHING)
        curves.planned(records, [])
    curves.close()
    assert rounds(paths) == dict(zip(LINES, ([0, 2], [0, 2], [0, 1, 2, 3]), strict=True))
    assert read(steps_directory(paths, records[0]))


def test_close_lets_go_of_the_lock_and_may_be_called_again(paths, curves, records):
    curves.planned(records, [])
    with held(paths.tensorboard_lock) as free:
        assert not free
    curves.close()
    before = content(paths)
    with held(paths.tensorboard_lock) as free:
        assert free
    curves.close()
    assert content(paths) == before
    curves.planned(records, SOMETHING)
    assert list(rounds(paths)) == LINES, "a closed one begins anew"


def test_a_lock_that_cannot_be_made_is_silence(paths, curves, records):
    paths.root.mkdir()
    paths.locks.write_text("a file where the directory should be")
    curves.planned(records, SOMETHING)
    curves.close()
    assert not paths.tensorboard.exists()


def test_a_directory_that_cannot_be_made_is_silence(paths, curves, records):
    paths.root.mkdir()
    paths.tensorboard.write_text("a file where the directory should be")
    curves.planned(records, SOMETHING)
    curves.close()
    assert paths.tensorboard.is_file()


def test_step_curves_that_nobody_wrote_are_written_from_the_records(paths, records):
    write_missing_steps(paths, StubStore(), records)
    for record in records:
        assert read(steps_directory(paths, record)) == {
            "training/loss": [(20, 1.5), (40, 0.5)],
            "training/accuracy": [(20, 0.5), (40, 0.75)],
            "validation/loss": [(0, 2.5), (20, 1.25), (40, 1.0)],
            "validation/accuracy": [(0, 0.125), (20, 0.625), (40, 0.875)],
        }


def test_step_curves_that_are_there_are_left_alone(paths, records):
    write_missing_steps(paths, StubStore(), records[1:2])
    before = {path: moment for path, moment in content(paths).items() if path.is_file()}
    write_missing_steps(paths, StubStore(), records)
    assert before.items() <= content(paths).items()
    assert steps_directory(paths, records[2]).exists()


def test_damaged_curves_are_said_to_be_when_they_are_needed(paths, records, curves):
    damaged = DamagedError("Expected the curves of a run.", records[0].key, "curves.json")
    store = StubStore(**{records[0].key: damaged})
    with pytest.raises(DamagedError):
        write_missing_steps(paths, store, records)
    with pytest.raises(DamagedError):
        StudyCurves(paths, store).planned(records, SOMETHING)


def test_ctrl_c_leaves_no_half_written_step_curves(paths, records, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("tf_lottery.training.tensorboard.StepCurves.evaluated", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_missing_steps(paths, StubStore(), records)
    assert not steps_directory(paths, records[0]).exists()


def test_step_curves_are_written_at_the_first_call_and_at_the_end(paths, curves, records):
    curves.planned(records[:1], SOMETHING)
    assert steps_directory(paths, records[0]).exists()
    curves.planned(records, [])
    assert not steps_directory(paths, records[1]).exists(), "whoever trains it writes it"
    curves.close()
    assert all(steps_directory(paths, record).exists() for record in records)


def test_every_curve_begins_at_its_own_dense_network_and_what_comes_before_has_none(paths, curves):
    study = fake_study(
        pruning={"rounds": 1},
        pretrain={"steps": "5it"},
        search={"steps": "10it"},
        arms={"final": {}, "random_reinit": {}},
    )
    finished = collect(study, run_to_the_end(study))
    dense = [record for record in finished if record.spec.round == 0]
    accuracies = {dense[0].key: 0.9, dense[1].key: 0.8}
    assert [record.spec.arm for record in dense] == ["final", "ticket"]
    finished = [
        record.model_copy(update={"early_stop_test_accuracy": accuracies.get(record.key, 0.7)})
        for record in finished
    ]
    without_final = [record for record in finished if record.spec.arm != "final"]
    curves.planned(without_final, SOMETHING)
    curves.planned(finished, [])
    found = {arm: read(paths.tensorboard_arm(arm, 0, 0)) for arm in ("final", "ticket", "random_reinit")}
    points = {arm: tags["round/early_stop_test_accuracy"] for arm, tags in found.items()}
    assert points == {
        "final": [(0, pytest.approx(0.9)), (1, pytest.approx(0.7))],
        "ticket": [(0, pytest.approx(0.8)), (1, pytest.approx(0.7))],
        "random_reinit": [(0, pytest.approx(0.9)), (1, pytest.approx(0.7))],
    }
    assert not paths.tensorboard_arm("pretrain", 0, 0).exists()
