import keras
import numpy as np
import pytest
from keras import layers

from tests.training.sparse.layer_checks import check
from tf_lottery.training.sparse.network import Network
from tf_lottery.training.sparse.ops.op import Unsupported

_WINDOWS = [((2, 2), (2, 2)), ((3, 3), (2, 2)), ((2, 3), (3, 1)), ((3, 2), (1, 2))]


def _with_ties(*shape):
    # As after ReLU: many zeros, few different numbers.
    return np.maximum(np.random.default_rng(2).integers(-3, 3, shape), 0).astype(float)


@pytest.mark.parametrize("kind", [layers.MaxPooling2D, layers.AveragePooling2D])
@pytest.mark.parametrize(("window", "strides"), _WINDOWS)
@pytest.mark.parametrize("padding", ["valid", "same"])
@pytest.mark.parametrize("ties", [False, True])
def test_windows(kind, window, strides, padding, ties):
    layer = kind(window, strides, padding, dtype="float64")
    check(layer, [(7, 6, 3)], [_with_ties(60, 7, 6, 3)] if ties else None)


@pytest.mark.parametrize("kind", [layers.MaxPooling2D, layers.AveragePooling2D])
@pytest.mark.parametrize("adds", [False, True])
@pytest.mark.parametrize("size", [6, 7])
def test_adds(kind, adds, size):
    check(kind(2, dtype="float32"), [(size, size, 2)], batch=100, dtype="float32", adds=adds)


@pytest.mark.parametrize("kind", [layers.GlobalMaxPooling2D, layers.GlobalAveragePooling2D])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("adds", [False, True])
def test_whole_images(kind, dtype, adds):
    layer = kind(dtype=dtype)
    check(layer, [(7, 5, 3)], [_with_ties(100, 7, 5, 3)], batch=100, dtype=dtype, adds=adds)


def test_mean_of_a_large_image():
    images = np.random.default_rng(3).normal(5, 1, (60, 64, 64, 1))
    check(layers.GlobalAveragePooling2D(dtype="float32"), [(64, 64, 1)], [images], dtype="float32")


@pytest.mark.parametrize(
    "layer",
    [
        layers.GlobalAveragePooling2D(keepdims=True),
        layers.GlobalMaxPooling2D(data_format="channels_first"),
        layers.MaxPooling2D(data_format="channels_first"),
    ],
)
def test_unsupported(layer):
    model = keras.Sequential([keras.Input((4, 4, 3)), layer, layers.Flatten(), layers.Dense(2)])
    with pytest.raises(Unsupported, match=r"keepdims|data_format"):
        Network(model, 60)
