import functools
import inspect

import keras
import numpy as np
import pytest
from keras import layers

import tf_lottery as lottery
from tests.search.models import TRAIN, small
from tf_lottery.callbacks import GradualPruning, RewindSnapshot, SparsityLogger
from tf_lottery.training import state as states

WEIGHTS = {"hidden/kernel": 640, "output/kernel": 100}


class Masks(keras.callbacks.Callback):
    """The masks after each step, and whether all that they prune is zero."""

    def __init__(self):
        super().__init__()
        self.seen, self.zeros = [], []

    def on_train_batch_end(self, batch, logs=None):
        masks = lottery.get_masks(self.model)
        kernels = {path: self.model.get_layer(path.split("/")[0]).layer.kernel.numpy() for path in masks}
        self.seen.append(masks)
        self.zeros.append(all(not kernels[p][~mask].any() for p, mask in masks.items()))

    def remaining(self):
        return [sum(int(mask.sum()) for mask in masks.values()) for masks in self.seen]


@functools.cache
def shared():
    """A model that is traced once, and its state when it was new."""
    model = lottery.make_prunable(small())
    return model, lottery.get_masks(model), states.capture(states.model_variables(model))


def trained(pruning, epochs=3, before=(), after=(), **compile):
    model, ones, start = shared()
    lottery.set_masks(model, ones)
    states.restore(states.model_variables(model), start)
    if compile:
        model = lottery.make_prunable(small())
        model.compile("adam", "sparse_categorical_crossentropy", **compile)
    masks = Masks()
    model.fit(*TRAIN, epochs=epochs, callbacks=[*before, pruning, masks, *after], verbose=0)
    return model, masks


@pytest.mark.parametrize("cls", [GradualPruning, RewindSnapshot, SparsityLogger])
def test_each_class_is_shorter_than_eighty_lines(cls):
    assert len(inspect.getsource(cls).splitlines()) < 80


@pytest.mark.parametrize(("final", "end"), [(0.9, 12), (0.37, 11), (0.999, 7), (1 / 3, 5)])
def test_the_final_sparsity_is_exact_layer_by_layer(final, end):
    model, masks = trained(
        GradualPruning(final, end, frequency=2, exclude=() if final < 0.99 else ("output/kernel",))
    )
    for path, mask in lottery.get_masks(model).items():
        expected = 0 if final > 0.99 and path == "output/kernel" else round(final * mask.size)
        assert np.count_nonzero(~mask) == expected
    assert all(masks.zeros)


def test_the_schedule_is_the_polynomial_and_nothing_comes_back():
    _, masks = trained(GradualPruning(0.8, end_step=10, begin_step=2, frequency=4, initial_sparsity=0.2))
    after = {}
    for step in (2, 6, 10):
        sparsity = 0.8 + (0.2 - 0.8) * (1 - (step - 2) / 8) ** 3
        after[step] = sum(size - round(sparsity * size) for size in WEIGHTS.values())
    expected = [740] + [after[2]] * 4 + [after[6]] * 4 + [after[10]] * 3
    assert masks.remaining() == expected
    for first, second in zip(masks.seen, masks.seen[1:], strict=False):
        assert not any((second[path] & ~first[path]).any() for path in first)
    assert all(masks.zeros)


def test_weights_compete_over_the_whole_model_where_scope_is_global():
    model, _ = trained(GradualPruning(0.5, end_step=6, frequency=3, scope="global"))
    assert sum(int(mask.sum()) for mask in lottery.get_masks(model).values()) == 370
    assert lottery.get_masks(model)["hidden/kernel"].sum() != 320


def test_an_end_within_steps_taken_at_once_is_reached():
    _, masks = trained(GradualPruning(0.5, end_step=6, frequency=5), steps_per_execution=4)
    assert masks.remaining() == [740, 370, 370]


@pytest.mark.parametrize("order", ["before", "after"])
@pytest.mark.parametrize("save_freq", ["epoch", 3])
def test_a_checkpoint_holds_exact_zeros_and_the_masks_that_belong_to_them(tmp_path, order, save_freq):
    keep = keras.callbacks.ModelCheckpoint(str(tmp_path / "{epoch}.keras"), save_freq=save_freq)
    trained(GradualPruning(0.8, end_step=12, frequency=1), **{order: [keep]})
    files = sorted(tmp_path.iterdir())
    assert len(files) == 3
    densities = []
    for file in files:
        model = keras.models.load_model(file)
        for path, mask in lottery.get_masks(model).items():
            kernel = model.get_layer(path.split("/")[0]).layer.kernel.numpy()
            assert ((kernel != 0) == mask).all()
        densities.append(1 - lottery.sparsity(model))
    assert sorted(densities, reverse=True) == densities
    assert len(set(densities)) == 3


@pytest.mark.parametrize(
    ("numbers", "received"),
    [
        ({"final_sparsity": 1}, "0.0 and 1"),
        ({"final_sparsity": 0}, "0.0 and 0"),
        ({"final_sparsity": float("nan")}, "0.0 and nan"),
        ({"final_sparsity": "x"}, "'x'"),
        ({"initial_sparsity": 0.9}, "0.9 and 0.5"),
        ({"initial_sparsity": -0.1}, "-0.1 and 0.5"),
        ({"end_step": 0}, "0, 0 and 100"),
        ({"begin_step": 9}, "9, 9 and 100"),
        ({"begin_step": -1}, "-1, 9 and 100"),
        ({"frequency": 0}, "0, 9 and 0"),
        ({"frequency": 1.5}, "0, 9 and 1.5"),
        ({"criterion": "gradient"}, "'gradient' and 'layer'"),
        ({"scope": "model"}, "'magnitude' and 'model'"),
    ],
)
def test_numbers_that_make_no_schedule(numbers, received):
    with pytest.raises(lottery.LotteryError) as caught:
        GradualPruning(**{"final_sparsity": 0.5, "end_step": 9} | numbers)
    assert (
        str(caught.value).endswith(f"Received: {received}")
        or received in str(caught.value).split("Received: ")[1]
    )
    assert "\n" not in str(caught.value)


def test_a_plain_model_and_unknown_kernels_are_refused_before_they_are_trained():
    before = small()
    weights = before.get_weights()
    with pytest.raises(lottery.LotteryError, match="make_prunable"):
        before.fit(*TRAIN, callbacks=[GradualPruning(0.5, 4)], verbose=0)
    assert all((a == b).all() for a, b in zip(before.get_weights(), weights, strict=True))
    with pytest.raises(lottery.LotteryError, match="Received: 'hiden/kernel'"):
        trained(GradualPruning(0.5, 4, exclude=("hiden/kernel",)))


def test_layers_named_like_each_other_keep_their_own_counts():
    model = keras.Sequential([keras.Input((64,)), *(layers.Dense(8) for _ in range(3)), layers.Dense(10)])
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    model = lottery.make_prunable(model)
    model.fit(*TRAIN, epochs=1, callbacks=[GradualPruning(0.75, 4, frequency=1)], verbose=0)
    assert [int(mask.sum()) for mask in lottery.get_masks(model).values()] == [128, 16, 16, 20]
