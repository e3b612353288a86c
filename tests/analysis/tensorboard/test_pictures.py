import io

import numpy as np
from matplotlib.image import imread
from tensorboard.util.tensor_util import make_ndarray

from tf_lottery.analysis.tensorboard.closer import histogram
from tf_lottery.analysis.tensorboard.pictures import picture, shrunk, tiles


def test_a_dense_mask_is_as_it_is_and_a_convolution_has_a_tile_for_each_pair_of_channels():
    mask = np.arange(6).reshape(3, 2) % 2 == 0
    assert (tiles(mask) == mask).all()
    kernel = np.zeros((3, 2, 4, 5), bool)
    kernel[2, 1, 3, 4] = kernel[0, 1, 0, 2] = True
    found = tiles(kernel)
    assert found.shape == (4 * 3, 5 * 2)
    assert sorted(map(tuple, np.argwhere(found))) == [(0, 2 * 2 + 1), (3 * 3 + 2, 4 * 2 + 1)]
    assert tiles(np.ones((5, 3, 2), bool)).shape == (15, 2)
    assert tiles(np.ones((2, 3, 4, 3, 2), bool)).shape == (3 * 6, 2 * 4)
    assert tiles(np.ones(7, bool)).shape == (1, 7)


def test_shrinking_takes_means_of_rectangles():
    values = np.array([[1, 0, 0, 0, 1], [0, 0, 0, 1, 1]])
    assert shrunk(values, 2).tolist() == [[0.5, 1 / 3], [0.0, 2 / 3]]
    assert shrunk(values, 5).tolist() == values.tolist()


def read(summary):
    (value,) = summary.value
    width, height, png = make_ndarray(value.tensor)
    return int(width), int(height), imread(io.BytesIO(png))


def test_a_picture_is_darkest_where_most_is():
    width, height, pixels = read(picture("a", np.array([[0, 1], [2, 4]]), ""))
    assert (width, height) == (192, 192) == pixels.shape[1::-1]
    assert np.allclose(pixels[::96, ::96, 0], [[1, 0.75], [0.5, 0]], atol=0.005)
    assert read(picture("a", np.zeros((1000, 3)), ""))[:2] == (3, 256)
    assert read(picture("a", np.zeros((3, 3)), ""))[2].min() == 1.0


def test_a_histogram_is_in_percent():
    (value,) = histogram("a", np.array([0.0, 1.0, 1.0, 40.0, np.nan], np.float32), "").value
    buckets = make_ndarray(value.tensor)
    assert buckets.shape == (40, 3)
    assert buckets[:, 2].sum() == 100
    assert (buckets[0, 2], buckets[1, 2], buckets[-1, 2]) == (25, 50, 25)
    assert buckets[1, :2].tolist() == [1.0, 2.0]
    assert histogram("a", np.array([np.nan]), "") is None
    constant = make_ndarray(histogram("a", np.zeros(3), "").value[0].tensor)
    assert constant[:, 2].sum() == 100
