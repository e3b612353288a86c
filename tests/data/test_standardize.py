"""Mean and deviation of the training examples: exact arithmetic, whatever holds the examples."""

import numpy as np
import pytest

from tests.data.test_split import COUNT, numbered, of
from tf_lottery.data import split as split_
from tf_lottery.data.examples import Examples
from tf_lottery.data.standardize import Standardization
from tf_lottery.errors import LotteryError

RANDOM = np.random.default_rng(0)


def random(shape, dtype=np.float32, scale=1.0):
    x = (RANDOM.random((COUNT, *shape)) * scale).astype(dtype)
    y = np.arange(COUNT) % 4
    return Examples(x, y, x[::-1][:6].copy(), y[::-1][:6].copy(), "a test")


def test_two_numbers_become_minus_one_and_one():
    numbers = Standardization.of([np.array([[1.0], [3.0]], np.float32)])
    assert numbers.numbers() == {"mean": [2.0], "deviation": [1.0]}
    assert numbers.apply(np.array([[1], [3], [5]], np.float32)).tolist() == [[-1], [1], [3]]


def test_it_is_off_unless_asked_for():
    assert of().standardized is None
    assert of().train.standardization is None


def test_the_mean_is_that_of_all_training_examples_whatever_the_share_and_is_applied_to_all_parts():
    plain, standardized = of(share=0.5), of(share=0.5, standardize=True)
    kept = of().train.x.astype(np.float64)
    assert standardized.standardized == {"mean": [kept.mean()], "deviation": [pytest.approx(kept.std())]}
    assert (len(kept), len(standardized.train)) == (40, 20)
    for part in ("train", "validation", "test"):
        before, after = getattr(plain, part), getattr(standardized, part)
        expected = (before.x - kept.mean()) / standardized.standardized["deviation"]
        assert (after.x == expected.astype(np.float32)).all()
        assert (after.y == before.y).all()
        assert (after.take(slice(None)) == after.x).all()
        assert after.dtype == after.take(slice(2)).dtype == np.float32
    assert plain.train.x.mean() != kept.mean()


@pytest.mark.parametrize(("shape", "last"), [((4, 4), 1), ((4, 4, 3), 3), ((5,), 5)])
def test_each_channel_or_feature_has_numbers_of_its_own(shape, last):
    examples = random(shape)
    train = of(examples).train.x.astype(np.float64).reshape(-1, last)
    found = of(examples, standardize=True)
    assert found.standardized["mean"] == pytest.approx(train.mean(axis=0), rel=1e-13)
    assert found.standardized["deviation"] == pytest.approx(train.std(axis=0), rel=1e-13)
    standardized = found.train.x.astype(np.float64).reshape(-1, last)
    assert np.abs(standardized.mean(axis=0)).max() < 1e-6
    assert standardized.std(axis=0) == pytest.approx(np.ones(last), abs=1e-6)


def test_what_never_changes_is_divided_by_one(monkeypatch):
    monkeypatch.setattr(split_, "PART_BYTES", 7 * 8 * 2)
    x = np.full((COUNT, 2), 0.1, np.float32)  # 0.1 isn't a number of the machine: a sum could be rounded
    x[:, 1] = np.arange(COUNT)
    found = of(Examples(x, np.arange(COUNT) % 2, x, np.arange(COUNT) % 2, "a test"), standardize=True)
    assert found.standardized["mean"][0] == np.float32(0.1)
    assert found.standardized["deviation"][0] == 1
    assert (found.train.x[:, 0] == 0).all()


def test_pixels_are_scaled_first():
    examples = random((3, 3), np.uint8, 256)
    found = of(examples, standardize=True)
    train = of(examples).train.x.astype(np.float64)
    assert found.standardized["mean"] == pytest.approx([train.mean()])
    assert found.standardized["mean"][0] < 1
    assert (found.train.x.mean(), found.train.x.std()) == (pytest.approx(0, abs=1e-6), pytest.approx(1))
    assert found.train.bytes_an_example == 36
    assert of(examples).train.bytes_an_example == 9


def test_parts_change_no_example_and_the_numbers_by_a_rounding_at_most(monkeypatch):
    examples = random((4, 3), scale=1e3)
    whole = of(examples, standardize=True)
    monkeypatch.setattr(split_, "PART_BYTES", 7 * 12 * 8)
    parts = of(examples, standardize=True)
    for name in ("mean", "deviation"):
        assert parts.standardized[name] == pytest.approx(whole.standardized[name], rel=1e-14)
    rows = np.array([[3, 30, 0], [39, 39, 1]])
    expected = parts.train.standardization.apply(of(examples).train.x[rows])
    assert parts.train.take(rows).tobytes() == expected.tobytes()
    assert parts.test.take(slice(1, 3)).tobytes() == parts.test.x[1:3].tobytes()
    assert parts.test.take(slice(0, 0)).shape == (0, 4, 3, 1)


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("dtype", [np.uint8, np.float64])
def test_mapped_examples_have_the_bits_of_those_in_memory(tmp_path, monkeypatch, dtype, order):
    monkeypatch.setattr(split_, "PART_BYTES", 7 * 12 * 8)
    examples = random((4, 3), dtype, 200)
    mapped = {}
    for name in ("x_train", "x_test"):
        np.save(tmp_path / f"{name}.npy", np.asarray(getattr(examples, name), order=order))
        mapped[name] = np.load(tmp_path / f"{name}.npy", mmap_mode="r")
    files = Examples(**examples.arrays() | mapped, source="files")
    here, there = of(examples, standardize=True), of(files, standardize=True)
    assert there.train.mapped
    assert here.standardized == there.standardized
    for part in ("train", "validation", "test"):
        assert getattr(here, part).x.tobytes() == getattr(there, part).x.tobytes()


def test_inputs_that_become_too_large_are_refused():
    x = np.full((COUNT, 1), 1e-20, np.float32) * np.arange(COUNT)[:, None]
    examples = Examples(
        x.astype(np.float32), np.arange(COUNT) % 2, np.array([[1e30]]), np.array([1]), "a test"
    )
    found = of(examples, standardize=True)
    assert np.isfinite(found.train.x).all()
    with pytest.raises(LotteryError, match="exceed float32: .*too far from the training examples"):
        _ = found.test.x


def test_integers_are_standardized_too():
    assert of(numbered(np.int64), standardize=True).train.x.dtype == np.float32
