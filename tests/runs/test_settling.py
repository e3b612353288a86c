"""Rounds of a search that end once their next pruning has settled (Early-Bird)."""

import json

import numpy as np
import pytest

from tests.drivers.test_run_study import results
from tests.runs.test_updating import Interrupted
from tf_lottery import arrays, config_file
from tf_lottery.analysis.ledger import describe
from tf_lottery.drivers.run_study import run_study
from tf_lottery.errors import LotteryError
from tf_lottery.method.arms import settings_of
from tf_lottery.method.check_early_bird import SETTLING
from tf_lottery.method.early_bird import of_round
from tf_lottery.method.matching import dense_runs
from tf_lottery.method.plan import foreseen
from tf_lottery.paths import StudyPaths
from tf_lottery.pruning import masks as masks_
from tf_lottery.pruning.select import keep
from tf_lottery.runs.attempt import check
from tf_lottery.runs.masks import counts_of
from tf_lottery.runs.trainers import Trainers
from tf_lottery.store.store import Store
from tf_lottery.store.study_file import prepare

SETTINGS = {
    "name": "settling",
    "data": {"name": "digits", "validation": 200},
    "model": {"build": "tests.training.networks:with_dropout"},
    "training": {"steps": "300it", "evaluate_every": "100it", "learning_rate": 0.002, "xla": False},
    "pruning": {"rate": 0.5, "layer_rates": {"output": 0.3}, "rounds": 2},
    "search": {"early_bird": {"every": "10it", "masks": 3, "distance": 0.06}},
    "arms": {"ticket": {}, "final": {}, "random_reinit": {"on": "final", "rounds": [2]}},
}


def study(**changes):
    return config_file.validate(json.loads(json.dumps(SETTINGS)) | changes)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    directory = tmp_path_factory.mktemp("whole") / "study"
    records = run_study(study(), directory)
    return directory, {(record.spec.arm, record.spec.round): record for record in records}


def test_only_rounds_of_the_search_end_early(whole):
    _, found = whole
    for (arm, round), record in found.items():
        in_full = record.spec.until is None
        assert in_full == (arm != "ticket")
        assert in_full or record.spec.until.pruning.rate == 0.5
        if not in_full:
            assert 40 <= record.last_step < 300, f"{arm} {round}: three distances need four looks"
            assert record.checks["early_bird_steps_saved"] == 300 - record.last_step
    assert found["final", 2].last_step == found["random_reinit", 2].last_step == 300
    assert found["ticket", 1].spec.until is not None


def test_it_ends_at_the_first_step_at_which_the_last_masks_are_near(whole):
    _, found = whole
    ended = [record for record in found.values() if record.spec.until is not None]
    assert len(ended) == 3
    for record in ended:
        distances = record.checks["early_bird_distances"]
        assert len(distances) == record.last_step // 10 - 1
        near = [max(distances[i : i + 3]) < 0.06 for i in range(len(distances) - 2)]
        assert near[-1]
        assert not any(near[:-1])


def test_the_last_evaluation_is_where_it_ended(whole):
    directory, found = whole
    for record in found.values():
        curves = json.loads(StudyPaths(directory).run(record.key).curves.read_text())
        assert curves["step"][0] == record.first_step
        assert curves["step"][-1] == record.last_step
        assert record.spent.steps == record.last_step - record.first_step


def test_the_ledger_tells_what_was_spared(whole):
    _, found = whole
    spared = sum(record.checks.get("early_bird_steps_saved", 0) for record in found.values())
    planned = 3 * 300
    assert any("3 of 3 runs of the search ended early" in line for line in describe(found.values()))
    assert any(f"{spared:,} of {planned:,} steps were spared" in line for line in describe(found.values()))


def test_the_distance_is_that_of_the_next_prunings_masks(whole, tmp_path):
    """The last distance, from the states of the network at the last two looks."""
    _, found = whole
    dense = found["ticket", 0]
    last = dense.last_step
    masks = []
    for steps in (last - 10, last):
        short = study(training=SETTINGS["training"] | {"steps": f"{steps}it"}, search=None)
        pruning = SETTINGS["pruning"] | {"rounds": 0}
        short = config_file.validate(short.model_dump() | {"arms": {"ticket": {}}, "pruning": pruning})
        (record,) = run_study(short, tmp_path / str(steps) / "study")
        path = StudyPaths(tmp_path / str(steps) / "study").run(record.key).weights_last
        weights = {p: np.abs(arrays.load(path)["model/" + p]) for p in record.layers}
        full = masks_.ones({p: w.shape for p, w in weights.items()})
        recipe = of_round(settings_of(study(), "ticket"), 0, 1)
        masks.append(keep(weights, full, counts_of(recipe, full)))
    differing = sum((masks[0][p] != masks[1][p]).sum() for p in masks[0])
    expected = differing / dense.weights_total
    assert dense.checks["early_bird_distances"][-1] == pytest.approx(expected, abs=1e-12)


def test_a_killed_search_goes_on_to_the_same_bits(whole, tmp_path):
    directory, found = whole
    often = config_file.validate(study().model_dump() | {"storage": {"checkpoint_every": "7it"}})
    observer = Interrupted({"ticket": found["ticket", 0].last_step - 5})
    with pytest.raises(KeyboardInterrupt):
        run_study(often, tmp_path / "study", observer=observer)
    run_study(often, tmp_path / "study", observer=observer)
    assert 0 < observer.firsts["ticket"][1] < found["ticket", 0].last_step
    assert results(tmp_path / "study") == results(directory)


def test_it_ends_after_the_last_rewind_point(tmp_path):
    late = study(
        rewind={"to": "120it"}, arms={"ticket": {}, "final": {}}, pruning=SETTINGS["pruning"] | {"rounds": 1}
    )
    late = config_file.validate(
        late.model_dump() | {"search": {"early_bird": {"every": "10it", "masks": 2, "distance": 0.9}}}
    )
    dense, ticket, *_ = (r for r in run_study(late, tmp_path / "study") if r.spec.until)
    assert dense.last_step == 120
    assert (ticket.first_step, ticket.last_step) == (120, 150)


ONCE = SETTINGS["pruning"] | {"rounds": 1}


@pytest.mark.parametrize(
    ("arms", "rewind", "needed"),
    [
        (
            {"other": {"like": "ticket", "pruning": {"criterion": "movement"}}},
            {},
            "takes criterion magnitude",
        ),
        ({"other": {"like": "ticket", "pruning": {"pattern": "units"}}}, {}, "single weights"),
        ({"late": {"like": "one_shot", "rewind": {"to": "100it"}}}, {}, "may end the dense run before"),
        ({}, {"weights": "trained", "to": "end", "steps": "50it"}, "goes on from their end"),
    ],
)
def test_what_a_search_that_ends_early_cant_give_is_refused(arms, rewind, needed):
    config = study(arms={"ticket": {}, "final": {}, **arms}, rewind=rewind)
    with pytest.raises(LotteryError, match=needed):
        foreseen(config.with_digests(lambda data: "d" * 64))


def test_chains_with_other_rewind_points_have_dense_runs_of_their_own():
    arms = {"ticket": {}, "final": {}, "late": {"like": "ticket", "rewind": {"to": "100it"}}}
    specs = foreseen(study(arms=arms).with_digests(lambda data: "d" * 64))
    dense = [spec for spec in specs if spec.round == 0 and spec.until]
    assert {spec.until.after: spec.snapshots for spec in dense} == {
        "0it": ("0it",),
        "100it": ("0it", "100it"),
    }


def test_a_round_whose_next_pruning_would_empty_a_layer_goes_on_to_its_end(tmp_path):
    pruning = {"rate": 0.5, "layer_rates": {"output": 0.97}, "rounds": 1}
    records = run_study(study(pruning=pruning, arms={"ticket": {}, "final": {}}), tmp_path / "study")
    found = {(record.spec.arm, record.spec.round): record for record in records}
    assert found["ticket", 0].last_step < 300
    assert found["ticket", 1].last_step == 300
    assert found["ticket", 1].checks["early_bird_distances"] == []


def test_the_dense_engine_computes_all_units_of_a_search_that_ends_early(tmp_path, monkeypatch):
    monkeypatch.setattr("tf_lottery.training.dead_units.SAVED", 0)
    monkeypatch.setattr("tf_lottery.training.dead_units.COMPUTED", 1.0)
    config = study(
        model={"name": "lenet_300_100"}, pruning=ONCE | {"rate": 0.98}, arms={"ticket": {}, "final": {}}
    )
    records = run_study(config, tmp_path / "study")
    assert "units_computed" not in next(r for r in records if r.spec.until and r.spec.round).checks
    assert "units_computed" in next(r for r in records if r.spec.arm == "final" and r.spec.round).checks


def test_full_trainings_are_compared_with_the_full_dense_run(whole):
    _, found = whole
    (dense,) = dense_runs(found.values(), [found["random_reinit", 2]])
    assert (dense.spec.arm, dense.spec.until) == ("final", None)


@pytest.mark.parametrize("criterion", ["random", "snip", "movement"])
def test_criteria_whose_masks_dont_settle_are_refused(criterion):
    assert criterion not in SETTLING
    config = study(pruning=SETTINGS["pruning"] | {"criterion": criterion}).with_digests(lambda data: "d" * 64)
    with pytest.raises(LotteryError, match="early_bird takes criterion magnitude"):
        foreseen(config)


def test_too_few_looks_are_refused_before_anything_is_trained(tmp_path):
    paths = StudyPaths(tmp_path / "study")
    config = study(search={"early_bird": {"every": "100it"}})
    wrong = check(prepare(config, paths), Store(paths), Trainers())
    assert "2 looks" in wrong
    assert "early_bird.every" in wrong
