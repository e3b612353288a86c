import functools

import keras
import pytest

import tf_lottery as lottery
from tests.search.models import TRAIN, Spy, same, state, with_state
from tf_lottery.callbacks import RewindSnapshot
from tf_lottery.training import state as states

PER_EPOCH = 4


class Whole(keras.callbacks.Callback):
    """Model and optimizer after each step, all of them."""

    def __init__(self):
        super().__init__()
        self.after = []

    def _capture(self):
        optimizer = states.optimizer_variables(self.model.optimizer)
        self.after.append(states.capture(states.model_variables(self.model) | optimizer))

    def on_train_begin(self, logs=None):
        self._capture()

    def on_train_batch_end(self, batch, logs=None):
        self._capture()


@functools.cache
def shared():
    """Traced once: what it has learned doesn't matter."""
    return lottery.make_prunable(with_state())


def trained(step, directory, model=None, epochs=3, x=None, **settings):
    model = model or shared()
    snapshot, seen = RewindSnapshot(step, directory, **settings), Whole()
    data = TRAIN if x is None else (x,)
    model.fit(*data, epochs=epochs, callbacks=[snapshot, seen], verbose=0)
    return model, snapshot, seen


@pytest.mark.parametrize(
    ("point", "step"),
    [("0it", 0), (0, 0), ("3it", 3), (5, 5), ("1ep", 4), ("2ep", 8), ("12it", 12), ("3ep", 12)],
)
def test_the_state_is_exactly_that_after_the_step(tmp_path, point, step):
    _, snapshot, seen = trained(point, tmp_path)
    kept = lottery.RewindManager(tmp_path).load(step, snapshot.digest)
    assert same(kept, seen.after[step])
    assert [path.name for path in tmp_path.iterdir()] == [f"{step}it.npz"]


def test_restored_it_trains_on_as_it_did(tmp_path):
    model, snapshot, seen = trained("2ep", tmp_path, lottery.make_prunable(with_state()), epochs=2)
    assert lottery.RewindManager(tmp_path).restore(8, model, model.optimizer) == snapshot.digest
    assert same(
        states.capture(states.model_variables(model)),
        {name: value for name, value in seen.after[8].items() if name.startswith("model/")},
    )
    assert int(model.optimizer.iterations) == 8


def test_steps_go_on_over_several_fits(tmp_path):
    model, *_ = trained("0it", tmp_path / "first", lottery.make_prunable(with_state()), epochs=1)
    _, snapshot, seen = trained("2ep", tmp_path / "second", model, epochs=2, first_step=PER_EPOCH)
    assert same(lottery.RewindManager(tmp_path / "second").load(8), seen.after[4])
    assert int(seen.after[4][next(n for n in seen.after[4] if n.endswith("iteration"))]) == 8
    assert snapshot.digest


def test_one_object_serves_several_fits(tmp_path):
    model = lottery.make_prunable(with_state())
    before, snapshot = state(model), RewindSnapshot("0it", tmp_path)
    for _ in range(2):
        model.fit(*TRAIN, callbacks=[snapshot], verbose=0)
        with pytest.raises(lottery.LotteryError, match="rewind points never change"):
            model.fit(*TRAIN, callbacks=[snapshot], verbose=0)
        lottery.RewindManager(tmp_path).restore(0, model, model.optimizer)
        assert same(state(model), before)


def test_epochs_of_unknown_length(tmp_path):
    import tensorflow as tf

    data = tf.data.Dataset.from_tensor_slices(TRAIN).batch(32).filter(lambda x, y: True)
    for point, step in (("0ep", 0), ("1ep", 4), ("2ep", 8)):
        _, _, seen = trained(point, tmp_path / point, x=data, epochs=2)
        # At an epoch's end Keras has counted the step for which there was no data.
        kept = {n: v for n, v in seen.after[step].items() if "other" not in n and "iteration" not in n}
        found = lottery.RewindManager(tmp_path / point).load(step)
        assert same({name: found[name] for name in kept}, kept)


@pytest.mark.parametrize(("taken", "before", "whole"), [(2, 4, "4it"), (3, 3, "6it")])
def test_a_step_within_steps_that_keras_takes_at_once_is_refused(tmp_path, taken, before, whole):
    model = lottery.make_prunable(with_state())
    model.compile("adam", "sparse_categorical_crossentropy", steps_per_execution=taken)
    with pytest.raises(
        lottery.LotteryError, match=f"steps_per_execution.*Received: 5it, between steps {before} and "
    ) as caught:
        trained("5it", tmp_path, model)
    assert "\n" not in str(caught.value)
    trained(whole, tmp_path, model, epochs=2)


@pytest.mark.parametrize(("point", "first"), [("13it", 0), ("4ep", 0), ("2it", 4)])
def test_a_step_that_is_not_reached_is_named(tmp_path, point, first):
    with pytest.raises(
        lottery.LotteryError, match=f"within the training, {12 + first} steps. Received: {point}$"
    ):
        trained(point, tmp_path, first_step=first)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("step", [-1, 1.5, "x", "-1it", "1", True, None])
def test_steps_that_are_none(tmp_path, step):
    with pytest.raises(lottery.LotteryError, match="Expected steps such as"):
        RewindSnapshot(step, tmp_path)


def test_it_does_not_change_the_training(tmp_path):
    ends = []
    for callbacks in ([], [RewindSnapshot("2it", tmp_path)]):
        keras.utils.set_random_seed(3)
        model = lottery.make_prunable(with_state())
        model.fit(*TRAIN, callbacks=[*callbacks, Spy()], verbose=0)
        ends.append(state(model))
    assert same(*ends)
