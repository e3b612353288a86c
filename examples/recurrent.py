"""A GRU predicts the next character of reviews: tickets ahead of their controls, behind the dense network.

2,000 sentences to train on (Kotzias et al. 2015), 500 for validation, 500 for the test; 72,832 weights in
kernels (the embedding is left out), 8 epochs, rewound to the initial weights. Controls: the tickets' masks
with other weights, masks shuffled within each kernel, and a dense GRU of fewer units with as many weights. It
printed, besides three tables of a search and the test's bits:

    Validation, bits per character, mean of 3 +- standard error:
    density          ticket   random_reinit        shuffled        narrower
     100.0%   2.514 +- 0.002   2.514 +- 0.002   2.514 +- 0.002   2.514 +- 0.002
      50.0%   2.573 +- 0.004   2.616 +- 0.006   2.669 +- 0.011   2.636 +- 0.007
      25.0%   2.665 +- 0.004   2.775 +- 0.003   2.832 +- 0.003   2.833 +- 0.007
      12.5%   2.821 +- 0.008   2.912 +- 0.004   3.000 +- 0.009   3.001 +- 0.011

So there is no winning ticket here: already at 50% the loss is more than 2% above the dense network's in two
seeds of three. Yet masks and initial weights both count, at each density: tickets are ahead of other initial
weights, these of shuffled masks and of narrower networks. 8 epochs are few: in the searches each run's best
epoch is its last, so a longer training may answer otherwise.
"""

import argparse

import keras
import numpy as np

import tf_lottery as lottery
from tf_lottery.data.sentences import load_sentences

LENGTH, BATCH = 32, 64


def build(units=128):
    """Build and compile: from characters to the logits of each one's successor."""
    layers = [
        keras.layers.Embedding(len(characters) + 1, 32, name="embedding"),
        keras.layers.GRU(units, return_sequences=True, name="gru"),
        keras.layers.Dense(len(characters) + 1, name="output"),
    ]
    model = keras.Sequential([keras.Input((LENGTH,)), *layers])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(5e-3, global_clipnorm=1.0), loss)
    return model


def pairs(texts):
    """Return pieces of the joined texts, and for each of their characters the next one."""
    codes = np.array([number.get(character, 0) for character in "\n".join(texts)])
    pieces = (len(codes) - 1) // LENGTH
    return tuple(codes[i : i + pieces * LENGTH].reshape(pieces, LENGTH) for i in (0, 1))


def fitting(weights):
    """Return how many units a dense network may have to have at most so many weights in its kernels."""
    outputs = len(characters) + 1
    return max(u for u in range(1, 129) if u == 1 or u * (3 * 32 + 3 * u + outputs) <= weights)


def narrower(weights, seed):
    """Train a dense network with as many weights; return its validation loss at the best epoch."""
    keras.utils.set_random_seed(seed)
    model = build(fitting(weights))
    history = model.fit(
        *train, validation_data=validation, epochs=epochs, batch_size=BATCH, verbose=0
    ).history
    return min(history["val_loss"])


parser = argparse.ArgumentParser()
parser.add_argument("--small", action="store_true", help="one seed, few epochs and rounds, for the tests")
parser.add_argument("--seeds", type=int, default=3)
parser.add_argument("--sentences", help="a JSON file of others")
options = parser.parse_args()
seeds, epochs, rounds = (1, 2, 1) if options.small else (options.seeds, 8, 3)

texts, _ = load_sentences(options.sentences)
order = np.random.default_rng(0).permutation(len(texts))
parts = [[texts[i] for i in part] for part in np.split(order, [len(texts) * 4 // 6, len(texts) * 5 // 6])]
characters = sorted(set("\n".join(parts[0])))
number = {character: code for code, character in enumerate(characters, start=1)}
train, validation, test = map(pairs, parts)

bits = []
for seed in range(seeds):
    arms = {"random_reinit": {}, "shuffled": {}}
    search = lottery.LotterySearch(build, rate=0.5, rounds=rounds, arms=arms, seed=seed)
    result = search.fit(*train, validation_data=validation, epochs=epochs, batch_size=BATCH)
    columns = [[run.value for run in result.arm(arm) if run.spec.round] for arm in result.arms]
    sizes = [result.ticket(round=round).masks.values() for round in range(1, rounds + 1)]
    columns.append([narrower(sum(int(mask.sum()) for mask in masks), seed) for masks in sizes])
    dense = result.rounds[0].value
    bits.append([[dense] * len(columns), *np.transpose(columns)])
    best = result.matching_round(tolerance=0.02 * dense)
    networks = [result.trained(round=round) for round in (0, best) if round is not None]
    tested = [network.evaluate(*test, verbose=0) / np.log(2) for network in networks]
    found = f"ticket of {result.densities[best]:.1%}: {tested[1]:.3f}" if best else "no ticket matches"
    print(f"Seed {seed}, bits per character of the test: dense {tested[0]:.3f}, {found}")

print(f"\nValidation, bits per character, mean of {seeds} +- standard error:")
print("density", *(f"{name:>15}" for name in (*result.arms, "narrower")))
for density, row in zip(result.densities, np.moveaxis(bits, 1, 0) / np.log(2), strict=True):
    errors = row.std(0) / max(seeds - 1, 1) ** 0.5
    print(f"{density:7.1%}", *(f"{m:7.3f} +- {e:.3f}" for m, e in zip(row.mean(0), errors, strict=True)))
