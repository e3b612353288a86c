"""From a search to files that serve: the ticket found, its dead units removed, exported, run.

It prints two tables: the ticket as a packed SavedModel, its weights to the last bit; and without its dead
units as an int8 LiteRT file.
"""

import argparse
import tempfile
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from sklearn.datasets import load_digits

import tf_lottery as lottery

parser = argparse.ArgumentParser()
parser.add_argument("--small", action="store_true", help="2 epochs, for the tests")
small = parser.parse_args().small

digits = load_digits()
order = np.random.default_rng(0).permutation(len(digits.target))
x_train, x_val, x_test = np.split(digits.data[order].astype("float32") / 16, [1200, 1400])
y_train, y_val, y_test = np.split(digits.target[order], [1200, 1400])

keras.utils.set_random_seed(0)
layers = [keras.layers.Dense(300, "relu"), keras.layers.Dense(100, "relu"), keras.layers.Dense(10)]
model = keras.Sequential([keras.Input((64,)), *layers])
loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
model.compile("adam", loss, metrics=["accuracy"])
result = lottery.LotterySearch(model, rate=0.5, rounds=2 if small else 5, controls=0, verbose=0).fit(
    x_train, y_train, validation_data=(x_val, y_val), epochs=2 if small else 20, verbose=0
)
ticket = result.trained(tolerance=0.02)
smaller = lottery.compact(ticket)
print("Units before and after:", smaller.units or "none could go")

with tempfile.TemporaryDirectory() as directory:
    data = {"test_data": (x_test, y_test), "train_data": (x_train, y_train)}
    packed, phone = Path(directory, "digits", "1"), Path(directory, "digits.tflite")
    print(lottery.export(ticket, packed, "savedmodel", "packed", **data))
    print()
    # Two of 397 test examples are half a point.
    print(lottery.export(smaller.model, phone, "litert", "int8", accuracy_loss=0.01, **data))

    serve = tf.saved_model.load(str(packed)).signatures["serving_default"]
    answers = serve(inputs=tf.constant(x_test))["outputs"]
    print(f"\nServed test accuracy: {np.mean(np.argmax(answers, 1) == y_test):.4f}")
