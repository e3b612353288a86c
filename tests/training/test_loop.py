import keras
import numpy as np
import pytest
import tensorflow as tf

from tests import fresh
from tests.training.trainings import Calling, trainer
from tf_lottery.config import ModelConfig
from tf_lottery.data.order import BatchOrder
from tf_lottery.errors import LotteryError
from tf_lottery.layers.access import get_masks, kernels, prune
from tf_lottery.layers.convert import strip
from tf_lottery.training import feed, state

DROPOUT = ModelConfig(build="tests.training.networks:with_dropout")
CONVOLUTIONAL = ModelConfig(build="tests.training.networks:convolutional")


def train(setup, digits, steps=60, stops=(), at_stop=lambda step, passed: None, first=0, seed=7):
    order = BatchOrder(seed, len(digits.train), 60)
    setup.loop.run(first, steps, order, [Calling([*stops, steps], at_stop)])
    return setup.weights()


def begin(setup, seed=1):
    setup.reset_optimizer()
    setup.set_weights(setup.initial_weights(seed))


def same_bits(first, second):
    return first.keys() == second.keys() and all(first[n].tobytes() == second[n].tobytes() for n in first)


@pytest.mark.parametrize(("model", "xla"), [(DROPOUT, True), (DROPOUT, False), (CONVOLUTIONAL, False)])
def test_stops_and_steps_a_call_change_no_bit(digits, model, xla, monkeypatch):
    setup = trainer(digits, model, xla=xla)
    begin(setup)
    expected = train(setup, digits)
    begin(setup)
    assert same_bits(train(setup, digits, stops=[1, 7, 50]), expected)
    begin(setup, seed=2)
    assert not same_bits(train(setup, digits), expected)
    monkeypatch.setattr(feed, "STEPS_PER_CALL", 9)
    again = trainer(digits, model, xla=xla)  # a fresh trainer: used and new ones agree too
    begin(again)
    assert same_bits(train(again, digits), expected)


@pytest.mark.parametrize(
    ("model", "optimizer", "xla"),
    [
        (None, "sgd", False),
        pytest.param(None, "adam", "auto", marks=pytest.mark.exhaustive),
        (None, "adamw", "auto"),
        pytest.param(CONVOLUTIONAL, "sgd", "auto", marks=pytest.mark.exhaustive),
        (CONVOLUTIONAL, "adamw", "auto"),
    ],
)
def test_the_loop_does_what_keras_train_on_batch_does(digits, model, optimizer, xla):
    options = {"sgd": {"momentum": 0.9}, "adam": {}, "adamw": {"weight_decay": 0.01, "clipnorm": 0.5}}[
        optimizer
    ]
    rate = 0.05 if optimizer == "sgd" else 0.001
    settings = {"optimizer": optimizer, "learning_rate": rate, "optimizer_options": options}
    setup = trainer(digits, model, xla=xla, **settings)
    begin(setup)
    plain = setup._build(1)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    plain.compile(
        keras.optimizers.get({"class_name": optimizer, "config": {"learning_rate": rate, **options}}),
        loss,
        jit_compile=False,  # Keras refuses it where op determinism is on
    )
    for batch in BatchOrder(7, len(digits.train), 60).batches(0, 100):
        plain.train_on_batch(digits.train.x[batch], digits.train.y[batch])
    ours = train(setup, digits, steps=100)
    theirs = state.capture(state.model_variables(plain))
    for name, value in theirs.items():
        distance = np.linalg.norm(ours[name] - value) / np.linalg.norm(value)
        assert distance < 1e-5, (name, distance)


def test_training_learns_and_reports_what_passed(digits):
    setup = trainer(digits)
    begin(setup)
    heard = []
    before = setup.evaluate["validation"]()
    train(setup, digits, steps=200, stops=[100], at_stop=lambda step, passed: heard.append((step, passed)))
    after = setup.evaluate["validation"]()
    assert after[0] < before[0] / 2
    assert after[1] > 0.9 > before[1]
    assert [step for step, _ in heard] == [100, 200]
    assert [passed.steps for _, passed in heard] == [100, 100]
    assert heard[0][1].loss > heard[1][1].loss > 0
    assert heard[0][1].accuracy < heard[1][1].accuracy <= 1


def test_evaluation_equals_keras_evaluate(digits):
    setup = trainer(digits)
    begin(setup)
    train(setup, digits)
    model = strip(setup.model)
    model.compile(loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True), metrics=["accuracy"])
    for part in ("validation", "test"):
        split = getattr(digits, part)
        expected = model.evaluate(split.x, split.y, verbose=0, batch_size=1000)
        assert setup.evaluate[part]() == pytest.approx(expected, rel=1e-5)


def test_a_split_that_does_not_fill_its_batches_is_counted_exactly(digits, monkeypatch):
    from tf_lottery.training import evaluate

    setup = trainer(digits, xla=False)
    whole = setup.evaluate["test"]()
    monkeypatch.setattr(evaluate, "BATCH", 37)
    parts = trainer(digits, xla=False)
    parts.set_weights(setup.weights())
    assert parts.evaluate["test"]() == pytest.approx(whole, rel=1e-5)
    assert parts.evaluate["test"]()[1] == whole[1]


@pytest.mark.parametrize(
    ("strategy", "optimizer", "options"),
    [
        ("one_device", "sgd", {"momentum": 0.9}),
        pytest.param("one_device", "adam", {}, marks=pytest.mark.exhaustive),
        ("one_device", "adamw", {"weight_decay": 0.1}),
        ("one_device", "adam", {"global_clipnorm": 0.5}),
        pytest.param("mirrored", "sgd", {"momentum": 0.9}, marks=pytest.mark.exhaustive),
        pytest.param("mirrored", "adam", {}, marks=pytest.mark.exhaustive),
        ("mirrored", "adamw", {"weight_decay": 0.1}),
        ("mirrored", "adam", {"global_clipnorm": 0.5}),
    ],
)
def test_pruned_weights_stay_zero_in_the_loop(digits, strategy, optimizer, options):
    if strategy == "mirrored" and "global_clipnorm" in options:
        with pytest.raises(LotteryError, match="no clipping with 2 replicas"):
            trainer(digits, CONVOLUTIONAL, strategy=strategy, optimizer_options=options)
        return
    setup = trainer(
        digits,
        CONVOLUTIONAL,
        strategy=strategy,
        optimizer=optimizer,
        optimizer_options=options,
        learning_rate=0.01,
    )
    begin(setup)
    train(setup, digits, steps=20)
    prune(setup.model, rate=0.6)  # in mid-training
    masks = get_masks(setup.model)
    train(setup, digits, first=20, steps=60)
    setup.loop.check()
    for path, (kernel, kernel_mask) in kernels(setup.model).items():
        copies = getattr(kernel.value, "values", [kernel.value])
        assert len(copies) == setup.resolved["replicas"]
        for copy in copies:
            pruned = copy.numpy()[~masks[path]]
            assert pruned.tobytes() == bytes(pruned.nbytes), path
            assert np.count_nonzero(copy.numpy()) == np.count_nonzero(masks[path])
        assert (kernel_mask.numpy() == masks[path]).all()


def test_the_check_for_zeros_can_fail(digits):
    setup = trainer(digits)
    prune(setup.model, rate=0.5)
    setup.loop.check()
    kernel, _ = kernels(setup.model)["hidden1/kernel"]
    kernel.value.assign(tf.ones_like(kernel.value))  # beneath the guard
    with pytest.raises(RuntimeError, match="9600 pruned weights are not 0.0"):
        setup.loop.check()


def test_two_mirrored_replicas_agree_with_one_device(digits):
    weights = []
    for strategy in ("one_device", "mirrored"):
        setup = trainer(digits, strategy=strategy, xla=False, optimizer="sgd", learning_rate=0.05)
        begin(setup)
        weights.append(train(setup, digits, steps=50))
        assert setup.resolved["replicas"] == (2 if strategy == "mirrored" else 1)
    for name, value in weights[0].items():
        assert np.linalg.norm(weights[1][name] - value) / max(np.linalg.norm(value), 1) < 1e-5, name


def test_a_batch_that_replicas_cannot_share_is_refused(digits):
    with pytest.raises(LotteryError, match="multiple of 2.*Received: 61"):
        trainer(digits, strategy="mirrored", batch_size=61)


WITH_TWO_THREADS = """
import os, sys
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
from tf_lottery import arrays
from tf_lottery.config import DataConfig, ModelConfig, TrainingConfig
from tf_lottery.data import sources, split
from tf_lottery.data.order import BatchOrder
from tf_lottery.training import compile_rule
from tf_lottery.training.trainer import Trainer
data, training = DataConfig(name="digits", validation=200), TrainingConfig(threads=2)
compile_rule.configure(training)
digits = split.split(sources.load(data), data)
trainer = Trainer(data, ModelConfig(name="conv2"), training, digits)
trainer.set_weights(trainer.initial_weights(1))
trainer.loop.run(0, 15, BatchOrder(7, len(digits.train), 60))
print(arrays.digest(trainer.weights()))
"""


@pytest.mark.slow
def test_two_threads_give_the_same_bits_each_time():
    runs = [fresh.check(script=WITH_TWO_THREADS) for _ in range(2)]
    assert len(runs[0]) == 65
    assert runs[0] == runs[1]
