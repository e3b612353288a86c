"""The narrower dense network of as many weights: its width, its record, what can't be built on it."""

import pytest

from tests.fakes import fake_study
from tf_lottery import config_file
from tf_lottery.drivers.run_study import run_study
from tf_lottery.errors import LotteryError
from tf_lottery.method.plan import foreseen
from tf_lottery.paths import StudyPaths
from tf_lottery.runs.attempt import check
from tf_lottery.runs.trainers import Trainers
from tf_lottery.store.store import Store
from tf_lottery.store.study_file import prepare
from tf_lottery.store.tickets import make_ticket

SETTINGS = {
    "name": "small",
    "data": {"name": "digits", "validation": 200},
    "training": {"steps": "60it", "evaluate_every": "30it", "learning_rate": 0.003, "xla": False},
    "pruning": {"rate": 0.5, "layer_rates": {"output": 0.25}, "rounds": 3},
    "arms": {"ticket": {}, "small_dense": {"rounds": [1, 3]}},
}


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    paths = StudyPaths(tmp_path_factory.mktemp("small") / "study")
    study = config_file.validate(SETTINGS)
    records = run_study(study, paths.root)
    return paths, study, {(record.spec.arm, record.spec.round): record for record in records}


def weights(width):
    """Of LeNet-300-100 on 64 inputs and 10 classes, with rounded layers."""
    first, second = max(1, round(300 * width)), max(1, round(100 * width))
    return 64 * first + first * second + second * 10


@pytest.mark.parametrize("round", [1, 3])
def test_no_width_comes_nearer_to_the_tickets_weights(trained, round):
    *_, found = trained
    record, ticket = found["small_dense", round], found["ticket", round]
    assert record.resolved["weights_wanted"] == ticket.weights_remaining
    assert record.weights_total == record.weights_remaining == weights(record.resolved["width"])
    difference = record.resolved["weights_difference"]
    assert difference == record.weights_total - ticket.weights_remaining
    nearest = min(abs(weights(k / 3000) - ticket.weights_remaining) for k in range(1, 3001))
    assert abs(difference) == nearest
    assert record.density == 1.0


def test_networks_of_one_width_say_what_each_was_wanted_for(trained):
    *_, found = trained
    spec, trainers = found["small_dense", 3].spec, Trainers()
    near = spec.small.model_copy(update={"rate": 0.5005})
    told = [
        trainers.narrowed(each)[1]
        for each in (spec, spec.model_copy(update={"small": near}), found["ticket", 0].spec)
    ]
    assert told[0]["width"] == told[1]["width"]
    assert told[0]["weights_wanted"] != told[1]["weights_wanted"]
    assert told[2] == {}
    assert "width" not in found["ticket", 3].resolved


def test_it_is_trained_from_weights_of_its_own(trained):
    *_, found = trained
    for round in (1, 3):
        record = found["small_dense", round]
        assert record.spec.start == "initialize"
        assert (record.first_step, record.last_step) == (0, 60)
        assert record.spent.flops_dense == record.spent.flops_remaining == 60 * 60 * 6 * record.weights_total
        assert record.final_test_accuracy > 0.6
    assert found["small_dense", 1].key != found["small_dense", 3].key


def test_the_study_goes_on_with_its_records(trained):
    paths, study, found = trained
    again = run_study(study, paths.root)
    assert [record.key for record in again] == [record.key for record in found.values()]


def test_its_runs_make_no_tickets(trained):
    paths, study, found = trained
    with pytest.raises(LotteryError, match="Expected a pruned run"):
        make_ticket(study, Store(paths), found["small_dense", 1])


def test_controls_of_it_are_refused():
    arms = {"small_dense": {}, "reinit": {"like": "random_reinit", "on": "small_dense"}}
    with pytest.raises(LotteryError, match="a narrower network without masks"):
        foreseen(fake_study(arms=arms))


def test_a_density_that_no_width_comes_near_is_refused(trained):
    *_, found = trained
    spec = found["small_dense", 3].spec
    few = spec.small.model_copy(update={"rate": 0.9, "layer_rates": {}, "rounds": 4})
    with pytest.raises(LotteryError, match="wants a dense network of 5 weights"):
        Trainers().narrowed(spec.model_copy(update={"small": few}))


def test_the_sparsest_round_is_looked_at_before_anything_is_trained(tmp_path):
    small = {"model": {"name": "mlp", "kwargs": {"sizes": [16, 12]}}}
    deep = {"pruning": {"rate": 0.6, "rounds": 5}, "arms": {"small_dense": {}}}
    paths = StudyPaths(tmp_path / "study")
    study = prepare(config_file.validate(SETTINGS | small | deep), paths)
    wrong = check(study, Store(paths), Trainers())
    assert "round 5 wants a dense network of 13 weights" in wrong
    assert "has 75" in wrong


def test_a_network_that_starts_pretrained_has_no_narrower_one():
    with pytest.raises(LotteryError, match="pretrain"):
        foreseen(fake_study(arms={"small_dense": {}}, pretrain={"steps": "5it"}))


@pytest.mark.parametrize("arm", ["one_shot", "static"])
def test_it_has_no_densities_for_other_arms(arm):
    with pytest.raises(LotteryError, match="densities of a pruning"):
        foreseen(fake_study(arms={"small_dense": {}, "other": {"like": arm, "on": "small_dense"}}))


def test_a_builder_without_a_width_is_refused_before_anything_is_trained(tmp_path):
    model = {"build": "tests.training.networks:with_dropout"}
    paths = StudyPaths(tmp_path / "study")
    study = prepare(config_file.validate(SETTINGS | {"model": model}), paths)
    wrong = check(study, Store(paths), Trainers())
    assert "`width`" in wrong
