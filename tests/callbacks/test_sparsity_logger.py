import keras
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorflow import make_ndarray

import tf_lottery as lottery
from tests.search.models import TRAIN, small
from tf_lottery.callbacks import SparsityLogger


class Prune(keras.callbacks.Callback):
    def on_epoch_begin(self, epoch, logs=None):
        lottery.prune(self.model, rate=0.5)


def read(directory):
    """Tag -> [(step, value)], as TensorBoard reads it."""
    found = EventAccumulator(str(directory))
    found.Reload()
    return {
        tag: [(event.step, float(make_ndarray(event.tensor_proto))) for event in found.Tensors(tag)]
        for tag in found.Tags()["tensors"]
    }


def test_tensorboard_reads_the_sparsity_after_each_epoch(tmp_path):
    model = lottery.make_prunable(small())
    logger = SparsityLogger(tmp_path, first_epoch=10)
    history = model.fit(*TRAIN, epochs=2, callbacks=[Prune(), logger], verbose=0).history
    assert history["sparsity"] == [0.5, 0.75]
    every = [(10, 0.5), (11, 0.75)]
    assert read(tmp_path) == {
        "sparsity": every,
        "sparsity of all parameters": [(10, pytest.approx(370 / 760)), (11, pytest.approx(555 / 760))],
        "sparsity by kernel/hidden/kernel": every,
        "sparsity by kernel/output/kernel": every,
    }


def test_beside_the_curves_of_keras_and_over_several_fits(tmp_path):
    model = lottery.make_prunable(small())
    for first in (0, 1):
        board, logger = keras.callbacks.TensorBoard(str(tmp_path)), SparsityLogger(tmp_path, first)
        model.fit(*TRAIN, callbacks=[board, Prune(), logger], verbose=0)
    seen = {}
    for file in sorted(tmp_path.glob("events*")):
        seen |= dict(read(file).get("sparsity", []))
    assert seen == {0: 0.5, 1: 0.75}
    assert (tmp_path / "train").exists()


def test_a_plain_model_is_refused(tmp_path):
    with pytest.raises(lottery.LotteryError, match="make_prunable"):
        small().fit(*TRAIN, callbacks=[SparsityLogger(tmp_path / "new")], verbose=0)
    assert not (tmp_path / "new").exists()
