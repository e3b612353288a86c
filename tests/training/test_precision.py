import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.training.test_loop import begin, train
from tests.training.trainings import trainer
from tf_lottery.config import LearningRateConfig, ModelConfig
from tf_lottery.data.order import BatchOrder
from tf_lottery.errors import LotteryError
from tf_lottery.layers.access import get_masks, kernels, prune
from tf_lottery.models.build import build
from tf_lottery.training import state
from tf_lottery.training.precision import full_precision, precision
from tf_lottery.training.rewind import RewindManager

NORMALIZED = ModelConfig(build="tests.training.networks:normalized")
CONVOLUTIONAL = ModelConfig(build="tests.training.networks:convolutional")
SIXTEEN = {"mixed_bfloat16": "bfloat16", "mixed_float16": "float16"}


@pytest.fixture(params=SIXTEEN)
def setup(request, digits):
    xla = request.param == "mixed_bfloat16"
    return trainer(digits, NORMALIZED, precision=request.param, learning_rate=0.005, xla=xla)


def test_variables_are_float32_and_what_layers_give_has_16_bits(setup, digits):
    sixteen = SIXTEEN[setup.resolved["precision"]]
    weights = [v for v in setup.model.variables if "mask" not in v.name]
    assert {v.dtype for v in weights} == {"float32"}
    assert {mask.dtype for _, mask in kernels(setup.model).values()} == {"bool"}
    assert setup.model.get_layer("hidden").layer.compute_dtype == sixteen
    hidden = keras.Model(setup.model.inputs[0], setup.model.get_layer("hidden").output)
    outputs = hidden(digits.test.x[:5])
    assert outputs.dtype == sixteen
    by_hand = digits.test.x[:5].reshape(5, -1) @ setup.weights()["model/hidden/kernel"]
    assert np.allclose(outputs, by_hand, atol=0.05)
    assert not np.allclose(outputs, by_hand, atol=1e-6)


def test_it_learns_and_pruned_weights_stay_exactly_zero(setup, digits):
    begin(setup)
    before = setup.evaluate["validation"]()
    train(setup, digits, steps=100)
    dense = setup.evaluate["validation"]()
    assert dense[0] < before[0] / 2
    assert dense[1] > 0.85 > before[1]
    prune(setup.model, rate=0.6)
    weights = train(setup, digits, first=100, steps=200)
    setup.loop.check()
    for path, mask in get_masks(setup.model).items():
        pruned = weights[f"model/{path}"][~mask]
        assert pruned.tobytes() == bytes(pruned.nbytes), path
        assert np.count_nonzero(weights[f"model/{path}"]) == mask.sum()
    assert setup.evaluate["validation"]()[1] > 0.85


def slots(setup, path):
    name = path.replace("/", "_")
    values = state.capture(state.optimizer_variables(setup.optimizer))
    return [value for slot, value in values.items() if name in slot]


def test_float16_scales_its_loss_and_masks_its_slots(digits, tmp_path):
    setup = trainer(
        digits,
        NORMALIZED,
        precision="mixed_float16",
        learning_rate_schedule=LearningRateConfig(warmup="10it"),
        steps="30it",
        xla=False,
    )
    assert isinstance(setup.optimizer, keras.optimizers.LossScaleOptimizer)
    begin(setup)
    train(setup, digits, steps=10)
    manager = RewindManager(tmp_path)
    manager.save(10, setup.model, setup.optimizer)
    setup.model.optimizer = setup.optimizer
    prune(setup.model, rate=0.6)
    mask = get_masks(setup.model)["hidden/kernel"]
    assert float(setup.optimizer.learning_rate.numpy()) == pytest.approx(0.0012)
    assert int(setup.optimizer.inner_optimizer.iterations.numpy()) == 10
    for restore in (lambda: None, lambda: manager.restore(10, setup.model, setup.optimizer)):
        restore()
        moments = slots(setup, "hidden/kernel")
        assert len(moments) == 2
        for moment in moments:
            assert moment[mask].any()
            assert not moment[~mask].any()
        train(setup, digits, first=10, steps=20)
        setup.loop.check()


def test_other_precisions_do_not_scale(digits):
    assert not isinstance(
        trainer(digits, NORMALIZED, precision="mixed_bfloat16", xla=False).optimizer,
        keras.optimizers.LossScaleOptimizer,
    )


@pytest.mark.parametrize("name", ["mixed_bfloat16", "mixed_float16", "float64"])
def test_keras_policy_comes_back(digits, name):
    assert keras.config.dtype_policy().name == "float32"
    with precision(name):
        assert keras.config.dtype_policy().name == name
        setup = build(NORMALIZED, (8, 8, 1), 10, seed=0)
        assert setup.get_layer("hidden").dtype_policy.name == name
    assert keras.config.dtype_policy().name == "float32"
    with pytest.raises(RuntimeError, match="today"), precision(name):
        raise RuntimeError("today")
    assert keras.config.dtype_policy().name == "float32"
    broken = ModelConfig(build="tests.training.networks:broken")
    with pytest.raises((RuntimeError, LotteryError), match="no network today"):
        trainer(digits, broken, precision=name)
    assert keras.config.dtype_policy().name == "float32"
    assert keras.layers.Dense(1).dtype_policy.name == "float32"


def test_a_trainer_leaves_keras_policy_as_it_was(setup):
    assert keras.config.dtype_policy().name == "float32"
    setup.initial_weights(3)
    assert keras.config.dtype_policy().name == "float32"


def test_losses_are_summed_in_32_bits_or_more():
    for given, found in [("float16", "float32"), ("bfloat16", "float32"), ("float64", "float64")]:
        assert full_precision(tf.zeros(2, given)).dtype == found


OPTIMIZERS = {
    "sgd": (0.05, {"momentum": 0.9}),
    "adam": (0.001, {}),
    "adamw": (0.001, {"weight_decay": 0.01, "clipnorm": 0.5}),
}
SHORT = [(None, "adam"), (CONVOLUTIONAL, "adamw")]
"""The quick ones; of the others, LeNet with momentum is slow."""


@pytest.mark.parametrize(
    ("model", "optimizer"),
    [
        pytest.param(
            model,
            optimizer,
            id=f"{'convolutional' if model else 'lenet'}-{optimizer}",
            marks=(
                []
                if (model, optimizer) in SHORT
                else pytest.mark.slow
                if (model, optimizer) == (None, "sgd")
                else pytest.mark.exhaustive
            ),
        )
        for model in (None, CONVOLUTIONAL)
        for optimizer in OPTIMIZERS
    ],
)
def test_in_float64_500_steps_are_those_of_keras_train_on_batch(digits, model, optimizer):
    rate, options = OPTIMIZERS[optimizer]
    setup = trainer(
        digits,
        model,
        precision="float64",
        optimizer=optimizer,
        learning_rate=rate,
        optimizer_options=options,
    )
    begin(setup)
    assert {value.dtype for value in setup.weights().values()} == {np.dtype("float64")}
    plain = setup._build(1)
    plain.compile(
        keras.optimizers.get({"class_name": optimizer, "config": {"learning_rate": rate, **options}}),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True, dtype="float64"),
        jit_compile=False,
    )
    x = digits.train.x
    for batch in BatchOrder(7, len(digits.train), 60).batches(0, 500):
        plain.train_on_batch(x[batch], digits.train.y[batch])
    ours = train(setup, digits, steps=500)
    for name, value in state.capture(state.model_variables(plain)).items():
        distance = np.linalg.norm(ours[name] - value) / np.linalg.norm(value)
        assert distance <= 1e-9, (name, distance)
