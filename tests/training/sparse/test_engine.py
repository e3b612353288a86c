"""A training by the sparse engine is the network's own: stock Keras's weights, exact zeros, exact resume."""

import numpy as np
import pytest

from tests.training.sparse.engines import begun, difference, order, sparse, with_keras
from tests.training.trainings import Calling
from tf_lottery.config import DataConfig
from tf_lottery.errors import LotteryError
from tf_lottery.training.observe import Passed
from tf_lottery.training.sparse.engine import SparseEngine

MODELS = {
    "lenet": {"name": "lenet_300_100"},
    "conv2": {"name": "conv2"},
    "residual": {"build": "tests.training.networks:residual"},
}
ADAM = {"optimizer": "adam", "batch_size": 60, "steps": "600it"}
MOMENTUM = {"optimizer": "sgd", "optimizer_options": {"momentum": 0.9}, "learning_rate": 0.01}
ADAMW = {
    "optimizer": "adamw",
    "optimizer_options": {"clipnorm": 0.5},
    "weight_decay": 0.01,
    "weight_decay_kind": "decoupled",
}
SETTINGS = {"momentum": MOMENTUM, "adam": ADAM, "adamw, clipped": ADAMW}


def pairs(**marks):
    """Every network with every optimizer, marked by `network` or `network_optimizer`; or none of them."""
    for model in ("lenet", "residual", "conv2"):
        for name, settings in SETTINGS.items():
            found = marks.get(f"{model}_{name.split(',')[0]}", marks.get(model))
            if found != "none":
                kept = [getattr(pytest.mark, found)] if found else []
                yield pytest.param(model, settings, marks=kept, id=f"{model}-{name}")


# Each pair is in one of the three tests at least.
@pytest.mark.parametrize(
    ("model", "settings"),
    pairs(residual="exhaustive", residual_adamw="", conv2="exhaustive", conv2_adamw="slow"),
)
def test_weights_in_float64_are_those_of_stock_keras(digits, model, settings):
    initial, trained, expected = trained_twice(digits, model, settings | {"precision": "float64"}, 500)
    assert difference(trained, expected) < 1e-9
    assert difference(expected, initial) > 0.01


@pytest.mark.parametrize(
    ("model", "settings"),
    pairs(lenet="exhaustive", lenet_adam="", residual="none", conv2_adamw="exhaustive"),
)
def test_weights_in_float32_are_those_of_stock_keras(digits, model, settings):
    initial, trained, expected = trained_twice(digits, model, settings, 100)
    assert difference(trained, expected) < 1e-5
    assert difference(expected, initial) > 0.005


@pytest.mark.parametrize("settings", SETTINGS.values(), ids=SETTINGS)
def test_rounding_takes_no_more_than_keras_from_batch_normalization(digits, settings):
    """In float32 two trainings through batch normalization part; ours stays as near to float64 as Keras's."""
    whole, _ = begun(digits, MODELS["residual"], **settings)
    start = whole.weights()
    _, ours, keras32 = trained_twice(digits, "residual", settings, 30)
    _, _, exact = trained_twice(digits, "residual", settings | {"precision": "float64"}, 30, start)
    assert difference(ours, exact) < max(3 * difference(keras32, exact), 1e-5)


def trained_twice(digits, model, settings, steps, start=None):
    """Train a network with both, perhaps from given weights; return the weights before, and those of each."""
    whole, config = begun(digits, MODELS[model], **settings)
    if start is not None:
        present = whole.weights()
        given = {name: value.astype(present[name].dtype) for name, value in start.items()}
        whole.begin(whole.masks(), given, 0, None)
    initial, engine = whole.weights(), SparseEngine(whole, config, digits)
    assert all((engine.weights()[name] == value).all() for name, value in initial.items())
    engine.train(0, steps, order(digits, config.batch_size), [])
    return initial, engine.weights(), with_keras(whole, config, digits, steps)


def test_measures_are_the_dense_engines(digits):
    whole, config = begun(digits, **ADAM)
    engine = SparseEngine(whole, config, digits)
    engine.train(0, 50, order(digits, 60), [])
    whole.set_weights(engine.weights())
    for part in ("validation", "test"):
        assert engine.measure(part) == pytest.approx(whole.measure(part), rel=1e-5)
    assert engine.measure("validation")[1] > 0.5


def test_pruned_weights_and_their_slots_are_zero(digits):
    engine = sparse(digits, **MOMENTUM)
    engine.train(0, 30, order(digits, 60), [])
    state, pruned = engine.state(), {path: ~mask for path, mask in engine.masks().items()}
    assert all(not state["model/" + path][where].any() for path, where in pruned.items())
    slots = [value for name, value in state.items() if name.startswith("optimizer/") and value.ndim == 2]
    assert len(slots) == len(pruned)
    for slot, where in zip(slots, pruned.values(), strict=True):
        assert not slot[where].any()
        assert np.count_nonzero(slot[~where]) > 0.5 * np.count_nonzero(~where)
    engine.check()


def test_a_resumed_training_and_one_in_smaller_calls_have_the_same_bits(digits, monkeypatch):
    whole = sparse(digits, **ADAM)
    sums = []
    whole.train(0, 40, order(digits, 60), [Calling([40], lambda step, passed: None)])
    engine = sparse(digits, **ADAM)
    kept = {}
    engine.train(0, 17, order(digits, 60), [Calling([17], lambda step, passed: kept.update(engine.state()))])
    other = sparse(digits, seed=0, **ADAM)
    other.train(0, 3, order(digits, 60), [])
    other.restore(kept)
    other._feed.steps_per_call, before = 4, other._feed.steps_per_call
    try:
        other.train(17, 40, order(digits, 60), [])
    finally:
        other._feed.steps_per_call = before
    assert not sums
    for name, value in whole.state().items():
        assert value.tobytes() == other.state()[name].tobytes(), name


def test_learning_rates_follow_the_schedule(digits):
    schedule = {"name": "step_drops", "warmup": "5it", "drops": ["10it"]}
    settings = {**MOMENTUM, "steps": "20it", "learning_rate_schedule": schedule}
    engine, (whole, _) = sparse(digits, **settings), begun(digits, **settings)
    engine.train(0, 20, order(digits, 60), [])
    whole.train(0, 20, order(digits, 60), [])
    assert difference(engine.weights(), whole.weights()) < 1e-5
    mine, theirs = engine.optimizer_state(), whole.optimizer_state()
    (rate,) = [name for name in theirs if name.endswith("learning_rate")]
    (steps,) = [name for name in theirs if name.endswith(("iteration", "iterations"))]
    assert mine[rate] == theirs[rate] == np.float32(0.001)
    assert mine[steps] == theirs[steps] == 20


@pytest.mark.parametrize(
    "data",
    [DataConfig(pipeline="stream"), DataConfig(augment={"flip": {}})],
    ids=["streamed", "augmented"],
)
def test_other_feeds_give_the_examples_that_the_dense_engine_gets(digits, data):
    engine, (whole, _) = sparse(digits, data=data, **ADAM), begun(digits, data=data, **ADAM)
    engine.train(0, 30, order(digits, 60), [])
    whole.train(0, 30, order(digits, 60), [])
    assert difference(engine.weights(), whole.weights()) < 1e-4


def test_losses_of_the_steps_are_passed_on(digits):
    heard = {}
    for name, engine in {"sparse": sparse(digits, **ADAM), "dense": begun(digits, **ADAM)[0]}.items():
        stop = Calling([20])
        stop.passed = lambda passed, name=name: heard.setdefault(name, passed)
        engine.train(0, 20, order(digits, 60), [stop])
    assert isinstance(heard["sparse"], Passed)
    assert heard["sparse"].steps == 20
    assert heard["sparse"].loss == pytest.approx(heard["dense"].loss, rel=1e-4)
    assert heard["sparse"].accuracy == pytest.approx(heard["dense"].accuracy, abs=0.01)


def test_a_training_that_diverges_says_so(digits):
    engine = sparse(digits, **{**MOMENTUM, "learning_rate": 1e6})
    with np.errstate(all="ignore"):
        engine.train(0, 60, order(digits, 60), [])
    with pytest.raises(LotteryError, match="diverged"):
        engine.check()


def test_the_state_of_another_network_is_refused(digits):
    engine = sparse(digits, **ADAM)
    state = engine.state()
    state.popitem()
    with pytest.raises(LotteryError, match="state of this network"):
        engine.restore(state)
