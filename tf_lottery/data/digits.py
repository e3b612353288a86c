"""The 8 x 8 digits that come with scikit-learn: 1,797 examples (the test part of UCI optdigits)."""

import numpy as np

from tf_lottery.data.examples import Examples

TEST_EXAMPLES = 397


def load() -> Examples:
    """Return the digits, scaled to [0, 1] and of shape (n, 8, 8): 1,400 to train and 397 to test.

    scikit-learn defines no test set, so the split is a fixed permutation.
    """
    from sklearn.datasets import load_digits

    bunch = load_digits()
    order = np.random.default_rng(0).permutation(len(bunch.target))
    x = (bunch.images[order] / 16).astype(np.float32)
    y = bunch.target[order].astype(np.int32)
    train, test = slice(TEST_EXAMPLES, None), slice(TEST_EXAMPLES)
    return Examples(x[train], y[train], x[test], y[test], source="scikit-learn's wheel")
