"""Where the weights of the first layer are: by hand, and on real studies whose masks NumPy reads."""

import json
from dataclasses import asdict
from math import comb

import numpy as np
import pytest

from tests.analysis.test_classes import Trained
from tf_lottery.analysis.input_statistics import correlated, deviations, middle_and_border
from tf_lottery.analysis.inputs import inputs
from tf_lottery.analysis.inputs_words import describe
from tf_lottery.data.split import Split
from tf_lottery.data.standardize import Standardization
from tf_lottery.errors import LotteryError

DRAWN = {"ticket": {}, "drawn": {"like": "ticket", "pruning": {"criterion": "random"}}, "small_dense": {}}


class Looked(Trained):
    def look(self, *arms, round=2, **options):
        records = [r for r in self.records if r.spec.round == round and (not arms or r.spec.arm in arms)]
        return inputs(records, self.store, self.trainers, **options)


@pytest.fixture(scope="module")
def looked(tmp_path_factory):
    directory = tmp_path_factory.mktemp("inputs") / "study"
    return Looked(directory, arms=DRAWN, pruning={"rate": 0.7, "rounds": 2})


def test_counts_are_those_that_numpy_reads_from_the_masks(looked, digits):
    ticket, drawn = looked.look()
    spread = digits.train.x.astype(np.float64).std(axis=0).ravel()
    for row in (ticket, drawn):
        runs = [r for r in looked.records if (r.spec.arm, r.spec.round) == (row.arm, 2)]
        masks = [looked.store.masks(run.key)["hidden1/kernel"] for run in runs]
        counts = [mask.sum(axis=1) for mask in masks]
        average = np.mean(counts, axis=0).reshape(8, 8)
        assert (row.kind, row.path, row.runs) == ("pixels", "hidden1/kernel", 2)
        assert np.array(row.counts) == pytest.approx(average)
        assert row.weights == pytest.approx(np.mean([mask.sum() for mask in masks]))
        assert row.density == pytest.approx(np.mean([mask.mean() for mask in masks]))
        assert row.unread == pytest.approx(np.mean([(each == 0).mean() for each in counts]))
        assert row.middle == pytest.approx(average[2:6, 2:6].mean())
        border = np.concatenate([average[0], average[-1], average[1:-1, 0], average[1:-1, -1]])
        assert row.border == pytest.approx(border.mean())
        ranks = [[average_ranks(each), average_ranks(spread.round(8))] for each in counts]
        expected = np.mean([np.corrcoef(each)[0, 1] for each in ranks])
        assert row.correlation == pytest.approx(expected, abs=1e-6)
        dead = [each[spread == 0].sum() / each.sum() for each in counts]
        assert row.constant == pytest.approx(np.mean(dead))
        left = int(masks[0].sum())
        assert row.chance == pytest.approx(comb(64 * 20 - 20, left) / comb(64 * 20, left), rel=1e-6)
    assert ticket.constant < drawn.constant, "corners of the digits are always white"


def average_ranks(values):
    """Ranks, equal values sharing their mean rank."""
    order = np.sort(values)
    return (np.searchsorted(order, values, "left") + np.searchsorted(order, values, "right") - 1) / 2


def test_small_dense_networks_and_dense_rounds_are_left_out(looked):
    assert [row.arm for row in looked.look()] == ["ticket", "drawn"]
    with pytest.raises(LotteryError, match="No finished run has a first layer that is pruned"):
        looked.look(round=0)


def test_a_first_layer_that_stays_whole_is_not_told(tmp_path):
    whole = Looked(tmp_path / "study", pruning={"rate": 0.5, "rounds": 1, "layer_rates": {"hidden1": 0}})
    with pytest.raises(LotteryError, match="first layer that is pruned"):
        whole.look(round=1)


def test_convolutions_are_counted_by_position_and_channel(tmp_path):
    model = {"build": "tests.training.networks:convolutional"}
    trained = Looked(tmp_path / "study", model=model, arms={"ticket": {}}, pruning__rounds=2, replicates=1)
    (row,) = trained.look()
    mask = trained.store.masks(trained.records[2].key)["conv/kernel"]
    assert mask.shape == (3, 3, 1, 4)
    assert (row.kind, row.middle, row.correlation) == ("kernel", None, None)
    assert row.constant is None
    assert np.array(row.counts).tolist() == mask.sum(axis=(2, 3)).tolist()
    assert row.channels == (mask.sum(),)
    assert row.unread == (mask.sum(axis=(2, 3)) == 0).mean()
    text = "\n".join(describe([row]))
    assert "position of the kernel" in text
    assert "by channel of the input" in text
    json.dumps(asdict(row), allow_nan=False)


def test_colours_and_vectors(tmp_path, digits):
    x, y = digits.train.x[..., 0], digits.train.y
    for name, values in (("colours", np.stack([x, x[::-1]], axis=-1)), ("vectors", x.reshape(len(x), -1))):
        arrays = {"x_train": values[:800], "y_train": y[:800], "x_test": values[800:], "y_test": y[800:]}
        np.savez(tmp_path / f"{name}.npz", **arrays)
        data = {"name": "npz", "path": str(tmp_path / f"{name}.npz"), "validation": 200, "standardize": True}
        made = Looked(tmp_path / name, data=data, arms={"ticket": {}}, pruning__rounds=1, replicates=1)
        (row,) = made.look(round=1)
        counts = made.store.masks(made.records[1].key)["hidden1/kernel"].sum(axis=1)
        shape = {"colours": (8, 8, 2), "vectors": (64,)}[name]
        assert np.array(row.counts).tolist() == counts.reshape(shape).tolist()
        assert row.kind == {"colours": "pixels", "vectors": "features"}[name]
        assert (row.middle is None) == (name == "vectors")
        assert row.correlation is not None, "features vary as their source has them, not as standardized"
        text = describe([row])
        assert len(text) > 10
        assert max(map(len, text)) <= 110


def test_networks_without_a_plain_first_layer_are_refused_in_one_line(tmp_path):
    model = {"name": "vit", "kwargs": {"width": 4, "heads": 1, "mlp": 4, "depth": 1}}
    vit = Looked(tmp_path / "study", model=model, arms={"ticket": {}}, pruning__rounds=1, replicates=1)
    with pytest.raises(LotteryError, match=r"the input is read by sort \(Permute\)") as caught:
        vit.look(round=1)
    assert "\n" not in str(caught.value)


def test_a_stranger_names_a_function_in_vain(tmp_path):
    named = "tests.training.networks:with_dropout"
    made = Looked(tmp_path / "study", model={"build": named}, arms={"ticket": {}}, pruning__rounds=1)
    with pytest.raises(LotteryError, match=f"Expected --function {named}"):
        made.look(round=1, functions=[])
    assert made.look(round=1, functions=[named])[0].path == "hidden/kernel"


def test_what_is_constant_does_not_vary_at_all_and_other_inputs_as_numpy_says():
    values = np.random.default_rng(0).normal(size=(50, 3)).astype(np.float32)
    values[:, 1] = 0.1  # whose square isn't exact
    rows = np.arange(5, 40)
    split = Split(values, np.zeros(35, np.int32), rows, Standardization.of([values[rows]]))
    found = deviations(split)
    assert found[1] == 0.0
    assert found[[0, 2]] == pytest.approx(values[rows][:, [0, 2]].astype(np.float64).std(axis=0))


def test_pixels_are_looked_at_in_parts(monkeypatch):
    monkeypatch.setattr("tf_lottery.analysis.input_statistics.PART_BYTES", 1)
    pixels = np.random.default_rng(0).integers(0, 256, (20, 2, 2, 1)).astype(np.uint8)
    expected = pixels.astype(np.float64).std(axis=0)
    assert deviations(Split(pixels, np.zeros(20, np.int32))) == pytest.approx(expected)


def test_ranks_that_cannot_be_told_have_no_correlation():
    assert correlated(np.array([1, 2, 3]), np.array([5, 60, 700])) == pytest.approx(1)
    assert correlated(np.array([1, 2, 2, 4]), np.array([4, 2, 2, 1])) == pytest.approx(-1)
    assert correlated(np.array([1, 2, 2]), np.array([1.0, 3.0, 3.0 + 1e-12])) == pytest.approx(1)
    assert correlated(np.array([1, 1]), np.array([1, 2])) is None
    assert correlated(np.array([1, 2]), np.array([0.0, 0.0])) is None


def test_the_middle_and_the_border_of_small_images():
    counts = np.zeros((4, 5))
    counts[1:3, 1:4], counts[0, 0] = 2, 7
    assert middle_and_border(counts) == (2.0, 7 / 14)
    assert middle_and_border(np.ones((3, 9))) == (None, None)
