"""A ticket found on MNIST, moved to Fashion-MNIST: do its masks help there?

Three networks with the same initial weights are trained on 5,000 articles of clothing: the dense one, the
ticket, and masks as dense in each layer but drawn at random. Last, a task with fewer classes: `partial=True`
leaves the output layer dense. `--small`: the digits 0 to 4, and 5 to 9. It printed three tables of a search
(best validation accuracy on MNIST at 6.3% of the weights 0.9770, 0.9802, 0.9765; dense 0.9768, 0.9762,
0.9772), and:

    Test accuracy on the other data set, 6.3% of the weights, mean of 3:
    dense         83.06%  (83.47%, 83.08%, 82.64%)
    ticket        80.95%  (80.76%, 80.54%, 81.54%)
    random masks  81.38%  (81.14%, 81.75%, 81.24%)
    Three classes: 96.77%, 6.2% of the weights.

So they don't, here: what wins on digits is no better on clothes than masks drawn at random.
"""

import argparse

import keras
import numpy as np

import tf_lottery as lottery
from tf_lottery.data import digits, fashion_mnist, mnist

parser = argparse.ArgumentParser()
parser.add_argument("--small", action="store_true", help="8 x 8 digits, few epochs and rounds, for the tests")
small = parser.parse_args().small
seeds, rounds, epochs, examples = (1, 2, 3, 400) if small else (3, 4, 10, 5000)


def part(data, labels):
    """Return the training and test examples of these labels, numbered from 0, scaled to [0, 1]."""
    scale = 255 if data.x_train.dtype == np.uint8 else 1
    pairs = []
    for x, y in ((data.x_train, data.y_train), (data.x_test, data.y_test)):
        keep = np.isin(y, labels)
        pairs.append((x[keep].astype("float32") / scale, np.searchsorted(labels, y[keep])))
    return pairs


if small:
    (source, _), (target, test) = part(digits.load(), range(5)), part(digits.load(), range(5, 10))
    (few, few_test) = part(digits.load(), range(5, 8))
else:
    (source, _), (target, test) = part(mnist.load(), range(10)), part(fashion_mnist.load(), range(10))
    (few, few_test) = part(fashion_mnist.load(), range(3))
shape, classes = source[0].shape[1:], source[1].max() + 1


def build(classes=classes):
    """Build and compile a LeNet-300-100."""
    layers = [
        keras.layers.Flatten(),
        keras.layers.Dense(300, "relu", name="hidden1"),
        keras.layers.Dense(100, "relu", name="hidden2"),
        keras.layers.Dense(int(classes), name="output"),
    ]
    model = keras.Sequential([keras.Input(shape), *layers])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile("adam", loss, metrics=["accuracy"])
    return model


def tested(model, data, test):
    """Train on the first examples of a data set, and return the accuracy on its test set."""
    model.fit(*(array[:examples] for array in data), epochs=epochs, verbose=0)
    return model.evaluate(*test, verbose=0, return_dict=True)["accuracy"]


rows = []
for seed in range(seeds):
    search = lottery.LotterySearch(build, rate=0.5, rounds=rounds, seed=seed)
    result = search.fit(*source, validation_split=0.1, epochs=epochs if small else 3, batch_size=60)
    ticket = result.ticket(round=rounds)
    random = np.random.default_rng(seed)
    shuffled = {path: random.permuted(mask, axis=None) for path, mask in ticket.masks.items()}
    networks = [result.ticket(round=kept).apply(build()) for kept in (0, rounds, 0)]
    lottery.set_masks(networks[2], shuffled)
    rows.append([tested(network, target, test) for network in networks])

print(f"\nTest accuracy on the other data set, {ticket.density:.1%} of the weights, mean of {seeds}:")
for name, column in zip(("dense", "ticket", "random masks"), np.transpose(rows), strict=True):
    print(f"{name:13} {column.mean():.2%}  ({', '.join(f'{value:.2%}' for value in column)})")
model = ticket.apply(build(classes=3), partial=True)
print(f"Three classes: {tested(model, few, few_test):.2%}, {1 - lottery.sparsity(model):.1%} of the weights.")
