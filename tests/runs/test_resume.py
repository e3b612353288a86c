"""A run that is interrupted goes on from its checkpoint, and comes out the same to the last bit."""

import functools

import pytest

from tests.drivers.test_run_study import results, study
from tf_lottery import arrays
from tf_lottery.drivers.run_study import run_study
from tf_lottery.paths import StudyPaths
from tf_lottery.runs.observe import StudyObserver

TRAINING = {"steps": "600it", "evaluate_every": "250it", "learning_rate": 0.01}
ADAM = {"training": TRAINING}
CASES = {
    "dropout and batch normalization": ADAM,
    "late rewinding with the optimizer": {
        "training": TRAINING,
        "rewind": {"to": "310it", "optimizer": "restore"},
    },
    "convolution, augmented": {
        "training": {**TRAINING, "steps": "450it"},
        "model": {"build": "tests.training.networks:convolutional"},
        "data": {"name": "digits", "validation": 200, "augment": {"pad_and_crop": {"padding": 1}}},
    },
    "momentum, schedule, decay": {
        "training": {
            **TRAINING,
            "optimizer": "sgd",
            "optimizer_options": {"momentum": 0.9},
            "weight_decay": 0.001,
            "learning_rate_schedule": {"name": "step_drops", "warmup": "50it", "drops": ["400it"]},
        },
    },
    "float16 with loss scaling": {"training": {**TRAINING, "precision": "mixed_float16", "xla": False}},
}


class Interrupted(StudyObserver):
    """Presses Ctrl-C in the midst of runs: in the n-th run after the n-th of `steps`."""

    def __init__(self, steps):
        self.steps, self.starts = list(steps), []

    def started(self, spec, first, last):
        self.starts.append((spec.arm, spec.round, spec.trial, first))

    def advanced(self, step):
        if self.steps and step >= self.steps[0]:
            self.steps.pop(0)
            raise KeyboardInterrupt


def interrupted(config, directory, steps):
    observer = Interrupted(steps)
    for _ in steps:
        with pytest.raises(KeyboardInterrupt):
            run_study(config, directory, observer=observer)
    run_study(config, directory, observer=observer)
    return observer.starts


def with_checkpoints(changes, **storage):
    return study(
        pruning__rounds=1,
        arms={"ticket": {}, "random_reinit": {"rounds": [1]}},
        storage={"checkpoint_every": "100it", **storage},
        **changes,
    )


FAST = "dropout and batch normalization"


@pytest.mark.parametrize("case", [c if c == FAST else pytest.param(c, marks=pytest.mark.slow) for c in CASES])
def test_an_interrupted_run_goes_on_to_the_same_bits(case, tmp_path):
    whole = study(pruning__rounds=1, arms={"ticket": {}, "random_reinit": {"rounds": [1]}}, **CASES[case])
    run_study(whole, tmp_path / "whole" / "study")
    directory = tmp_path / "interrupted" / "study"
    starts = interrupted(with_checkpoints(CASES[case]), directory, [450, 250, 400])
    firsts = [start[3] for start in starts]
    assert firsts[0] == 0
    assert firsts[1] in (310, 350, 410), "between two evaluations, after some calls"
    assert sum(first > 0 for first in firsts) >= 3
    assert results(directory) == results(tmp_path / "whole" / "study")


@pytest.mark.slow
def test_a_network_without_its_dead_units_goes_on(tmp_path, monkeypatch):
    monkeypatch.setattr("tf_lottery.training.dead_units.SAVED", 0)
    monkeypatch.setattr("tf_lottery.training.dead_units.COMPUTED", 1.0)
    lenet = {"model": {"name": "lenet_300_100"}, "training": TRAINING}
    whole = study(pruning={"rate": 0.9, "rounds": 1}, arms={"ticket": {}}, **lenet)
    records = run_study(whole, tmp_path / "whole" / "study")
    assert records[1].checks["units_computed"][0] < 64
    directory = tmp_path / "interrupted" / "study"
    storage = {"checkpoint_every": "100it"}
    small = study(pruning={"rate": 0.9, "rounds": 1}, arms={"ticket": {}}, storage=storage, **lenet)
    run_study(study(pruning={"rate": 0.9, "rounds": 0}, arms={"ticket": {}}, **lenet), directory)
    assert interrupted(small, directory, [450])[-1] == ("ticket", 1, 0, 350)
    assert results(directory) == results(tmp_path / "whole" / "study")


def test_checkpoints_go_with_their_run_and_change_nothing(tmp_path):
    run_study(study(**ADAM), tmp_path / "without" / "study")
    often = study(**ADAM, storage={"checkpoint_every": "1it"})
    run_study(often, tmp_path / "with" / "study")
    assert results(tmp_path / "with" / "study") == results(tmp_path / "without" / "study")


def test_a_checkpoint_that_is_past_a_new_rewind_point_is_not_used(tmp_path):
    begun = study(**ADAM, pruning__rounds=0, storage={"checkpoint_every": "100it"})
    with pytest.raises(KeyboardInterrupt):
        run_study(begun, tmp_path, observer=Interrupted([500]))
    observer = Interrupted([])
    records = run_study(study(**ADAM, pruning__rounds=0, rewind={"to": "200it"}), tmp_path, observer=observer)
    assert observer.starts[0][3] == 0
    assert StudyPaths(tmp_path).run(records[0].key).rewind_point(200).exists()


def test_without_checkpoints_a_run_starts_again(tmp_path):
    starts = interrupted(with_checkpoints(ADAM, checkpoint_every="never"), tmp_path, [450])
    assert [start[3] for start in starts][:2] == [0, 0]


def test_all_keeps_the_optimizer_and_changes_no_weight(tmp_path):
    run_study(study(), tmp_path / "weights" / "study")
    records = run_study(study(storage={"keep": "all"}), tmp_path / "all" / "study")
    paths = StudyPaths(tmp_path / "all" / "study")
    for record in records:
        state = arrays.load(paths.run(record.key).optimizer_last, record.digests["optimizer_last"])
        assert any(name.endswith("hidden_kernel_momentum") for name in state)
        del record.digests["optimizer_last"]
    plain = run_study(study(), tmp_path / "weights" / "study")
    assert [r.digests for r in records] == [r.digests for r in plain]


class Heard(StudyObserver):
    def __init__(self):
        self.notes, self.starts = [], []

    def noted(self, text):
        self.notes.append(text)

    def started(self, spec, first, last):
        self.starts.append(first)


@pytest.mark.slow
def test_a_checkpoint_of_another_network_is_not_gone_on_from(tmp_path, monkeypatch):
    from tests.training import networks

    begun = study(**ADAM, pruning__rounds=0, storage={"checkpoint_every": "100it"})
    with pytest.raises(KeyboardInterrupt):
        run_study(begun, tmp_path / "edited" / "study", observer=Interrupted([450]))
    edited = functools.partial(networks.with_dropout, activation="tanh")
    monkeypatch.setattr(networks, "with_dropout", edited)
    heard = Heard()
    run_study(begun, tmp_path / "edited" / "study", observer=heard)
    assert heard.starts == [0]
    assert "another network" in heard.notes[0]
    run_study(begun, tmp_path / "whole" / "study")
    assert results(tmp_path / "edited" / "study") == results(tmp_path / "whole" / "study")


def test_nor_one_of_other_packages(tmp_path, monkeypatch):
    begun = study(**ADAM, pruning__rounds=0, storage={"checkpoint_every": "100it"})
    with pytest.raises(KeyboardInterrupt):
        run_study(begun, tmp_path, observer=Interrupted([450]))
    monkeypatch.setattr("tf_lottery.runs.execute.environment", lambda: {"tensorflow": "9.9.9"})
    heard = Heard()
    run_study(begun, tmp_path, observer=heard)
    assert heard.starts == [0]


@pytest.mark.slow
def test_a_damaged_rewind_point_of_an_unfinished_run_is_made_again(tmp_path):
    late = {**ADAM, "rewind": {"to": "150it"}, "pruning__rounds": 0}
    run_study(study(**late), tmp_path / "whole" / "study")
    directory = tmp_path / "damaged" / "study"
    begun = study(**late, storage={"checkpoint_every": "100it"})
    with pytest.raises(KeyboardInterrupt):
        run_study(begun, directory, observer=Interrupted([450]))
    (point,) = directory.glob("runs/*/rewind/150it.npz")
    content = bytearray(point.read_bytes())
    content[len(content) // 2] ^= 1
    point.write_bytes(content)
    heard = Heard()
    run_study(begun, directory, observer=heard)
    assert heard.starts == [0]
    assert str(point) in heard.notes[0]
    assert results(directory) == results(tmp_path / "whole" / "study")
