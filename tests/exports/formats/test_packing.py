import numpy as np
import pytest

from tf_lottery.exports.formats.packing import SKIP, pack, unpack


def sparse(shape, density, dtype=np.float32, seed=0):
    generator = np.random.default_rng(seed)
    array = generator.standard_normal(shape).astype(dtype)
    return np.where(generator.random(shape) < density, array, np.zeros((), dtype))


@pytest.mark.parametrize("density", [0, 0.0005, 0.01, 0.036, 0.1, 0.3, 0.7])
@pytest.mark.parametrize("shape", [(784, 300), (3, 3, 16, 32), (4099,)])
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_what_is_unpacked_has_the_same_bits(density, shape, dtype):
    array = sparse(shape, density, dtype)
    packed = pack(array)
    assert packed.nbytes < array.nbytes
    assert unpack(packed).tobytes() == array.tobytes()
    assert unpack(packed).shape == shape


def test_the_cheaper_coding_is_taken():
    assert pack(sparse((784, 300), 0.01)).coding == "gaps"
    assert pack(sparse((784, 300), 0.5)).coding == "bitmask"
    packed = pack(sparse((784, 300), 0.036))
    assert packed.coding == "gaps"
    assert packed.positions.nbytes < 784 * 300 / 8


@pytest.mark.parametrize("gap", [1, 2, 254, 255, 256, 509, 510, 511, 765, 1020, 5000])
def test_gaps_of_any_length(gap):
    array = np.zeros(3 * gap + 100000, np.float32)
    array[[gap - 1, 2 * gap - 1, 3 * gap - 1]] = [1, 2, 3]
    packed = pack(array)
    assert packed.coding == "gaps"
    assert unpack(packed).tobytes() == array.tobytes()
    assert len(packed.positions) == 3 * (1 + gap // SKIP)


def test_nan_is_a_value_and_minus_zero_is_zero():
    array = np.zeros(1000, np.float32)
    array[[3, 500, 999]] = [-0.0, np.nan, np.inf]
    expected = array.copy()
    expected[3] = 0.0
    assert unpack(pack(array)).tobytes() == expected.tobytes()
    assert len(pack(array).values) == 2


def test_what_isn_t_smaller_stays_as_it_is():
    assert pack(sparse((100, 100), 1)) is None
    assert pack(np.ones(3, np.float32)) is None


def test_all_zeros_take_no_space():
    packed = pack(np.zeros((50, 50), np.float32))
    assert packed.nbytes == 0
    assert unpack(packed).tobytes() == np.zeros((50, 50), np.float32).tobytes()
