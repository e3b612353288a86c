"""Whole studies on real digits, through every floor."""

import functools
import json

import keras
import numpy as np
import pytest

from tests import fresh
from tests.training import networks
from tf_lottery import arrays, config_file
from tf_lottery.drivers.run_study import run_study
from tf_lottery.errors import LotteryError
from tf_lottery.paths import StudyPaths
from tf_lottery.runs.observe import StudyObserver
from tf_lottery.store.store import Store
from tf_lottery.store.study_file import load
from tf_lottery.store.tickets import make_ticket
from tf_lottery.ticket import Ticket
from tf_lottery.training import state

SETTINGS = {
    "name": "small",
    "data": {"name": "digits", "validation": 200},
    "model": {"build": "tests.training.networks:with_dropout"},
    "training": {"steps": "60it", "evaluate_every": "20it", "learning_rate": 0.01, "xla": False},
    "pruning": {"rate": 0.3, "layer_rates": {"output": 0.1}, "rounds": 3},
    "arms": {"ticket": {}, "random_reinit": {"rounds": [2], "trials": 2}},
}
TIMES = ("steps_per_second", "seconds", "spent", "environment", "digest")  # the digest is over them, too


def study(**changes):
    settings = json.loads(json.dumps(SETTINGS))
    for key, value in changes.items():
        group, _, name = key.partition("__")
        if name:
            settings[group][name] = value
        else:
            settings[group] = value
    return config_file.validate(settings)


class Trained(StudyObserver):
    def __init__(self, stop_after=None):
        self.runs, self.stop_after = [], stop_after

    def started(self, spec, first, last):
        if len(self.runs) == self.stop_after:
            raise KeyboardInterrupt
        self.runs.append((spec.arm, spec.replicate, spec.round, spec.trial, first))


def results(directory):
    """All that a study leaves, timings aside."""
    found = {}
    for path in sorted(directory.glob("runs/**/*")):
        if path.name == "record.json":
            record = json.loads(path.read_text())
            found[path.relative_to(directory)] = {k: v for k, v in record.items() if k not in TIMES}
        elif path.suffix == ".npz":
            found[path.relative_to(directory)] = arrays.digest(arrays.load(path))
        elif path.is_file():
            found[path.relative_to(directory)] = path.read_text()
    return found


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    directory = tmp_path_factory.mktemp("finished")
    return directory, run_study(study(), directory)


def test_records_of_a_study(finished):
    _, records = finished
    rows = [(r.spec.arm, r.spec.round, r.spec.trial, r.weights_remaining) for r in records]
    assert rows == [
        ("ticket", 0, 0, 2220),
        ("ticket", 1, 0, 1344 + 270),
        ("ticket", 2, 0, 941 + 243),
        ("random_reinit", 2, 0, 941 + 243),
        ("random_reinit", 2, 1, 941 + 243),
        ("ticket", 3, 0, 659 + 219),
    ]
    for record in records:
        assert record.parameters_total == 2220 + 30 + 10 + 60
        assert record.density == record.weights_remaining / 2220
        pruned = 2220 - record.weights_remaining
        assert record.density_all_parameters == (2320 - pruned) / 2320
        assert 0.2 < record.early_stop_test_accuracy <= 1
        assert record.early_stop_iteration in range(0, 61, 20)
        assert record.checks["zeros_checked_times"] == 4
        assert record.steps_per_second > 0


def test_records_say_what_a_run_spent(finished):
    for record in finished[1]:
        spent, steps = record.spent, record.last_step - record.first_step
        assert (spent.steps, spent.examples) == (steps, steps * record.spec.training.batch_size)
        assert spent.flops_dense == 3 * 2 * 2220 * spent.examples
        assert spent.flops_remaining == 3 * 2 * record.weights_remaining * spent.examples
        assert spent.uncounted == []
        assert 0 < spent.seconds == record.seconds["train"] < spent.seconds_total


def test_records_count_the_weights_that_are_connected(finished):
    for record in finished[1]:
        assert record.effective.keys() == record.layers.keys()
        assert record.effective_remaining == sum(record.effective.values())
        assert 0.2 * record.density < record.effective_density <= record.density


def test_masks_shrink_and_the_control_shares_its_tickets_mask(finished):
    directory, records = finished
    store = Store(StudyPaths(directory))
    masks = {(r.spec.arm, r.spec.round, r.spec.trial): store.masks(r.key) for r in records}
    for path in masks["ticket", 0, 0]:
        for round in (1, 2, 3):
            assert not (masks["ticket", round, 0][path] & ~masks["ticket", round - 1, 0][path]).any()
        for trial in (0, 1):
            assert (masks["random_reinit", 2, trial][path] == masks["ticket", 2, 0][path]).all()


def test_the_pruned_weights_are_those_of_smallest_magnitude_after_the_last_step(finished):
    directory, records = finished
    store = Store(StudyPaths(directory))
    dense, first = records[0], records[1]
    last = np.abs(store.weights(dense.key)["model/hidden/kernel"]).ravel()
    kept = store.masks(first.key)["hidden/kernel"].ravel()
    assert last[kept].min() >= last[~kept].max()
    assert (~kept).sum() == round(0.3 * kept.size)


def test_every_stored_weight_that_is_pruned_is_exactly_zero(finished):
    directory, records = finished
    store = Store(StudyPaths(directory))
    for record in records:
        masks = store.masks(record.key)
        for which in ("last", "early_stop"):
            weights = store.weights(record.key, which)
            for path, mask in masks.items():
                pruned = weights[f"model/{path}"][~mask]
                assert pruned.tobytes() == bytes(pruned.nbytes)


def test_reinitialized_weights_are_new_ones(finished):
    _, records = finished
    controls = [r for r in records if r.spec.arm == "random_reinit"]
    correlations = [r.checks["reinit_correlation_first_layer"] for r in controls]
    assert len(set(correlations)) == 2
    assert all(abs(r) < 5 / np.sqrt(1920) for r in correlations)


def test_early_stop_is_the_minimum_of_the_validation_curve(finished):
    directory, records = finished
    for record in records:
        curves = json.loads(StudyPaths(directory).run(record.key).curves.read_text())
        assert curves["step"] == [0, 20, 40, 60]
        assert curves["train_loss"][0] is None
        at = curves["validation_loss"].index(min(curves["validation_loss"]))
        assert record.early_stop_iteration == curves["step"][at]
        assert record.best_validation_loss == curves["validation_loss"][at]
        assert record.early_stop_validation_accuracy == curves["validation_accuracy"][at]


def test_the_validation_set_chooses_and_the_test_set_is_reported(finished, digits):
    directory, records = finished
    model = networks.with_dropout((8, 8, 1), 10)
    model.compile(loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True), metrics=["accuracy"])
    for record in records[:2]:
        kept = Store(StudyPaths(directory)).weights(record.key, "early_stop")
        state.restore(state.model_variables(model), kept)
        for part, measured in (
            ("validation", (record.best_validation_loss, record.early_stop_validation_accuracy)),
            ("test", (record.early_stop_test_loss, record.early_stop_test_accuracy)),
        ):
            split = getattr(digits, part)
            assert model.evaluate(split.x, split.y, verbose=0) == pytest.approx(measured, rel=1e-5)


def test_a_finished_study_trains_nothing_again(finished):
    directory, records = finished
    observer = Trained()
    assert run_study(study(), directory, observer=observer) == records
    assert observer.runs == []


def test_a_new_process_and_an_interrupted_one_give_the_same_bits(finished, tmp_path):
    directory, records = finished
    with pytest.raises(KeyboardInterrupt):
        run_study(study(), tmp_path, observer=Trained(stop_after=2))
    unfinished = tmp_path / "runs" / records[2].key[:16]
    assert unfinished.is_dir()
    assert not (unfinished / "record.json").exists()
    script = (
        "import tests.devices, sys; from pathlib import Path; from tests.drivers.test_run_study import *;"
        "observer = Trained(); run_study(study(), Path(sys.argv[1]), observer=observer);"
        "print(len(observer.runs))"
    )
    assert fresh.check(tmp_path, script=script).strip() == "4"
    assert results(tmp_path) == results(directory)


def test_more_rounds_and_trials_use_what_is_there(finished, tmp_path):
    observer = Trained()
    run_study(study(pruning__rounds=1, arms={"ticket": {}}), tmp_path)
    records = run_study(study(), tmp_path, observer=observer)
    assert [run[2] for run in observer.runs] == [2, 2, 2, 3]
    assert [r.key for r in records] == [r.key for r in finished[1]]


def test_a_study_goes_on_with_another_pipeline(finished, tmp_path):
    observer = Trained()
    begun = run_study(study(pruning__rounds=0, arms={"ticket": {}}), tmp_path)
    streamed = study(data__pipeline="stream", pruning__rounds=1, arms={"ticket": {}})
    records = run_study(streamed, tmp_path, observer=observer)
    assert [run[:3] for run in observer.runs] == [("ticket", 0, 1)]
    assert records[0].seconds == begun[0].seconds  # the same training
    assert [r.key for r in records] == [r.key for r in finished[1][:2]]
    assert [r.digests for r in records] == [r.digests for r in finished[1][:2]]  # to the last bit
    assert load(StudyPaths(tmp_path)).data.pipeline == "stream"


def test_late_rewinding_counts_steps_from_zero_and_starts_at_the_rewind_point(tmp_path):
    observer = Trained()
    late = study(rewind={"to": "1ep", "optimizer": "restore"}, arms={"ticket": {}, "random_reinit": {}})
    records = run_study(late, tmp_path, observer=observer)
    starts = {run[0]: run[4] for run in observer.runs if run[2]}
    assert starts == {"ticket": 20, "random_reinit": 0}  # 1,200 training examples, batches of 60
    ticket = next(r for r in records if r.spec.arm == "ticket" and r.spec.round == 3)
    assert (ticket.first_step, ticket.last_step) == (20, 60)
    paths = StudyPaths(tmp_path).run(records[0].key)
    assert sorted(path.name for path in paths.rewind.iterdir()) == ["0it.npz", "20it.npz"]
    curves = json.loads(StudyPaths(tmp_path).run(ticket.key).curves.read_text())
    assert curves["step"] == [20, 40, 60]


def test_a_rewind_point_between_evaluations_changes_no_result(finished, tmp_path):
    late = study(rewind={"to": "30it"}, pruning__rounds=1, arms={"ticket": {}})
    dense, ticket = run_study(late, tmp_path)
    assert dense.key == finished[1][0].key
    assert dense.best_validation_loss == finished[1][0].best_validation_loss
    curves = [json.loads(StudyPaths(tmp_path).run(r.key).curves.read_text()) for r in (dense, ticket)]
    assert [c["step"] for c in curves] == [[0, 20, 40, 60], [30, 40, 60]]
    assert curves[0] == json.loads(StudyPaths(finished[0]).run(dense.key).curves.read_text())
    assert curves[1]["train_loss"][0] is None


def test_a_rewind_point_past_the_end_is_refused(tmp_path):
    with pytest.raises(LotteryError, match="rewind point before the last step, 60. Received: 60"):
        run_study(study(rewind={"to": "60it"}), tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_target_density_and_accuracy_drop_end_the_rounds(tmp_path):
    records = run_study(study(pruning={"rate": 0.5, "target_density": 0.3}), tmp_path / "density")
    assert [r.density <= 0.3 for r in records if r.spec.arm == "ticket"] == [False, False, True]
    drop = study(pruning={"rate": 0.9, "max_accuracy_drop": 0.1}, arms={"ticket": {}})
    records = run_study(drop, tmp_path / "drop")
    falls = [records[0].early_stop_validation_accuracy - r.early_stop_validation_accuracy for r in records]
    assert falls[-1] > 0.1
    assert all(fall <= 0.1 for fall in falls[:-1])


def test_replicates_differ_and_fresh_order_differs_from_replay(finished, tmp_path):
    records = run_study(study(replicates=2, pruning__rounds=1, arms={"ticket": {}}), tmp_path / "two")
    assert [(r.spec.replicate, r.spec.round) for r in records] == [(0, 0), (0, 1), (1, 0), (1, 1)]
    assert records[0].best_validation_loss != records[2].best_validation_loss
    assert records[0].key == finished[1][0].key
    fresh = run_study(study(data__order="fresh", pruning__rounds=1, arms={"ticket": {}}), tmp_path / "fresh")
    assert fresh[1].spec.order_seed != fresh[0].spec.order_seed
    assert records[1].spec.order_seed == records[0].spec.order_seed


def test_a_ticket_file_holds_masks_rewind_weights_and_where_it_comes_from(finished, tmp_path):
    directory, records = finished
    store = Store(StudyPaths(directory))
    make_ticket(study(), store, records[2]).save(tmp_path / "ticket.npz")
    ticket = Ticket.load(tmp_path / "ticket.npz")
    start = arrays.load_sealed(StudyPaths(directory).run(records[0].key).rewind_point(0))
    assert ticket.density == records[2].density
    for path, mask in ticket.masks.items():
        assert (ticket.weights[path] == np.where(mask, start[f"model/{path}"], 0)).all()
        assert np.count_nonzero(ticket.trained[path]) <= np.count_nonzero(mask)
    assert ticket.provenance["run"] == records[2].key
    with pytest.raises(LotteryError, match="pruned run"):
        make_ticket(study(), store, records[0])


def test_a_directory_with_another_study_is_refused_and_untouched(finished):
    directory, _ = finished
    before = (directory / "study.yaml").read_text()
    with pytest.raises(LotteryError, match=r"differs in training.learning_rate.*--output"):
        run_study(study(training__learning_rate=0.5), directory)
    assert (directory / "study.yaml").read_text() == before


def test_an_initializer_with_a_seed_of_its_own_is_refused(tmp_path):
    observer = Trained()
    for arms, replicates in (({"ticket": {}, "random_reinit": {}}, 1), ({"ticket": {}}, 2)):
        fixed = study(model={"build": "tests.training.networks:fixed_seed"}, arms=arms, replicates=replicates)
        with pytest.raises(LotteryError, match="Expected new weights.*output/kernel.*seed"):
            run_study(fixed, tmp_path, observer=observer)
    assert observer.runs == []


def test_a_layer_that_begins_at_zero_has_its_control(tmp_path):
    zeros = study(model={"build": "tests.training.networks:zero_output"})
    assert len(run_study(zeros, tmp_path)) == 6


def test_a_builder_that_changed_is_noticed(tmp_path, monkeypatch):
    run_study(study(pruning__rounds=0), tmp_path)
    edited = functools.partial(networks.with_dropout, activation="tanh")
    monkeypatch.setattr(networks, "with_dropout", edited)
    with pytest.raises(LotteryError, match="builds another network than the one that this study began with"):
        run_study(study(), tmp_path)


def test_a_directory_of_other_things_is_refused_and_untouched(tmp_path):
    (tmp_path / "thesis.tex").write_text("mine")
    with pytest.raises(LotteryError, match="holds thesis.tex"):
        run_study(study(), tmp_path)
    own = "name: small\npruning: {rounds: 1}  # my comment\n"
    (tmp_path / "study.yaml").write_text(own)
    with pytest.raises(LotteryError, match="a config of your own"):
        run_study(study(), tmp_path)
    assert (tmp_path / "study.yaml").read_text() == own


def test_changed_data_is_noticed(tmp_path):
    file = tmp_path / "data.npz"
    generator = np.random.default_rng(0)

    def write():
        x, y = generator.random((400, 8, 8)), generator.integers(0, 10, 400)
        np.savez(file, x_train=x[:300], y_train=y[:300], x_test=x[300:], y_test=y[300:])

    write()
    own = study(data={"name": "npz", "path": str(file), "validation": 60}, pruning__rounds=0)
    run_study(own, tmp_path / "study")
    write()
    with pytest.raises(LotteryError, match="differs from the data that the study started with"):
        run_study(own, tmp_path / "study")


@pytest.mark.parametrize(
    ("changes", "received"),
    [
        ({"pruning__criterion": "size"}, "magnitude.*'size'"),
        ({"pruning__layer_rates": {"fc": 0.1}}, "hidden, output.*'fc'"),
        ({"arms": {"reinit": {}}}, "random_reinit.*'reinit'"),
        ({"training__optimizer": "adamm"}, "adamm"),
        ({"model": {"name": "lenet"}}, "lenet_300_100.*'lenet'"),
        ({"data": {"name": "cifar"}}, "digits.*'cifar'"),
    ],
)
def test_a_wrong_name_is_said_before_anything_is_trained_and_can_be_mended(tmp_path, changes, received):
    observer, directory = Trained(), tmp_path / "study"
    with pytest.raises(LotteryError, match=f"Expected .*{received}"):
        run_study(study(**changes), directory, observer=observer)
    assert observer.runs == []
    assert not directory.exists()
    run_study(study(pruning__rounds=0), directory)


def test_a_directory_without_a_study_is_refused(tmp_path):
    with pytest.raises(LotteryError, match="isn't a study's directory: it has no study.yaml"):
        load(StudyPaths(tmp_path))
