"""Studies of units, blocks and N:M on digits: exact counts in every run, and the same bits when resumed."""

import numpy as np
import pytest

from tests.runs.test_method_resume import Killed, Kills
from tf_lottery import config_file
from tf_lottery.drivers.run_study import run_study
from tf_lottery.errors import LotteryError
from tf_lottery.method.plan import plan
from tf_lottery.paths import StudyPaths
from tf_lottery.runs.execute import execute
from tf_lottery.runs.trainers import Trainers
from tf_lottery.store.store import Store
from tf_lottery.store.study_file import prepare

SIZES = {"hidden1/kernel": (64, 300), "hidden2/kernel": (300, 100), "output/kernel": (100, 10)}
UNITS = {"pattern": "units", "rate": 0.3, "layer_rates": {"output": 0}, "rounds": 2}
ARMS = {"ticket": {}, "shuffled": {}, "one_shot": {}, "at_init": {"rounds": [2]}}


def study(pruning, **groups):
    settings = {
        "name": "patterns",
        "data": {"name": "digits", "validation": 200},
        "model": {"name": "lenet_300_100"},
        "training": {"steps": "12it", "batch_size": 60, "evaluate_every": "6it"},
        "pruning": pruning,
        "arms": {"ticket": {}},
    }
    return config_file.validate(settings | groups)


def masks_of(records, directory):
    store = Store(StudyPaths(directory))
    return {(r.spec.arm, r.spec.round): store.masks(r.key) for r in records}


def whole(mask):
    """The units that remain, where no unit is pruned in part."""
    units = mask.any(axis=0)
    assert (mask == units).all()
    return units


@pytest.fixture(scope="module")
def units(tmp_path_factory):
    directory = tmp_path_factory.mktemp("units") / "study"
    records = run_study(study(UNITS, arms=ARMS), directory)
    return directory, records, masks_of(records, directory)


def test_each_run_keeps_whole_units_by_exact_counts(units):
    _, records, masks = units
    assert len(records) == 1 + 2 + 2 + 2 + 1
    for (arm, round), each in masks.items():
        left = {0: (300, 100), 1: (210, 70), 2: (147, 49)}[round]  # each time less round(.3 x n)
        assert tuple(whole(each[f"hidden{layer}/kernel"]).sum() for layer in (1, 2)) == left, (arm, round)
        assert each["output/kernel"].all()
    for record in records:
        remaining = sum(int(mask.sum()) for mask in masks[record.spec.arm, record.spec.round].values())
        assert record.density == remaining / (64 * 300 + 300 * 100 + 100 * 10)


def test_a_pruned_unit_stays_pruned_and_a_shuffled_mask_has_other_units(units):
    masks = units[2]
    for path in ("hidden1/kernel", "hidden2/kernel"):
        first, second = (whole(masks["ticket", round][path]) for round in (1, 2))
        assert not (second & ~first).any()
        assert (whole(masks["shuffled", 2][path]) != second).any()


def test_the_units_with_the_smallest_mean_weights_went(units):
    directory, records, masks = units
    (dense,) = (record for record in records if record.spec.round == 0)
    kernel = Store(StudyPaths(directory)).weights(dense.key)["model/hidden1/kernel"]
    norms = np.abs(kernel).mean(axis=0, dtype=np.float64)
    kept = whole(masks["ticket", 1]["hidden1/kernel"])
    assert norms[~kept].max() < norms[kept].min()


def test_what_was_killed_goes_on_to_the_same_bits(units, tmp_path):
    _, records, _ = units
    paths = StudyPaths(tmp_path / "study")
    again = prepare(study(UNITS), paths)
    store = Store(paths, again.storage.model_copy(update={"checkpoint_every": "2it"}))
    found = []
    while waiting := plan(again, found):
        (spec,) = waiting
        with pytest.raises(Killed):
            execute(spec, store, Trainers(), kills := Kills(paths.run(spec.key)))
        found.append(execute(spec, store, Trainers(), kills))
    tickets = {record.key: record.digests for record in records if record.spec.arm == "ticket"}
    assert len(tickets) == 3
    for record in found:
        both = record.digests.keys() & tickets[record.key].keys()
        assert {"masks", "curves", "weights_last"} <= both
        expected = {name: tickets[record.key][name] for name in both}
        assert {name: record.digests[name] for name in both} == expected


@pytest.mark.parametrize(
    ("own", "left"),
    [
        ({"pattern": "2:4", "rate": 0.5}, (9600, 15_000, 500)),
        ({"pattern": "1:4", "rate": 0.75, "layer_rates": {"output": 0}}, (4800, 7500, 1000)),
        # 16 x 75 blocks less 600, and 75 x 25 less round(937.5), which is 938
        ({"pattern": "block:4x4", "rate": 0.5, "layer_rates": {"output": 0}}, (9600, 14_992, 1000)),
    ],
)
def test_counts_of_blocks_and_of_n_of_m(own, left, tmp_path):
    records = run_study(study({"rounds": 1} | own, arms={"ticket": {}, "one_shot": {}}), tmp_path / "study")
    for record in records:
        if record.spec.round:
            assert tuple(layer.remaining for layer in record.layers.values()) == left


def test_units_over_all_layers_are_counted_together(tmp_path):
    pruning = UNITS | {"scope": "global", "rounds": 1, "min_density": 0.1}
    records = run_study(study(pruning), tmp_path / "study")
    masks = masks_of(records, tmp_path / "study")["ticket", 1]
    left = [int(whole(masks[path]).sum()) for path in list(SIZES)[:2]]
    assert sum(left) == 400 - 120
    assert left[0] >= 30
    assert left[1] >= 10


@pytest.mark.slow
def test_units_are_scored_and_pruned_many_times_by_synflow(tmp_path):
    own = {"criterion": "synflow"}
    records = run_study(study(UNITS, arms={"at_init": {"rounds": [2], "pruning": own}}), tmp_path / "study")
    masks = masks_of(records, tmp_path / "study")["at_init", 2]
    assert [int(whole(masks[path]).sum()) for path in SIZES] == [147, 49, 10]


REFUSED = [
    ({"pruning": UNITS | {"layer_rates": {}}}, "would prune output/kernel, .*layer_rates: {output: 0}"),
    (
        {"pruning": UNITS | {"rate": 0.9, "rounds": 3}},
        "would keep 0 units of hidden1/kernel at round 3, where at least 1",
    ),
    (
        {"pruning": UNITS | {"pattern": "block:3x4"}, "arms": {"ticket": {}, "one_shot": {}}},
        r"Arm 'one_shot' can't have as many weights .* hidden1/kernel, of shape \(64, 300\), are smaller",
    ),
]


@pytest.mark.parametrize(("groups", "message"), REFUSED)
def test_what_does_not_fit_the_network_is_refused_before_any_training(groups, message, tmp_path):
    given = dict(groups)
    with pytest.raises(LotteryError, match=message) as caught:
        run_study(study(given.pop("pruning"), **given), tmp_path / "study")
    assert "\n" not in str(caught.value)
    assert not list((tmp_path / "study").glob("runs/*/record.json"))


def test_a_target_density_ends_the_check_of_counts_where_it_is_reached(tmp_path):
    """Rounds after it would empty a layer, but they are never trained."""
    pruning = {"pattern": "units", "rate": 0.6, "layer_rates": {"output": 0}, "target_density": 0.2}
    for scope in ("layer", "global"):
        own = pruning | {"scope": scope, "min_density": 0.05 if scope == "global" else 0.0}
        records = run_study(study(own), tmp_path / scope)
        assert [record.density <= 0.2 for record in records] == [False] * (len(records) - 1) + [True]
