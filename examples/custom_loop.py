"""A training loop of your own, a GradientTape without `fit` and callbacks, around prune and rewind.

Masks hold by themselves: the loop is the one that it would be without them. It printed:

    Round 0: 100.0% of the weights, validation 98.0%
    Round 1:  62.7% of the weights, validation 97.5%
    Round 2:  39.8% of the weights, validation 98.0%
    Round 3:  25.6% of the weights, validation 98.0%
    Round 4:  16.7% of the weights, validation 96.0%
    Round 5:  11.1% of the weights, validation 95.0%
    Round 6:   7.6% of the weights, validation 93.5%
    The last ticket has 560 weights; the plain model has 6,840 zeros.
"""

import argparse
import tempfile

import keras
import tensorflow as tf
from keras import ops

import tf_lottery as lottery
from tf_lottery.data import digits

parser = argparse.ArgumentParser()
parser.add_argument("--small", action="store_true", help="a few steps and rounds, for the tests")
small = parser.parse_args().small
steps, rounds, rewind_at = (60, 2, 20) if small else (1000, 6, 100)

data = digits.load()
x_train, y_train = data.x_train[:1200], data.y_train[:1200]
x_val, y_val = data.x_train[1200:], data.y_train[1200:]

keras.utils.set_random_seed(0)
model = lottery.make_prunable(
    keras.Sequential(
        [
            keras.Input((8, 8)),
            keras.layers.Flatten(),
            keras.layers.Dense(100, "relu", name="hidden"),
            keras.layers.Dense(10, name="output"),
        ]
    )
)
optimizer = keras.optimizers.Adam(1e-3)
optimizer.build(model.trainable_variables)
loss_of = keras.losses.SparseCategoricalCrossentropy(from_logits=True)


@tf.function(reduce_retracing=True)
def step(x, y):
    """Take one step of training."""
    with tf.GradientTape() as tape:
        loss = loss_of(y, model(x, training=True))
    optimizer.apply(tape.gradient(loss, model.trainable_variables), model.trainable_variables)
    return loss


def batches(first):
    """Return the batches after so many steps, the same ones in each round."""
    pairs = tf.data.Dataset.from_tensor_slices((x_train, y_train))
    return pairs.shuffle(1200, seed=0).batch(64, drop_remainder=True).repeat().take(steps).skip(first)


with tempfile.TemporaryDirectory() as directory:
    points = lottery.RewindManager(directory)
    for round in range(rounds + 1):
        first = 0
        if round:
            lottery.prune(model, rate=0.4, layer_rates={"output": 0.2})
            points.restore(rewind_at, model, optimizer)  # survivors go back, and the optimizer with them
            ticket = lottery.Ticket.of(model, {"rewind_to": f"{rewind_at}it"})
            first = rewind_at
        for done, (x, y) in enumerate(batches(first), start=first + 1):
            step(x, y)
            if not round and done == rewind_at:
                points.save(rewind_at, model, optimizer)
        accuracy = float(ops.mean(ops.argmax(model(x_val), -1) == y_val))
        print(f"Round {round}: {1 - lottery.sparsity(model):6.1%} of the weights, validation {accuracy:.1%}")

plain = lottery.strip(model)  # no masks; the zeros are in its kernels
zeros = sum(int((layer.kernel.numpy() == 0).sum()) for layer in plain.layers if hasattr(layer, "kernel"))
kept = sum(int(mask.sum()) for mask in ticket.masks.values())
print(f"The last ticket has {kept:,} weights; the plain model has {zeros:,} zeros.")
