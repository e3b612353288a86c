"""A recurrent network."""

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


def narrower(weights, seed):
    """Train a dense network with at most as many weights in its kernels; return its validation loss."""
    outputs = len(characters) + 1
    units = max(u for u in range(1, 129) if u == 1 or u * (3 * 32 + 3 * u + outputs) <= weights)
    keras.utils.set_random_seed(seed)
    fitted = build(units).fit(*train, validation_data=validation, epochs=epochs, batch_size=BATCH, verbose=0)
    return min(fitted.history["val_loss"])


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
