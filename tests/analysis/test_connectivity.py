"""Connectivity of real runs on digits, of a network with batch normalization and dropout."""

import json

import numpy as np
import pytest

from tests.drivers.test_run_study import study
from tf_lottery.analysis.connectivity import connectivity, known
from tf_lottery.analysis.connectivity_words import describe, lines
from tf_lottery.analysis.interpolation import between
from tf_lottery.analysis.line import LineMeter, check_zeros
from tf_lottery.drivers.run_study import run_study
from tf_lottery.errors import LotteryError
from tf_lottery.method.plan import collect
from tf_lottery.paths import StudyPaths
from tf_lottery.runs.trainers import Trainers
from tf_lottery.store import upkeep
from tf_lottery.store.store import Store
from tf_lottery.store.study_file import load

ARMS = {
    "ticket": {},
    "late": {"like": "ticket", "rewind": {"to": "20it"}},
    "fork": {"rounds": [0, 1], "trials": 2},
    "late_fork": {"like": "fork", "on": "late", "rounds": [0]},
}
BUILDER = "tests.training.networks:with_dropout"
POINTS = 5


def forked(**changes):
    short = {"steps": "40it", "evaluate_every": "20it", "learning_rate": 0.01, "xla": False}
    settings = {"arms": ARMS, "pruning__rounds": 1, "training": short | {"strategy": "one_device"}}
    return study(**settings | changes)


class Compared:
    """A finished study and what was measured of it."""

    def __init__(self, directory):
        run_study(forked(), directory)
        self.study, self.store = load(StudyPaths(directory)), Store(StudyPaths(directory))
        self.trainers, self.passed = Trainers(), []
        self.rows = self.measure(passed=lambda pair, point: self.passed.append((pair.describe(), point)))
        self.records = {
            (r.spec.arm, r.spec.round, r.spec.trial): r for r in collect(self.study, self.store.records())
        }

    def measure(self, **options):
        return connectivity(self.study, self.store, self.trainers, POINTS, batches=3, **options)

    def between(self, first, second):
        meter = LineMeter(self.store, self.trainers, POINTS, 3)
        return meter.errors(self.records[first].spec, self.records[second].spec, lambda point: None)


@pytest.fixture(scope="module")
def compared(tmp_path_factory):
    return Compared(tmp_path_factory.mktemp("forks") / "study")


def test_each_fork_is_compared_with_what_it_forks_and_with_each_other(compared):
    assert [(row.arm, row.on, row.round, row.start, row.pair) for row in compared.rows] == [
        *(
            ("fork", "ticket", round, "0it", pair)
            for round in (0, 1)
            for pair in (("ticket", "fork"), ("ticket", "fork#2"), ("fork", "fork#2"))
        ),
        ("late_fork", "late", 0, "20it", ("ticket", "late_fork")),
    ]
    assert [row.density for row in compared.rows[:4]] == [1.0] * 3 + [(1344 + 270) / 2220]
    assert compared.passed[:6] == [
        *(("ticket and fork replicate 0 round 0", point) for point in (1, 2, 3, 4, 5)),
        ("ticket and fork#2 replicate 0 round 0", 1),
    ]


def test_the_ends_of_a_line_have_the_errors_that_the_records_have(compared):
    for row in compared.rows:  # a line goes from the second run to the first
        for name, end in zip(row.pair, (-1, 0), strict=True):
            arm, _, number = name.partition("#")
            run = compared.records[arm, row.round, int(number or 1) - 1]
            for part in ("validation", "test"):
                accuracy = getattr(run, f"final_{part}_accuracy")
                assert row.errors[part][end] == pytest.approx(100 * (1 - accuracy))


def test_barriers_are_those_of_the_errors(compared):
    for row in compared.rows:
        for what, errors in row.errors.items():
            assert len(errors) == POINTS
            assert row.barrier(what) == pytest.approx(max(errors) - (errors[0] + errors[-1]) / 2)
        assert row.stable == (row.barrier("test") < 2)
        assert row.stable_recalibrated == (row.barrier("test_recalibrated") < 2)


def test_a_run_has_no_barrier_to_itself(compared):
    errors = compared.between(("fork", 1, 0), ("fork", 1, 0))
    for what in ("validation", "test"):
        assert len(set(errors[what])) == 1
        assert len(set(errors[f"{what}_recalibrated"])) == 1, "the same batches, with the same dropout"


def test_recalibration_is_told_apart(compared):
    different = [row for row in compared.rows if row.errors["test"] != row.errors["test_recalibrated"]]
    assert different, "statistics of three batches aren't moving statistics"


def test_zeros_of_a_mask_are_kept_along_the_line(compared):
    keys = [compared.records[arm, 1, 0].key for arm in ("ticket", "fork")]
    masks, (first, second) = compared.store.masks(keys[0]), map(compared.store.weights, keys)
    middle = between(first, second, 0.4)
    check_zeros(middle, masks)
    path, mask = next((path, mask) for path, mask in masks.items() if not mask.all())
    middle[f"model/{path}"][np.nonzero(~mask)[0][0], np.nonzero(~mask)[1][0]] = 1e-9
    with pytest.raises(RuntimeError, match="pruned weights of .* are not 0.0"):
        check_zeros(middle, masks)


def test_runs_with_other_masks_are_not_interpolated(compared):
    with pytest.raises(RuntimeError, match="differ in masks"):
        compared.between(("ticket", 0, 0), ("ticket", 1, 0))


def test_what_was_measured_is_read_and_not_measured_again(compared, tmp_path):
    def passed(pair, point):
        raise AssertionError("measured again")

    assert compared.measure(passed=passed) == compared.rows
    assert known(compared.study, compared.store, compared.records.values()) == [], "those are of 30 points"
    paths = compared.store.paths
    assert paths.is_ours("connectivity.json")
    assert upkeep.rubbish(compared.study, compared.store) == []


def test_a_file_that_was_changed_is_measured_again(compared):
    path, told = compared.store.paths.connectivity, []
    text = path.read_text()
    content = json.loads(text)
    content["lines"][0]["errors"]["test"][1] += 1
    path.write_text(json.dumps(content))
    rows = compared.measure(passed=lambda pair, point: told.append(pair))
    assert rows == compared.rows
    assert len(told) == POINTS * len(rows)
    assert path.read_text() == text


def test_a_row_is_flat_but_for_the_errors(compared):
    row = compared.rows[0].row()
    assert json.loads(json.dumps(row))["barrier_test"] == compared.rows[0].barrier("test")
    assert (row["points"], row["stable"]) == (POINTS, compared.rows[0].stable)


def test_a_stranger_names_a_function_in_vain(compared):
    compared.measure(functions=[])  # all is measured
    compared.store.paths.connectivity.unlink()
    with pytest.raises(LotteryError, match=f"Expected --function {BUILDER}"):
        compared.measure(functions=[])
    assert compared.measure(functions=[BUILDER]) == compared.rows


def test_lines_are_means_with_the_range_of_replicates(compared):
    rows = compared.rows
    found = {(line.arm, line.round, line.recalibrated): line for line in lines(rows)}
    line = found["fork", 1, False]
    values = [row.barrier("test") for row in rows if (row.arm, row.round) == ("fork", 1)]
    assert (line.pairs, line.test.mean) == (3, pytest.approx(sum(values) / 3))
    assert line.test.low == line.test.high == line.test.mean, "one replicate, whose pairs are averaged"
    table = describe(rows)
    assert sum(text.startswith("fork of ticket ") for text in table) == 2
    assert sum(text.startswith("  recalibrated ") for text in table) == 3
    assert max(map(len, table)) <= 100


def test_weights_that_were_not_kept_are_asked_for(compared):
    run = compared.store.paths.run(compared.records["fork", 1, 0].key)
    hidden = run.weights_last.with_name("hidden")
    run.weights_last.rename(hidden)
    try:
        assert len(compared.measure()) == len(compared.rows), "nothing has to be measured"
        with pytest.raises(LotteryError, match="fork replicate 0 round 1 weren't kept.*storage.keep=weights"):
            connectivity(compared.study, compared.store, compared.trainers, points=3)
    finally:
        hidden.rename(run.weights_last)


def test_too_few_points_are_refused(compared):
    with pytest.raises(LotteryError, match="at least 3 points"):
        connectivity(compared.study, compared.store, points=2)
