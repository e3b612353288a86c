import numpy as np
import pytest

from tf_lottery import arrays
from tf_lottery.errors import LotteryError

WEIGHTS = {
    "hidden/kernel": np.arange(12, dtype=np.float32).reshape(3, 4),
    "hidden/bias": np.zeros(4, np.float32),
    "mask": np.array([True, False, True]),
    "step": np.array(7),
    "none": np.empty((0, 3), np.float32),
}


def equal(first, second):
    return first.keys() == second.keys() and all(
        first[name].dtype == second[name].dtype and np.array_equal(first[name], second[name])
        for name in first
    )


def test_digest_does_not_depend_on_the_order_of_names_or_on_memory_layout():
    turned = dict(reversed(WEIGHTS.items()))
    turned["hidden/kernel"] = np.asfortranarray(turned["hidden/kernel"])
    assert arrays.digest(turned) == arrays.digest(WEIGHTS)


@pytest.mark.parametrize(
    "other",
    [
        {"b": np.zeros(4, np.float32)},
        {"a": np.zeros(4, np.int32)},
        {"a": np.zeros((2, 2), np.float32)},
        {"a": np.array([0, 0, 0, 1], np.float32)},
        {"a": np.array([0, 0, 0, -0.0], np.float32)},
        {"a": np.zeros(4, np.float32), "b": np.zeros(0, np.float32)},
        {},
    ],
    ids=["name", "type", "shape", "content", "sign of zero", "one more", "none"],
)
def test_digest_changes_with(other):
    assert arrays.digest(other) != arrays.digest({"a": np.zeros(4, np.float32)})


def test_digest_tells_a_scalar_from_an_array_of_one():
    assert arrays.digest({"a": np.array(5)}) != arrays.digest({"a": np.array([5])})


@pytest.mark.parametrize("compress", [False, True])
def test_what_is_saved_is_loaded(tmp_path, compress):
    path = tmp_path / "deeper" / "weights.npz"
    digest = arrays.save(path, WEIGHTS, compress=compress)
    assert digest == arrays.digest(WEIGHTS)
    assert equal(arrays.load(path, digest), WEIGHTS)


def test_compressing_makes_masks_smaller(tmp_path):
    mask = {"mask": np.ones((300, 100), bool)}
    arrays.save(tmp_path / "plain.npz", mask)
    arrays.save(tmp_path / "small.npz", mask, compress=True)
    assert (tmp_path / "small.npz").stat().st_size * 10 < (tmp_path / "plain.npz").stat().st_size


def test_other_contents_than_the_digest_says_are_refused(tmp_path):
    path = tmp_path / "weights.npz"
    digest = arrays.save(path, WEIGHTS)
    arrays.save(path, WEIGHTS | {"step": np.array(8)})
    with pytest.raises(LotteryError, match="fails its checksum"):
        arrays.load(path, digest)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(LotteryError, match=r"absent\.npz, which doesn't exist"):
        arrays.load(tmp_path / "absent.npz")


@pytest.mark.parametrize("content", [b"", b"junk", b"PK\x03\x04junk", b"\x93NUMPYjunk"])
def test_junk_is_refused(tmp_path, content):
    path = tmp_path / "junk.npz"
    path.write_bytes(content)
    with pytest.raises(LotteryError, match=r"junk\.npz"):
        arrays.load(path)


def test_a_directory_is_refused(tmp_path):
    with pytest.raises(LotteryError, match="npz"):
        arrays.load(tmp_path)


def test_a_single_npy_array_is_refused(tmp_path):
    path = tmp_path / "single.npz"
    with path.open("wb") as file:
        np.save(file, np.arange(3))
    with pytest.raises(LotteryError, match="not an archive"):
        arrays.load(path)


def test_pickles_are_refused(tmp_path):
    path = tmp_path / "pickled.npz"
    np.savez(path, a=np.array([{"code": "evil"}], dtype=object))
    with pytest.raises(LotteryError, match="plain arrays"):
        arrays.load(path)


@pytest.mark.parametrize("compress", [False, True])
def test_a_file_cut_anywhere_is_refused(tmp_path, compress):
    path = tmp_path / "cut.npz"
    arrays.save(path, WEIGHTS, compress=compress)
    whole = path.read_bytes()
    for length in range(0, len(whole), 7):
        path.write_bytes(whole[:length])
        with pytest.raises(LotteryError):
            arrays.load(path)


@pytest.mark.parametrize("compress", [False, True])
def test_a_flipped_bit_is_refused_or_harmless_wherever_it_is(tmp_path, compress):
    path = tmp_path / "flipped.npz"
    kernel = {"kernel": np.arange(40, dtype=np.float32)}
    digest = arrays.save(path, kernel, compress=compress)
    whole, refused, escaped = path.read_bytes(), 0, set()
    for bit in range(0, 8 * len(whole), 3):
        flipped = bytearray(whole)
        flipped[bit // 8] ^= 1 << bit % 8
        path.write_bytes(flipped)
        try:
            assert equal(arrays.load(path, digest), kernel)  # a time stamp, say
        except LotteryError:
            refused += 1
        except Exception as error:
            escaped.add(f"{type(error).__name__}: {error}")
    assert refused > 300
    assert not escaped


def test_sealed_arrays_come_back_without_the_seal(tmp_path):
    path = tmp_path / "sealed.npz"
    assert arrays.save_sealed(path, WEIGHTS) == arrays.digest(WEIGHTS)
    assert equal(arrays.load_sealed(path), WEIGHTS)


def test_a_seal_that_does_not_fit_is_refused(tmp_path):
    path = tmp_path / "sealed.npz"
    arrays.save_sealed(path, WEIGHTS)
    changed = arrays.load(path) | {"hidden/bias": np.ones(4, np.float32)}
    arrays.save(path, changed)
    with pytest.raises(LotteryError, match="fails its checksum"):
        arrays.load_sealed(path)


def test_a_file_without_a_seal_is_refused(tmp_path):
    path = tmp_path / "open.npz"
    arrays.save(path, WEIGHTS)
    with pytest.raises(LotteryError, match="fails its checksum"):
        arrays.load_sealed(path)


def test_python_objects_are_never_written(tmp_path):
    with pytest.raises(LotteryError, match="Python objects"):
        arrays.save(tmp_path / "file.npz", {"a": np.array([None])})
    assert not list(tmp_path.iterdir())
