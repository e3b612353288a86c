"""Gradients of the batch that the next step trains on, absent weights included."""

import numpy as np
import tensorflow as tf

from tests.training.test_loop import begin
from tests.training.trainings import trainer
from tf_lottery.data.order import BatchOrder
from tf_lottery.layers.access import get_masks, set_masks
from tf_lottery.training.batch_gradients import BatchGradients
from tf_lottery.training.trainer import Trainer


def expected(setup: Trainer, data, rows):
    """The gradient of the mean loss, by a tape on matrices: LeNet's three Dense layers."""
    weights = setup.weights()
    names = ("hidden1", "hidden2", "output")
    kernels = [tf.constant(weights[f"model/{name}/kernel"]) for name in names]
    biases = [weights[f"model/{name}/bias"] for name in names]
    x = tf.constant(data.train.take(rows).reshape(len(rows), -1), tf.float32)
    if data.train.dtype == np.uint8:
        x /= 255
    with tf.GradientTape() as tape:
        tape.watch(kernels)
        for kernel, bias in zip(kernels[:-1], biases[:-1], strict=True):
            x = tf.nn.relu(x @ kernel + bias)
        logits = x @ kernels[-1] + biases[-1]
        loss = tf.nn.sparse_softmax_cross_entropy_with_logits(data.train.y[rows], logits)
        mean = tf.reduce_mean(loss)
    return dict(zip((f"{name}/kernel" for name in names), tape.gradient(mean, kernels), strict=True))


def test_they_are_those_of_the_next_batch_for_all_weights(digits):
    setup = trainer(digits)
    begin(setup)
    whole = get_masks(setup.model)
    masks = get_masks(setup.model)
    masks["hidden1/kernel"][::2] = False
    masks["hidden2/kernel"][::3] = False
    masks["output/kernel"][:, 3] = False
    set_masks(setup.model, masks)
    order = BatchOrder(7, len(digits.train), 60)
    measured = BatchGradients(setup, order)
    found = {}
    for step in (0, 41, 5):
        found[step] = measured(step, setup.weights())
        by_hand = expected(setup, digits, order.batches(step, step + 1)[0])
        for path, value in by_hand.items():
            np.testing.assert_allclose(found[step][path], value, rtol=1e-4, atol=1e-7)
            assert np.count_nonzero(found[step][path][~masks[path]]) > 0, "absent weights have gradients, too"
    assert any((found[0][path] != found[5][path]).any() for path in found[0]), "each step has its own batch"
    assert all((masks[path] == mask).all() for path, mask in get_masks(setup.model).items())
    weights = {name: 2 * value for name, value in setup.weights().items()}
    assert all((found[0][path] == measured(0, setup.weights())[path]).all() for path in masks)
    set_masks(setup.model, whole)
    assert any((measured(5, weights)[path] != found[5][path]).any() for path in found[5])
