"""Augmentation of training images: stateless, as a function of (seed, step) alone.

To add one, write a function `(images, seed, **options) -> images` and add a line to
`AUGMENTATIONS`; a user's own is named as `package.module:function`. Images are float32 of
shape (batch, height, width, channels) with pixels in [0, 1], or standardized where `data.standardize` is set.
The seed is an int32 tensor of shape (2,), for the `tf.random.stateless_*` functions.
"""

import inspect
from collections.abc import Callable, Mapping

import tensorflow as tf

from tf_lottery.errors import LotteryError
from tf_lottery.importing import import_function

Augment = Callable[[tf.Tensor, tf.Tensor], tf.Tensor]


def flip(images: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """Mirror each image left to right with probability 1/2."""
    mirrored = tf.random.stateless_uniform([tf.shape(images)[0]], seed) < 0.5
    return tf.where(mirrored[:, None, None, None], tf.reverse(images, [2]), images)


def pad_and_crop(images: tf.Tensor, seed: tf.Tensor, padding: int = 4) -> tf.Tensor:
    """Shift each image by up to `padding` pixels each way and fill with zeros (He et al. 2016).

    Zero is black, and the mean of the training images where they are standardized.

    Args:
        images: The images to shift.
        seed: The seed of the offsets.
        padding: The largest shift, in pixels.

    Raises:
        LotteryError: If the padding isn't an integer from 0 to the smaller side of the images.
    """
    most = min(images.shape[1:3])
    if type(padding) is not int or not 0 <= padding <= most:
        raise LotteryError(f"Expected padding from 0 to {most} pixels. Received: {padding!r}")
    batch, height, width = (tf.shape(images)[axis] for axis in range(3))
    padded = tf.pad(images, [[0, 0], [padding, padding], [padding, padding], [0, 0]])
    offsets = tf.random.stateless_uniform([batch, 2], seed, 0, 2 * padding + 1, tf.int32)
    rows = tf.gather(padded, offsets[:, :1] + tf.range(height), axis=1, batch_dims=1)
    return tf.gather(rows, offsets[:, 1:] + tf.range(width), axis=2, batch_dims=1)


AUGMENTATIONS: dict[str, Callable[..., tf.Tensor]] = {"flip": flip, "pad_and_crop": pad_and_crop}


def make_augment(settings: Mapping[str, Mapping], input_shape: tuple[int, ...]) -> Augment | None:
    """Return one function that applies all augmentations in turn, None if there are none.

    Args:
        settings: A mapping of name -> options, in the order of application, as in `data.augment`.
        input_shape: The shape of one example.

    Raises:
        LotteryError: If a name is unknown, a function can't be imported, fails, doesn't take its
            options or returns images of another shape, or the inputs aren't images.
    """
    functions = [(name, _function(name), dict(options)) for name, options in settings.items()]
    if not functions:
        return None
    if len(input_shape) != 3:
        raise LotteryError(
            f"Expected images (height, width, channels) to augment. Received: inputs of shape {input_shape}"
        )
    for name, function, options in functions:
        _try(name, function, options, input_shape)

    def augment(images: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        for index, (_, function, options) in enumerate(functions):
            own = tf.random.experimental.stateless_fold_in(seed, index)
            images = tf.ensure_shape(function(images, own, **options), images.shape)
        return images

    return augment


def _function(name: str) -> Callable[..., tf.Tensor]:
    if ":" in name:
        return import_function(name, "data.augment")
    if name not in AUGMENTATIONS:
        raise LotteryError(
            f"Expected data.augment as one of {', '.join(AUGMENTATIONS)}, or as 'package.module:function'. "
            f"Received: {name!r}"
        )
    return AUGMENTATIONS[name]


def _try(name: str, function: Callable, options: dict, input_shape: tuple[int, ...]) -> None:
    """Trace an augmentation as it will be traced later, so that code that isn't TensorFlow fails here."""
    images = tf.zeros((2, *input_shape))
    try:
        inspect.signature(function).bind(images, None, **options)
        result = tf.function(lambda images, seed: function(images, seed, **options))(
            images, tf.zeros(2, tf.int32)
        )
        received = f"{result.dtype.name} {tuple(result.shape)}"
    except Exception as error:  # a user's function may raise anything
        # TensorFlow puts the stack of calls before the error's own words, between empty lines.
        is_traced, text = str(error).startswith("in user code:"), str(error).strip()
        text = text.rpartition("\n\n")[2] if is_traced else f"{type(error).__name__}: {text}"
        received = " ".join(text.split())[:200]
    expected = f"float32 {tuple(images.shape)}"
    if received != expected:
        raise LotteryError(
            f"Expected {expected} from the augmentation {name} {options}. Received: {received}"
        )
