import gzip
import hashlib

import numpy as np
import pytest

from tf_lottery.config import DataConfig
from tf_lottery.data import debian, fashion_mnist, fetch, sources
from tf_lottery.errors import LotteryError

PUBLISHED = dict(fashion_mnist.SHA256)
TINY = {
    "x_train": np.arange(3 * 28 * 28, dtype=np.uint32).astype(np.uint8).reshape(3, 28, 28),
    "y_train": np.array([9, 0, 3], np.uint8),
    "x_test": np.zeros((2, 28, 28), np.uint8),
    "y_test": np.array([0, 9], np.uint8),
}
FILES = {
    "train-images-idx3-ubyte.gz": "x_train",
    "train-labels-idx1-ubyte.gz": "y_train",
    "t10k-images-idx3-ubyte.gz": "x_test",
    "t10k-labels-idx1-ubyte.gz": "y_test",
}


@pytest.fixture(autouse=True)
def no_source_works(tmp_path, monkeypatch):
    """Nothing cached or installed, no network, no apt-get; three images are 'the published content'."""
    tiny = {name: hashlib.sha256(fetch.to_idx(array)).hexdigest() for name, array in TINY.items()}
    monkeypatch.setattr(fashion_mnist, "SHA256", tiny)
    monkeypatch.setattr(fashion_mnist, "INSTALLED", tmp_path / "installed")
    monkeypatch.setenv("TF_LOTTERY_DATA", str(tmp_path / "cache"))
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(fetch, "keras_download", no_network)


def no_network(dataset):
    raise fetch.SourceFailed("no network")


def write(directory):
    directory.mkdir(parents=True)
    for file, name in FILES.items():
        (directory / file).write_bytes(gzip.compress(fetch.to_idx(TINY[name])))


def in_package(package, members):
    assert package == "dataset-fashion-mnist"
    packed = {file: gzip.compress(fetch.to_idx(TINY[name])) for file, name in FILES.items()}
    return {name: packed[path.rpartition("/")[2]] for name, path in members.items()}


def is_fashion_mnist(examples):
    return all(np.array_equal(getattr(examples, name), array) for name, array in TINY.items())


def test_the_installed_debian_package_comes_first(tmp_path):
    write(tmp_path / "installed")
    write(tmp_path / "keras" / "datasets" / "fashion-mnist")
    found = sources.load(DataConfig(name="fashion_mnist"))
    assert is_fashion_mnist(found)
    assert "installed" in found.source


def test_then_the_keras_cache(tmp_path):
    write(tmp_path / "keras" / "datasets" / "fashion-mnist")
    found = fashion_mnist.load()
    assert is_fashion_mnist(found)
    assert "Keras cache" in found.source


def test_then_the_download_of_keras(monkeypatch):
    monkeypatch.setattr(fetch, "keras_download", {"fashion_mnist": TINY}.get)
    monkeypatch.setattr(debian, "package_files", in_package)
    found = fashion_mnist.load()
    assert is_fashion_mnist(found)
    assert "download" in found.source


def test_last_the_debian_package_downloaded(monkeypatch):
    monkeypatch.setattr(debian, "package_files", in_package)
    found = fashion_mnist.load()
    assert is_fashion_mnist(found)
    assert "Debian package dataset-fashion-mnist, downloaded" in found.source


# Both workers must see the same names of tests: gzip writes the time of day unless it is given one.
@pytest.mark.parametrize(
    "content",
    [b"", b"junk", gzip.compress(b"junk", mtime=0), gzip.compress(b"junk" * 99, mtime=0)[:-9]],
    ids=["empty", "junk", "zipped junk", "cut off"],
)
def test_a_damaged_file_falls_to_the_next(tmp_path, monkeypatch, content):
    write(tmp_path / "installed")
    (tmp_path / "installed" / "train-images-idx3-ubyte.gz").write_bytes(content)
    monkeypatch.setattr(debian, "package_files", in_package)
    assert "downloaded" in fashion_mnist.load().source


def test_what_only_looks_like_it_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(fashion_mnist, "SHA256", PUBLISHED)
    write(tmp_path / "installed")
    with pytest.raises(LotteryError, match="x_train isn't the published content"):
        fashion_mnist.load()


def test_without_any_source_one_error_names_them_all_and_the_embedded_data(tmp_path):
    with pytest.raises(LotteryError) as refusal:
        fashion_mnist.load()
    message = str(refusal.value)
    assert f"installed: no {tmp_path}/installed/train-images-idx3-ubyte.gz" in message
    assert "the Keras cache: no " in message
    assert "Keras's own download: no network" in message
    assert "downloaded: apt-get isn't on the path" in message
    assert "--set data.name=digits" in message
    assert "\n" not in message
