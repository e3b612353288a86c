"""The engine that trains scores: weights stay, all state is kept, replicas agree."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.training.test_loop import same_bits
from tests.training.trainings import Calling, trainer
from tf_lottery.config import ModelConfig
from tf_lottery.data.order import BatchOrder
from tf_lottery.errors import LotteryError
from tf_lottery.method.recipe import Supermask
from tf_lottery.training.supermask import SupermaskEngine

KINDS = ("edge_popup", "learned", "signed")
DROPOUT = ModelConfig(build="tests.training.networks:with_dropout")
SLOW = pytest.mark.slow
CONVOLUTIONAL = ModelConfig(build="tests.training.networks:convolutional")
SETTINGS = {"xla": False, "optimizer": "adam", "learning_rate": 0.02}


def made(digits, kind, model=DROPOUT, share=3, **training):
    """A trainer at weights of its own, and an engine that trains masks of them."""
    setup = trainer(digits, model, **SETTINGS | training)
    setup.set_weights(setup.initial_weights(4))
    return setup, engine_of(setup, digits, kind, share)


def engine_of(setup, digits, kind, share=3, **settings):
    counts = {(path,): mask.size // share for path, mask in setup.masks().items()}
    supermask = Supermask(kind=kind, seed=6, **settings)
    return SupermaskEngine(setup, setup._parts[1], digits, supermask, counts if kind == "edge_popup" else {})


def train(engine, digits, last=40, first=0):
    engine.train(first, last, BatchOrder(7, len(digits.train), 60), [Calling([])])
    return engine.state()


@pytest.mark.parametrize("kind", KINDS)
def test_scores_are_trained_and_weights_stay_bit_for_bit(kind, digits):
    setup, engine = made(digits, kind)
    before, first = setup.weights(), engine.state()
    (loss, _), _ = engine.measure("validation"), engine.check()
    after = train(engine, digits, 60)
    engine.check()
    assert engine.measure("validation")[0] < loss
    moved = {name for name in first if first[name].tobytes() != after[name].tobytes()}
    trained = {name.split("/", 1)[0] for name in moved}
    assert trained == {"scores", "optimizer", "model"}
    assert {name for name in moved if name.startswith("model/")} == {
        *("model/norm/moving_mean", "model/norm/moving_variance"),
        *(name for name in before if name.startswith("model/other/")),
    }
    assert {f"scores/{path}" for path in setup.kernels} <= moved
    assert ("scores/seeds" in moved) == (kind == "learned")


@pytest.mark.parametrize("kind", ["signed", *(pytest.param(kind, marks=SLOW) for kind in KINDS[:2])])
def test_a_ticket_of_the_masks_and_weights_computes_what_the_engine_measured(kind, digits):
    setup, engine = made(digits, kind)
    train(engine, digits)
    masks, weights, measured = engine.masks(), engine.weights(), engine.measure("validation")
    before = setup.weights()
    if kind == "edge_popup":
        assert all(np.count_nonzero(mask) == mask.size // 3 for mask in masks.values())
    for path, mask in masks.items():
        value, first = weights[f"model/{path}"], before[f"model/{path}"]
        if kind == "signed":
            assert set(np.unique(np.abs(value[mask]))) == {engine.sizes[path]}
            assert engine.sizes[path] == pytest.approx(first.std(), rel=1e-5)
            assert 0 < (np.sign(value[mask]) != np.sign(first[mask])).mean() < 1, "some are inverted"
        else:
            np.testing.assert_array_equal(value[mask], first[mask])
        assert not value[~mask].any()
    setup.begin(masks, weights, 0, None)
    assert setup.measure("validation") == pytest.approx(measured, rel=1e-6)


@pytest.mark.parametrize(
    ("kind", "xla"),
    [
        ("learned", False),
        *(pytest.param(kind, xla, marks=SLOW) for kind in KINDS for xla in (False, True)),
    ],
)
def test_a_state_that_is_restored_goes_on_to_the_same_bits(kind, xla, digits):
    setup, engine = made(digits, kind, xla=xla)
    begun = engine.state()
    whole = train(engine, digits, 40)
    engine.restore(begun)
    half = train(engine, digits, 25)
    again = engine_of(setup, digits, kind)
    again.restore(half)
    assert same_bits(train(again, digits, 40, first=25), whole)
    assert again.weights().keys() == setup.weights().keys()


@SLOW
def test_weights_may_have_one_size_a_layer(digits):
    setup, _ = made(digits, "learned")
    engine = engine_of(setup, digits, "learned", constant=True)
    train(engine, digits, 20)
    for path, mask in engine.masks().items():
        first, value = setup.weights()[f"model/{path}"], engine.weights()[f"model/{path}"]
        np.testing.assert_array_equal(value[mask], np.copysign(engine.sizes[path], first)[mask])
    engine.check()


@SLOW
@pytest.mark.parametrize("precision", ["mixed_bfloat16", "float64"])
def test_scores_are_as_precise_as_the_weights(precision, digits):
    _, engine = made(digits, "signed", precision=precision)
    kind = "float64" if precision == "float64" else "float32"
    after = train(engine, digits, 20)
    assert {value.dtype.name for name, value in after.items() if name.startswith("scores/")} == {kind}
    assert {value.dtype.name for value in engine.weights().values()} >= {kind}
    engine.check()


@SLOW
def test_a_convolutional_network_too(digits):
    _, engine = made(digits, "edge_popup", CONVOLUTIONAL)
    loss, _ = engine.measure("validation")
    train(engine, digits, 60)
    engine.check()
    assert engine.measure("validation")[0] < loss


@pytest.mark.parametrize("kind", ["edge_popup", *(pytest.param(kind, marks=SLOW) for kind in KINDS[1:])])
def test_two_replicas_have_the_same_masks_and_train_as_one_device_does(kind, digits):
    settings = {"optimizer": "sgd", "learning_rate": 0.5}
    scores = []
    for strategy in ("one_device", "mirrored"):
        setup, engine = made(digits, kind, strategy=strategy, **settings)
        train(engine, digits, 20)
        engine.check()
        scores.append(engine.state())
    assert setup.resolved["replicas"] == 2
    for score in engine.model.scores.values():
        first, second = score.value.values
        assert first.numpy().tobytes() == second.numpy().tobytes()
    one, two = scores
    if kind == "learned":
        np.testing.assert_array_equal(one["scores/seeds"], two["scores/seeds"])
        for path in setup.kernels:  # as far as sums are taken in another order; no draw may fall otherwise
            np.testing.assert_allclose(two[f"scores/{path}"], one[f"scores/{path}"], atol=1e-3)
    score = engine.model.scores[setup.kernels[0]].value.values[1]
    score.assign_add(tf.ones_like(score))
    with pytest.raises(RuntimeError, match="differs between replicas"):
        engine.check()


def test_scores_that_are_not_finite_are_noticed(digits):
    _, engine = made(digits, "edge_popup")
    score = next(iter(engine.model.scores.values()))
    score.assign(np.full(score.shape, np.nan, "float32"))
    with pytest.raises(LotteryError, match="diverged"):
        engine.check()


def test_a_weight_that_was_changed_is_noticed(digits):
    _, engine = made(digits, "edge_popup")
    bias = engine.model.network.get_layer("hidden").bias
    engine.check()
    bias.assign(np.nextafter(bias.numpy(), np.float32(1)))
    with pytest.raises(LotteryError, match="The weights hidden/bias have changed"):
        engine.check()
    with pytest.raises(RuntimeError, match="stay as they are"):
        engine.set_weights({})


def test_kernels_without_signs_are_refused_where_they_are_to_have_one_size(digits):
    setup, _ = made(digits, "edge_popup")
    weights = setup.weights()
    weights["model/hidden/kernel"][...] = 0.5
    setup.set_weights(weights)
    with pytest.raises(LotteryError, match="hidden/kernel is constant at first"):
        engine_of(setup, digits, "signed")


def shared(input_shape, classes, model=[]):  # noqa: B006 - the same model each time
    if not model:
        model.append(
            keras.Sequential([keras.Input(input_shape), keras.layers.Flatten(), keras.layers.Dense(classes)])
        )
    return model[0]


def test_a_builder_that_returns_the_same_weights_is_refused(digits):
    setup = trainer(digits, ModelConfig(build="tests.training.test_supermask:shared"), **SETTINGS)
    with pytest.raises(LotteryError, match="a builder that returns a new model each time"):
        engine_of(setup, digits, "edge_popup")
