"""The published data sets themselves, where this machine has them; nothing is fetched."""

import hashlib

import numpy as np
import pytest

from tf_lottery import paths
from tf_lottery.config import DataConfig
from tf_lottery.data import sources

SHAPES = {
    "mnist": ((60_000, 28, 28), (10_000, 28, 28)),
    "fashion_mnist": ((60_000, 28, 28), (10_000, 28, 28)),
    "cifar10": ((50_000, 32, 32, 3), (10_000, 32, 32, 3)),
}


def load(name):
    if not (paths.data_cache() / f"{name}.npz").exists():
        pytest.skip(f"{name} isn't in {paths.data_cache()}; `tf-lottery data {name}` fetches it")
    return sources.load(DataConfig(name=name))


@pytest.mark.parametrize("name", SHAPES)
def test_shapes_types_and_classes(name):
    found = load(name)
    assert (found.x_train.shape, found.x_test.shape) == SHAPES[name]
    assert {array.dtype for array in found.arrays().values()} == {np.dtype(np.uint8)}
    for labels, count in ((found.y_train, len(found.x_train)), (found.y_test, len(found.x_test))):
        assert labels.shape == (count,)
        assert set(labels.tolist()) == set(range(10))
        if name != "mnist":
            assert set(np.bincount(labels).tolist()) == {count // 10}


def test_cifar10_is_the_binary_version_byte_for_byte():
    """Channel means as everyone quotes them, and the MD5 that others pin for `test_batch.bin`."""
    found = load("cifar10")
    means = found.x_train.mean(axis=(0, 1, 2), dtype=np.float64) / 255
    assert means.round(4).tolist() == [0.4914, 0.4822, 0.4465]
    rows = found.x_test.transpose(0, 3, 1, 2).reshape(10_000, -1)
    content = np.concatenate([found.y_test[:, np.newaxis], rows], axis=1).tobytes()
    assert hashlib.md5(content).hexdigest() == "803d5f7f4d78ea53de84dbe85f74fb6d"
