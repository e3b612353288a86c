"""The hash that stands in for TensorFlow's generators, and what replicas draw together."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy import stats

from tests.training.test_loop import begin
from tests.training.trainings import trainer
from tf_lottery.config import ModelConfig
from tf_lottery.data.order import BatchOrder
from tf_lottery.training import randomness
from tf_lottery.training.randomness import cheap_random, shared_random, uniform

COUNT = 200_000
SEEDS = [(0, 0), (0, 1), (1, 0), (12345, 678), (2**31 - 1, -1)]
REPLACED = [
    (tf.random, "stateless_uniform"),
    (tf.random, "stateless_normal"),
    (tf.random, "stateless_truncated_normal"),
    (tf.nn.experimental, "stateless_dropout"),
]


def drawn(*seed):
    return uniform((COUNT,), tf.constant(seed)).numpy()


def correlation(first, second):
    return abs(np.corrcoef(first, second)[0, 1])


CHANCE = 5 / np.sqrt(COUNT)


@pytest.mark.parametrize("seed", SEEDS, ids=str)
def test_the_hash_is_uniform(seed):
    numbers = drawn(*seed)
    assert numbers.dtype == np.float32
    assert numbers.min() >= 0
    assert numbers.max() < 1
    assert abs(numbers.mean() - 0.5) < 5 * np.sqrt(1 / 12 / COUNT)
    assert abs(numbers.var() - 1 / 12) < 5 * np.sqrt(1 / 180 / COUNT)
    for bins in (16, 1000):  # of the highest bits; then of the lowest eight of the 24
        assert stats.chisquare(np.bincount((numbers * bins).astype(int), minlength=bins)).pvalue > 1e-4
    lowest = (numbers.astype(np.float64) * 2**24).astype(np.int64) % 256
    assert stats.chisquare(np.bincount(lowest, minlength=256)).pvalue > 1e-4


@pytest.mark.parametrize("lag", [1, 2, 3, 4, 8, 64, 300, 1024])
def test_neighbouring_positions_do_not_correlate(lag):
    numbers = drawn(3, 4)
    assert correlation(numbers[:-lag], numbers[lag:]) < CHANCE


@pytest.mark.parametrize("other", [(3, 5), (4, 4), (4, 3), (3, 4 + 2**16), (2**31 - 1, 4)])
def test_neighbouring_seeds_do_not_correlate(other):
    first, second = drawn(3, 4), drawn(*other)
    assert correlation(first, second) < CHANCE
    for shift in range(1, 65):  # nor is one a later stretch of the other
        assert correlation(first[shift:], second[:-shift]) < 1.2 * CHANCE


def test_the_steps_of_one_seed_do_not_correlate():
    @tf.function(jit_compile=True)
    def steps():
        seeds = tf.stack([tf.fill([20_000], 7), tf.range(20_000)], axis=1)
        return tf.map_fn(lambda seed: uniform((4,), seed), seeds, fn_output_signature=tf.float32)

    at_one_place = steps().numpy()
    for place in at_one_place.T:
        assert abs(place.mean() - 0.5) < 5 * np.sqrt(1 / 12 / len(place))
        assert correlation(place[:-1], place[1:]) < 5 / np.sqrt(len(place))


def test_the_bits_are_the_same_eager_in_a_graph_and_under_xla():
    seed = tf.constant([5, 6])
    eager = uniform((7, 11), seed)
    for xla in (False, True):
        compiled = tf.function(lambda seed: uniform((7, 11), seed), jit_compile=xla)
        assert compiled(seed).numpy().tobytes() == eager.numpy().tobytes()
    by_shape = uniform(tf.constant([7, 11]), seed)
    assert by_shape.numpy().tobytes() == eager.numpy().tobytes()


def cheaply(layer, x):
    @tf.function(jit_compile=True)
    def call():
        with cheap_random():
            return layer(x, training=True)

    return call


@pytest.mark.parametrize("rate", [0.1, 0.5, 0.8])
def test_dropout_keeps_its_rate_and_scales(rate):
    call = cheaply(keras.layers.Dropout(rate, seed=1), tf.ones((400, 500)))
    first, second = call().numpy(), call().numpy()
    for kept in (first, second):
        assert abs((kept != 0).mean() - (1 - rate)) < 5 * np.sqrt(rate * (1 - rate) / kept.size)
        assert kept[kept != 0] == pytest.approx(1 / (1 - rate), rel=1e-6)
    assert correlation(first.ravel(), second.ravel()) < 5 / np.sqrt(first.size)


def test_gaussian_noise_is_normal_and_finite():
    call = cheaply(keras.layers.GaussianNoise(0.5, seed=1), tf.zeros((400, 500)))
    noise = call().numpy().ravel()
    assert np.isfinite(noise).all()
    assert abs(noise.mean()) < 5 * 0.5 / np.sqrt(noise.size)
    assert noise.std() == pytest.approx(0.5, rel=0.01)
    assert stats.kstest(noise / 0.5, "norm").pvalue > 1e-4
    assert not np.array_equal(call().numpy().ravel(), noise)


@pytest.mark.parametrize("end", [0.0, 1 - 2.0**-24])
def test_the_ends_of_the_hash_give_finite_normal_numbers(monkeypatch, end):
    monkeypatch.setattr(
        randomness, "uniform", lambda shape, seed: tf.fill(shape, tf.cast(seed[0], tf.float32))
    )

    @tf.function(jit_compile=True)
    def number(seed):
        with cheap_random():
            return tf.random.stateless_normal((1,), seed)[0]

    assert 5 < abs(float(number(tf.constant([end, 0.0])))) < 6


def test_whole_numbers_are_left_to_tensorflow():
    options = {"minval": 0, "maxval": 9, "dtype": tf.int32}
    expected = tf.random.stateless_uniform((50,), [1, 2], **options)
    with cheap_random():
        found = tf.random.stateless_uniform((50,), [1, 2], **options)
        floats = tf.random.stateless_uniform((5000,), [1, 2], -2.0, 4.0).numpy()
    assert found.numpy().tobytes() == expected.numpy().tobytes()
    assert (floats.min() >= -2, floats.max() < 4) == (True, True)
    assert abs(floats.mean() - 1) < 0.15


LAYERS = {
    "dropout": (lambda: keras.layers.Dropout(0.4, seed=3), (12, 5, 7)),
    "noise_shape": (lambda: keras.layers.Dropout(0.4, noise_shape=(None, 1, 7), seed=3), (12, 5, 7)),
    "the same for all examples": (
        lambda: keras.layers.Dropout(0.4, noise_shape=(1, 5, 7), seed=3),
        (12, 5, 7),
    ),
    "spatial": (lambda: keras.layers.SpatialDropout2D(0.4, seed=3), (12, 4, 4, 6)),
    "noise": (lambda: keras.layers.GaussianNoise(0.5, seed=3), (12, 5, 7)),
    "gaussian dropout": (lambda: keras.layers.GaussianDropout(0.4, seed=3), (12, 5, 7)),
}


@pytest.mark.parametrize("replicas", [2, 3])
@pytest.mark.parametrize("name", list(LAYERS))
def test_replicas_together_draw_what_one_device_does(name, replicas):
    make, shape = LAYERS[name]
    x = tf.constant(np.random.default_rng(0).uniform(1, 2, shape).astype(np.float32))
    share = shape[0] // replicas

    @tf.function
    def one(layer):
        return layer(x, training=True)

    @tf.function
    def part(layer, replica):
        rows = tf.ensure_shape(x[replica * share : (replica + 1) * share], (share, *shape[1:]))
        with shared_random(replicas, share, lambda: replica):
            return layer(rows, training=True)

    expected = one(make()).numpy()
    parts = [part(make(), tf.constant(replica)).numpy() for replica in range(replicas)]
    assert np.concatenate(parts).tobytes() == expected.tobytes()
    assert not np.array_equal(expected, x)
    if name != "the same for all examples":
        mine, theirs = (part_ / x[: len(part_)].numpy() for part_ in parts[:2])
        assert not np.allclose(mine, theirs)


@pytest.mark.parametrize("replacement", [cheap_random, lambda: shared_random(2, 4, lambda: 0)])
def test_tensorflows_functions_come_back(replacement):
    before = [getattr(module, name) for module, name in REPLACED]
    with replacement():
        inside = [getattr(module, name) for module, name in REPLACED]
    assert inside[0] is not before[0]
    assert inside[3] is not before[3]
    assert all(getattr(module, name) is old for (module, name), old in zip(REPLACED, before, strict=True))
    with pytest.raises(RuntimeError, match="on the way"), replacement():
        raise RuntimeError("on the way")
    assert all(getattr(module, name) is old for (module, name), old in zip(REPLACED, before, strict=True))


@pytest.mark.parametrize("xla", [True, False])
def test_two_steps_of_the_loop_drop_other_inputs(digits, xla):
    """From a kernel of zeros one step of SGD moves the rows of inputs that were kept."""
    model = ModelConfig(build="tests.training.networks:dropped_inputs")
    setup = trainer(digits, model, optimizer="sgd", batch_size=1, learning_rate=0.1, xla=xla)
    begin(setup)
    order = BatchOrder(7, len(digits.train), 1)
    kept = []
    for step in range(2):
        weights = setup.weights()
        setup.set_weights(weights | {"model/output/kernel": np.zeros_like(weights["model/output/kernel"])})
        setup.loop.run(step, step + 1, order)
        kept.append(setup.weights()["model/output/kernel"].any(axis=1))
    lit = digits.train.x[order.batches(0, 2).ravel()].reshape(2, -1) > 0
    assert not (kept[0] & ~lit[0]).any()
    for mask, pixels in zip(kept, lit, strict=True):
        assert 0.2 < mask.sum() / pixels.sum() < 0.8
    both = lit[0] & lit[1]
    assert both.sum() > 15
    assert not np.array_equal(kept[0][both], kept[1][both])


def test_replicas_that_wait_for_each_other_leave_tensorflow_as_it_was(digits):
    """Batch normalization over all replicas lets their threads take turns in mid-trace."""
    before = [getattr(module, name) for module, name in REPLACED]
    model = ModelConfig(build="tests.training.networks:with_dropout")
    trainer(digits, model, strategy="mirrored", xla=False)
    assert all(getattr(module, name) is old for (module, name), old in zip(REPLACED, before, strict=True))


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32"])
def test_uniform_numbers_of_16_bits_stay_below_one(dtype):
    with cheap_random():
        drawn = tf.random.stateless_uniform([COUNT], [1, 2], dtype=dtype)
    assert drawn.dtype == dtype
    assert float(tf.reduce_max(drawn)) < 1
    assert float(tf.reduce_mean(tf.cast(drawn, "float32"))) == pytest.approx(0.5, abs=0.005)
