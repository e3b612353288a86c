"""Weight decay: of kernels only, as arithmetic says."""

import numpy as np
import pytest

from tests.training.test_loop import begin, train
from tests.training.trainings import trainer
from tf_lottery.config import ModelConfig, TrainingConfig
from tf_lottery.errors import LotteryError
from tf_lottery.layers.access import get_masks, prune
from tf_lottery.training.optimizers import build_optimizer

NORMALIZED = ModelConfig(build="tests.training.networks:normalized")
L2 = {"optimizer": "sgd", "learning_rate": 0.5, "weight_decay": 0.1}
DECOUPLED = {
    "optimizer": "adamw",
    "learning_rate": 0.01,
    "weight_decay": 5.0,
    "weight_decay_kind": "decoupled",
}


def start(digits, setup):
    """Weights in which nothing is 0 or 1, so that any decay shows."""
    begin(setup)
    random = np.random.default_rng(0)
    weights = {
        name: value
        if "other" in name
        else (value + random.uniform(0.1, 0.2, value.shape)).astype(value.dtype)
        for name, value in setup.weights().items()
    }
    setup.set_weights(weights)
    return weights


def one_step(digits, **training):
    setup = trainer(digits, NORMALIZED, xla=False, **training)
    before = start(digits, setup)
    return before, train(setup, digits, steps=1)


@pytest.mark.parametrize("settings", [L2, DECOUPLED], ids=["l2", "decoupled"])
def test_one_step_takes_rate_times_decay_times_weight_from_kernels_only(digits, settings):
    without = {"optimizer": settings["optimizer"], "learning_rate": settings["learning_rate"]}
    before, plain = one_step(digits, **without)
    _, decayed = one_step(digits, **settings)
    shrunk = settings["learning_rate"] * settings["weight_decay"]
    assert {"model/norm/gamma", "model/norm/beta", "model/hidden/bias"} < set(before)
    for name, value in before.items():
        if name.endswith("kernel"):
            assert decayed[name] - plain[name] == pytest.approx(-shrunk * value, abs=1e-6), name
            assert np.abs(shrunk * value).max() > 1e-3
        else:
            assert decayed[name].tobytes() == plain[name].tobytes(), name


def test_adamw_decays_what_the_study_says_and_nothing_by_default():
    assert build_optimizer(TrainingConfig(optimizer="adamw"), []).weight_decay == 0
    own = TrainingConfig(optimizer="adamw", optimizer_options={"weight_decay": 0.004})
    assert build_optimizer(own, []).weight_decay == 0.004
    with pytest.raises(LotteryError, match="kind=decoupled with adamw"):
        build_optimizer(TrainingConfig(optimizer="adamw", weight_decay=0.1), [])


@pytest.mark.parametrize("kind", ["l2", "decoupled"])
def test_two_weight_decays_are_refused(kind):
    config = TrainingConfig(
        optimizer="adamw",
        weight_decay=0.1,
        weight_decay_kind=kind,
        optimizer_options={"weight_decay": 0.1},
    )
    with pytest.raises(LotteryError, match="Expected one weight decay.*Received: both"):
        build_optimizer(config, [])


@pytest.mark.parametrize("settings", [L2, DECOUPLED], ids=["l2", "decoupled"])
def test_pruned_weights_stay_zero(digits, settings):
    setup = trainer(digits, NORMALIZED, xla=False, **settings | {"learning_rate": 0.01})
    begin(setup)
    train(setup, digits, steps=10)
    prune(setup.model, rate=0.6)
    weights = train(setup, digits, first=10, steps=30)
    setup.loop.check()
    for path, mask in get_masks(setup.model).items():
        pruned = weights[f"model/{path}"][~mask]
        assert pruned.tobytes() == bytes(pruned.nbytes), path
        assert np.count_nonzero(weights[f"model/{path}"]) > 0.9 * mask.sum()
