import numpy as np

from tf_lottery.config import DataConfig
from tf_lottery.data import digits, sources


def test_all_examples_of_scikit_learn_are_there_once():
    from sklearn.datasets import load_digits

    found = digits.load()
    assert (found.x_train.shape, found.x_test.shape) == ((1400, 8, 8), (397, 8, 8))
    pixels = np.concatenate([found.x_train, found.x_test]).reshape(1797, -1)
    labels = np.concatenate([found.y_train, found.y_test])
    bunch = load_digits()
    ours = sorted(zip((16 * pixels).tolist(), labels.tolist(), strict=True))
    theirs = sorted(zip(bunch.data.tolist(), bunch.target.tolist(), strict=True))
    assert ours == theirs


def test_inputs_are_scaled_to_one_and_all_classes_are_in_both_parts():
    found = digits.load()
    assert (found.x_train.min(), found.x_train.max(), found.x_train.dtype) == (0, 1, np.float32)
    assert set(found.y_train) == set(found.y_test) == set(range(10))


def test_the_test_set_is_fixed():
    assert digits.load().digest == digits.load().digest
    assert sources.load(DataConfig(name="digits")).digest == digits.load().digest
