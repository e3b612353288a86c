"""A regression on a table: scikit-learn's diabetes, 442 patients, monitored by the mean absolute error.

Each ticket has three controls: its mask, with weights drawn afresh. It printed a table of 25 runs, and:

    Dense network: val_mae 0.5336 (epoch 5).
    * Sparsest matching ticket: round 4, 12.9% of the weights (352 of 2,720): val_mae 0.5366 (epoch 22).
    The same mask, randomly reinitialized: 0.549 (mean of 3).
    Test, dense network: off by 42.7 on average.
    Test, sparsest matching ticket: off by 43.7 on average.
    Test, always the mean of the training targets: off by 58.9.

So an eighth of the weights does, on so small a table, and it isn't the initial weights that win: down to 22%
of the weights all controls had a lower error than the ticket.
"""

import argparse

import keras
from sklearn.datasets import load_diabetes
from sklearn.model_selection import train_test_split

import tf_lottery as lottery

parser = argparse.ArgumentParser()
parser.add_argument("--small", action="store_true", help="a few epochs and rounds, for the tests")
small = parser.parse_args().small

table, progression = load_diabetes(return_X_y=True)
x_train, x_test, y_train, y_test = train_test_split(table, progression, test_size=100, random_state=0)
normalize = keras.layers.Normalization()
normalize.adapt(x_train)
mean, spread = y_train.mean(), y_train.std()


def build():
    """Build and compile a network for standardized targets."""
    model = keras.Sequential(
        [
            keras.Input((10,)),
            keras.layers.Dense(64, "relu", name="hidden1"),
            keras.layers.Dense(32, "relu", name="hidden2"),
            keras.layers.Dense(1, name="output"),
        ]
    )
    model.compile(keras.optimizers.Adam(3e-3), "mse", metrics=["mae"])
    return model


search = lottery.LotterySearch(
    build, rate=0.4, rounds=2 if small else 6, monitor="val_mae", controls=1 if small else 3, verbose=0
)
result = search.fit(
    normalize(x_train).numpy(),
    (y_train - mean) / spread,
    validation_split=0.25,
    epochs=12 if small else 40,
)
tolerance = 0.01  # in units of val_mae
print(result.summary(tolerance))
best = result.matching_round(tolerance)
for name, round in {"dense network": 0, "sparsest matching ticket": best}.items():
    if round is not None:
        guess = result.trained(round=round).predict(normalize(x_test), verbose=0)[:, 0] * spread + mean
        print(f"Test, {name}: off by {abs(guess - y_test).mean():.1f} on average.")
print(f"Test, always the mean of the training targets: off by {abs(mean - y_test).mean():.1f}.")
