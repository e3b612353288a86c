import numpy as np
import pytest

from tf_lottery.config import DataConfig
from tf_lottery.data import npz, sources
from tf_lottery.errors import LotteryError

RANDOM = np.random.default_rng(0)
GOOD = {
    "x_train": RANDOM.random((6, 4)),
    "y_train": np.array([0, 1, 2, 0, 1, 2]),
    "x_test": RANDOM.random((3, 4)),
    "y_test": np.array([0, 1, 2]),
}


@pytest.fixture
def path(tmp_path):
    return tmp_path / "mine.npz"


def save(path, **changes):
    arrays = GOOD | changes
    np.savez(path, **{name: array for name, array in arrays.items() if array is not None})


def refused(path):
    with pytest.raises(LotteryError) as refusal:
        npz.load(str(path))
    assert "\n" not in str(refusal.value)
    return str(refusal.value)


def with_one(array, value):
    changed = array.copy()
    changed.flat[1] = value
    return changed


def test_the_users_arrays_are_loaded(path):
    save(path)
    found = npz.load(str(path))
    assert all(np.array_equal(getattr(found, name), array) for name, array in GOOD.items())
    assert found.y_train.dtype == np.int32
    assert found.source == str(path)


def test_labels_may_stand_in_a_column_and_be_unsigned(path):
    save(path, y_train=GOOD["y_train"].reshape(-1, 1).astype(np.uint8))
    assert npz.load(str(path)).y_train.tolist() == [0, 1, 2, 0, 1, 2]


def test_further_arrays_do_no_harm(path):
    save(path, notes=np.array("by hand"))
    assert len(npz.load(str(path)).x_train) == 6


def test_the_name_npz_leads_here(path):
    save(path)
    assert sources.load(DataConfig(name="npz", path=str(path))).source == str(path)


def test_no_path_is_refused():
    for path in (None, ""):
        with pytest.raises(LotteryError, match=r"data\.path"):
            npz.load(path)


def test_a_missing_file_is_named(path):
    assert f"{path}, which doesn't exist" in refused(path)


@pytest.mark.parametrize("content", [b"", b"junk", b"PK\x03\x04"])
def test_junk_is_named(path, content):
    path.write_bytes(content)
    assert str(path) in refused(path)


@pytest.mark.parametrize("name", list(GOOD))
def test_a_missing_array_is_named(path, name):
    save(path, **{name: None})
    assert refused(path).endswith(f"missing {name}")


@pytest.mark.parametrize(
    "changes",
    [
        {"y_train": GOOD["y_train"][:5]},
        {"y_test": np.array([0, 1, 2, 0])},
        {"y_train": GOOD["y_train"].astype(np.float32)},
        {"y_train": np.array(["a", "b", "c", "a", "b", "c"])},
        {"y_train": np.eye(3, dtype=int)[GOOD["y_train"]]},
        {"y_train": np.array(1)},
        {"y_train": np.array([], int)},
        {"y_train": with_one(GOOD["y_train"], -1)},
    ],
    ids=[
        "too few",
        "too many",
        "floats",
        "texts",
        "one-hot",
        "a single number",
        "none",
        "negative",
    ],
)
def test_labels_out_of_form_are_refused(path, changes):
    save(path, **changes)
    message = refused(path)
    assert f"Expected {next(iter(changes))} in {path}" in message
    assert "integer labels from 0" in message


@pytest.mark.parametrize(
    "changes",
    [
        {"x_train": np.arange(6.0)},
        {"x_train": np.array(["a"] * 6).reshape(6, 1)},
        {"x_test": np.empty((0, 4))},
        {"x_test": np.array(1.0)},
    ],
    ids=["one dimension", "texts", "no examples", "a single number"],
)
def test_inputs_out_of_form_are_refused(path, changes):
    save(path, **changes)
    assert f"Expected {next(iter(changes))} in {path}" in refused(path)


@pytest.mark.parametrize("name", ["x_train", "x_test"])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_inputs_that_are_not_finite_are_refused(path, name, value):
    save(path, **{name: with_one(GOOD[name], value)})
    assert f"finite numbers in {name}" in refused(path)


def test_training_and_test_inputs_of_different_shapes_are_refused(path):
    save(path, x_test=RANDOM.random((3, 5)))
    assert refused(path).endswith("(4,) and (5,)")


def test_test_labels_outside_the_classes_are_refused(path):
    save(path, y_test=np.array([0, 1, 3]))
    assert "labels up to 2 in y_train, 3 in y_test" in refused(path)


def test_one_class_is_refused(path):
    save(path, y_train=np.zeros(6, int), y_test=np.zeros(3, int))
    assert "at least two classes" in refused(path)


def test_pickled_arrays_are_refused(path):
    save(path, x_train=np.array([{}] * 6, dtype=object).reshape(6, 1))
    assert str(path) in refused(path)


def test_contents_other_than_those_the_study_began_with_are_refused(path):
    save(path)
    config = DataConfig(name="npz", path=str(path))
    digest = sources.load(config).digest
    known = config.model_copy(update={"digest": digest})
    assert sources.load(known).digest == digest
    save(path, x_train=GOOD["x_train"] + 1)
    with pytest.raises(LotteryError, match=r"data\.digest"):
        sources.load(known)


def test_an_unknown_data_set_is_refused_with_the_known_ones():
    with pytest.raises(LotteryError, match=r"cifar10, digits, fashion_mnist, mnist, npz.*'imagenet'"):
        sources.load(DataConfig(name="imagenet"))
