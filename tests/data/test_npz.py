import subprocess
import sys

import numpy as np
import pytest

from tests.training.test_loop import begin, same_bits, train
from tests.training.trainings import trainer
from tf_lottery import arrays
from tf_lottery.config import DataConfig
from tf_lottery.data import npz, sources
from tf_lottery.data import split as split_
from tf_lottery.errors import LotteryError
from tf_lottery.training.feed import Resident, Stream, make_feed

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


def save_files(directory, **changes):
    """The same as a directory of npy files, which are mapped into memory."""
    directory.mkdir(exist_ok=True)
    for name, array in (GOOD | changes).items():
        if array is not None:
            np.save(directory / f"{name}.npy", array)


def test_inputs_stay_in_their_files_and_are_those_of_the_npz(tmp_path):
    save_files(tmp_path / "mine")
    np.savez(tmp_path / "mine.npz", **GOOD)
    mapped, loaded = npz.load(str(tmp_path / "mine")), npz.load(str(tmp_path / "mine.npz"))
    assert isinstance(mapped.x_train, np.memmap)
    assert type(mapped.y_train) is np.ndarray
    assert all(np.array_equal(array, mapped.arrays()[name]) for name, array in loaded.arrays().items())
    assert mapped.digest == loaded.digest


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("chunk", [1, 40, 2**20])
def test_a_digest_read_in_stretches_is_that_of_the_whole(tmp_path, monkeypatch, order, chunk):
    whole = {"x": np.random.default_rng(0).random((7, 3, 2)), "y": np.array(3), "none": np.empty((0, 2))}
    expected = arrays.digest(whole)
    np.save(tmp_path / "x.npy", np.asarray(whole["x"], order=order))
    monkeypatch.setattr(arrays, "CHUNK_BYTES", chunk)
    assert arrays.digest(whole | {"x": arrays.load_mapped(tmp_path / "x.npy")}) == expected
    assert arrays.digest(whole | {"x": whole["x"] + 1}) != expected


@pytest.mark.parametrize("name", list(GOOD))
def test_a_missing_file_of_a_directory_is_named(tmp_path, name):
    save_files(tmp_path / "mine", **{name: None})
    assert refused(tmp_path / "mine").endswith(f"missing {name}")


def test_an_empty_directory_is_refused(tmp_path):
    assert "Received: none" in refused(tmp_path)


def pickled(path):
    np.save(path, np.array([{}] * 6, dtype=object), allow_pickle=True)


def truncated(path):
    path.write_bytes(path.read_bytes()[:-1])


def archive(path):
    with path.open("wb") as file:
        np.savez(file, x=np.ones(3))


def directory(path):
    path.unlink()
    path.mkdir()


@pytest.mark.parametrize(
    "damage",
    [pickled, truncated, archive, directory, lambda p: p.write_bytes(b""), lambda p: p.write_bytes(b"junk")],
    ids=["pickled", "truncated", "archive", "directory", "empty", "junk"],
)
@pytest.mark.parametrize("name", ["x_train", "y_test"])
def test_a_damaged_file_of_a_directory_is_named(tmp_path, name, damage):
    save_files(tmp_path / "mine")
    damage(tmp_path / "mine" / f"{name}.npy")
    assert f"Received: {tmp_path / 'mine' / name}.npy (" in refused(tmp_path / "mine")


def test_the_checks_are_those_of_the_npz_to_the_last_row(tmp_path, monkeypatch):
    monkeypatch.setattr(arrays, "CHUNK_BYTES", 64)  # two rows
    bad = GOOD["x_train"].copy()
    bad[-1, -1] = np.nan
    save_files(tmp_path / "mine", x_train=bad)
    assert "finite numbers in x_train" in refused(tmp_path / "mine")
    save_files(tmp_path / "mine", x_train=GOOD["x_train"][:, 0])
    assert "at least two dimensions" in refused(tmp_path / "mine")
    save_files(tmp_path / "mine", y_train=GOOD["y_train"][:5])
    assert "as 6 integer labels" in refused(tmp_path / "mine")
    save_files(tmp_path / "mine", x_test=GOOD["x_test"].astype(np.float32))
    assert "of one type" in refused(tmp_path / "mine")


@pytest.mark.parametrize("dtype", [np.uint8, np.float64], ids=["uint8", "float64"])
def test_a_network_trained_from_files_has_the_bits_of_one_trained_from_memory(tmp_path, dtype):
    digits = sources.load(DataConfig(name="digits")).arrays()
    if dtype == np.uint8:
        digits |= {name: np.round(digits[name] * 255) for name in ("x_train", "x_test")}
    digits |= {name: digits[name].astype(dtype) for name in ("x_train", "x_test")}
    save_files(tmp_path / "mine", **digits)
    np.savez(tmp_path / "mine.npz", **digits)
    weights, evaluations = [], []
    for name, feed in (("mine", Stream), ("mine.npz", Resident)):
        config = DataConfig(name="npz", path=str(tmp_path / name), validation=200)
        data = split_.split(sources.load(config), config)
        assert data.train.mapped is (feed is Stream)
        assert type(make_feed(data.train, 60, None)) is feed
        setup = trainer(data, data=config, xla=False)
        begin(setup)
        weights.append(train(setup, data, steps=40))
        evaluations.append(setup.evaluate["test"]())
    assert same_bits(*weights)
    assert evaluations[0] == evaluations[1]


LOAD = """
import sys, tracemalloc
from tf_lottery.data import npz
from tf_lottery.config import DataConfig
from tf_lottery.data.split import split
import tensorflow  # before the measurement
from tf_lottery.training.feed import Stream
tracemalloc.start()
examples = npz.load(sys.argv[1])
digest = examples.digest
data = split(examples, DataConfig(name="npz", path=sys.argv[1], validation=10))
assert data.train.mapped
data.train.take(__import__("numpy").arange(60))
print(tracemalloc.get_traced_memory()[1])
"""


@pytest.mark.slow
def test_loading_takes_far_less_memory_than_the_file(tmp_path):
    save_files(tmp_path / "mine", x_test=np.zeros((3, 32, 32, 3), np.float32))
    count = 50_000
    mapped = np.lib.format.open_memmap(
        tmp_path / "mine/x_train.npy", "w+", np.float32, (count, 32, 32, 3)
    )  # a sparse file: zeros that take no room
    assert mapped.nbytes > 600e6
    del mapped
    np.save(tmp_path / "mine/y_train.npy", np.arange(count) % 3)
    command = [sys.executable, "-c", LOAD, str(tmp_path / "mine")]
    peak = int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    assert peak < 60e6
