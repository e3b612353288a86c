"""Augmentations that the tests name in configs."""

import tensorflow as tf


def darken(images, seed, most=0.5):
    return images * tf.random.stateless_uniform([tf.shape(images)[0], 1, 1, 1], seed, 1 - most, 1)


def smaller(images, seed):
    return images[:, 1:]


def as_bytes(images, seed):
    return tf.cast(images * 255, tf.uint8)


def raises(images, seed):
    raise RuntimeError("no augmentation\ntoday")


def of_numpy(images, seed):
    return tf.constant(images.numpy()[:, ::-1])
