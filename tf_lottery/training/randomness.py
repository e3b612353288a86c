"""Random numbers inside the compiled step: cheap under XLA on a processor, and the same on
several replicas as on one.

Dropout and similar layers draw through `tf.random.stateless_*`, with seeds that Keras keeps in
variables. While a step is traced, those functions are replaced:

- Under XLA on a processor their generator costs ten times the rest of a LeNet step, since
  XLA computes it again for each consumer, number by number. A counter-based hash takes its
  place: two keyed rounds of the `lowbias32` integer mixer (Wellons 2018, "Prospecting for
  hash functions"), a few vector instructions for each number.
- With several replicas, each draws the whole batch's numbers and takes its share, so that together
  they drop what one device would if it ran as a graph, as they do.

The seeds remain Keras's own, so restoring all variables resumes a training to the last bit.
"""

import contextlib
from collections.abc import Callable, Iterator

import tensorflow as tf

_GOLDEN = 0x9E3779B9
_SIGNIFICANT_BITS = {tf.float16: 11, tf.bfloat16: 8}


@contextlib.contextmanager
def cheap_random() -> Iterator[None]:
    """Replace TensorFlow's stateless generators by a hash while a function is traced."""
    native = {name: getattr(tf.random, name) for name in ("stateless_uniform", "stateless_normal")}

    def stateless_uniform(shape, seed, minval=0, maxval=None, dtype=tf.float32, **options):
        if not tf.as_dtype(dtype).is_floating:
            return native["stateless_uniform"](shape, seed, minval, maxval, dtype, **options)
        low, high = tf.cast(minval, dtype), tf.cast(1 if maxval is None else maxval, dtype)
        drawn = uniform(shape, seed)
        if bits := _SIGNIFICANT_BITS.get(tf.as_dtype(dtype)):  # else the largest would round up to 1
            drawn = tf.floor(drawn * 2.0**bits) * 2.0**-bits
        return tf.cast(drawn, dtype) * (high - low) + low

    def stateless_normal(shape, seed, mean=0.0, stddev=1.0, dtype=tf.float32, **_):
        # Kept inside (-1, 1), at whose ends the normal would be infinite.
        centered = (2 * uniform(shape, seed) - (1 - 2**-24)) * (1 - 2**-22)
        drawn = tf.math.erfinv(centered) * 2**0.5
        return tf.cast(drawn, dtype) * tf.cast(stddev, dtype) + tf.cast(mean, dtype)

    def stateless_dropout(x, rate, seed, rng_alg=None, noise_shape=None, name=None):
        return _dropout(x, uniform(tf.shape(x) if noise_shape is None else noise_shape, seed), rate)

    with _replaced(
        stateless_uniform=stateless_uniform,
        stateless_normal=stateless_normal,
        stateless_dropout=stateless_dropout,
    ):
        yield


@contextlib.contextmanager
def shared_random(replicas: int, share: int, replica: Callable[[], tf.Tensor]) -> Iterator[None]:
    """Let each replica draw the whole batch's numbers and take its own rows.

    Enter it once around all replicas: they are traced in threads, in turns, and the functions are replaced
    for all of them.

    Args:
        replicas: The number of replicas.
        share: The examples of one replica's batch. Shapes that begin with another number are drawn as they
            are, the same on all replicas, as one device would draw them once.
        replica: A function that returns the index of the replica that is being traced.
    """
    native = {
        name: getattr(tf.random, name)
        for name in ("stateless_uniform", "stateless_normal", "stateless_truncated_normal")
    }

    def whole(draw: Callable) -> Callable:
        def drawn(shape, seed, *arguments, **options):
            static = tf.get_static_value(tf.convert_to_tensor(shape))
            if static is None or not len(static) or static[0] != share:
                return draw(shape, seed, *arguments, **options)
            rows = draw((replicas * share, *static[1:]), seed, *arguments, **options)
            first = replica() * share
            return rows[first : first + share]

        return drawn

    def stateless_dropout(x, rate, seed, rng_alg=None, noise_shape=None, name=None):
        shape = tf.shape(x) if noise_shape is None else noise_shape
        if isinstance(shape, list | tuple):  # Keras writes the input's own dimensions as tensors
            own = zip(shape, x.shape, strict=True)
            shape = [size if tf.is_tensor(given) else given for given, size in own]
        return _dropout(x, whole(native["stateless_uniform"])(shape, seed, dtype=x.dtype), rate)

    with _replaced(
        stateless_dropout=stateless_dropout, **{name: whole(draw) for name, draw in native.items()}
    ):
        yield


def uniform(shape: tf.Tensor | tuple[int, ...], seed: tf.Tensor) -> tf.Tensor:
    """Return float32 numbers in [0, 1), multiples of 2^-24, from a hash of (seed, position).

    Args:
        shape: The shape of the result.
        seed: Two integers.
    """
    count = tf.reduce_prod(shape)
    low, high = tf.unstack(tf.bitcast(tf.cast(seed, tf.int32), tf.uint32))
    first = _mix(low + _GOLDEN)
    second = _mix(high ^ first)
    counter = tf.cast(tf.range(count), tf.uint32)
    bits = _mix(_mix(counter * _GOLDEN + first) ^ second)
    return tf.reshape(tf.cast(tf.bitwise.right_shift(bits, 8), tf.float32) * 2.0**-24, shape)


def _mix(x: tf.Tensor) -> tf.Tensor:
    for shift, factor in ((16, 0x7FEB352D), (15, 0x846CA68B)):
        x = (x ^ tf.bitwise.right_shift(x, shift)) * factor
    return x ^ tf.bitwise.right_shift(x, 16)


def _dropout(x: tf.Tensor, drawn: tf.Tensor, rate: float) -> tf.Tensor:
    # As tf.nn.experimental.stateless_dropout: dropped where the number is below the rate.
    scaled = x * tf.cast(1 / (1 - rate), x.dtype)
    return tf.where(drawn >= tf.cast(rate, drawn.dtype), scaled, tf.zeros_like(scaled))


@contextlib.contextmanager
def _replaced(stateless_dropout: Callable, **functions: Callable) -> Iterator[None]:
    places = [(tf.random, name, function) for name, function in functions.items()]
    places.append((tf.nn.experimental, "stateless_dropout", stateless_dropout))
    before = [getattr(module, name) for module, name, _ in places]
    for module, name, function in places:
        setattr(module, name, function)
    try:
        yield
    finally:
        for (module, name, _), function in zip(places, before, strict=True):
            setattr(module, name, function)
