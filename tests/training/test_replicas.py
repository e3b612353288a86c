import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.training.test_loop import begin, train
from tests.training.trainings import trainer
from tf_lottery.config import ModelConfig
from tf_lottery.errors import LotteryError
from tf_lottery.layers.access import get_masks, kernels, set_masks
from tf_lottery.layers.in_place import held_in_place
from tf_lottery.training.replicas import make_check_replicas

DROPOUT = ModelConfig(build="tests.training.networks:with_dropout")


@pytest.fixture(scope="module")
def both(digits):
    """A training of 100 steps on one device, and on two replicas: trainers and weights."""
    setups = [
        trainer(digits, DROPOUT, strategy=strategy, xla=False, optimizer="sgd", learning_rate=0.05)
        for strategy in ("one_device", "mirrored")
    ]
    weights = []
    for setup in setups:
        begin(setup)
        weights.append(train(setup, digits, steps=100))
    return setups, weights


def copies(variable):
    return variable.value.values


def test_batch_normalization_and_dropout_train_as_on_one_device(both, digits):
    setups, (one, two) = both
    assert [setup.resolved["replicas"] for setup in setups] == [1, 2]
    assert {"model/norm/moving_mean", "model/norm/moving_variance", "model/norm/gamma"} < set(one)
    for name, value in one.items():
        assert np.linalg.norm(two[name] - value) / max(np.linalg.norm(value), 1) < 1e-5, name
    for part in ("validation", "test"):
        loss, accuracy = setups[0].evaluate[part]()
        assert setups[1].evaluate[part]() == (
            pytest.approx(loss, rel=1e-4),
            pytest.approx(accuracy, abs=0.01),
        )


def test_all_replicas_hold_the_same_bits(both):
    (_, setup), _ = both
    setup.loop.check()
    norm = setup.model.get_layer("norm")
    for variable in (norm.moving_mean, norm.moving_variance, *setup.model.trainable_variables):
        first, second = copies(variable)
        assert first.numpy().tobytes() == second.numpy().tobytes(), variable.path
    assert norm.moving_mean.numpy().any()


def test_gradients_are_measured_as_on_one_device(both):
    (first, second), (weights, _) = both
    one, two = (setup.probe(weights, 100, 5).gradients({}) for setup in (first, second))
    assert {path: value.tobytes() for path, value in one.items()} == {
        path: value.tobytes() for path, value in two.items()
    }


def test_a_network_in_place_trains_as_on_one_device(digits):
    model = ModelConfig(build="tests.training.uncopyable:small")
    settings = {"xla": False, "optimizer": "sgd", "learning_rate": 0.05}
    weights = []
    for strategy in ("one_device", "mirrored"):
        setup = trainer(digits, model, strategy=strategy, **settings)
        assert held_in_place(setup.model)
        begin(setup)
        masks = get_masks(setup.model)
        masks["hidden/kernel"][::2] = False
        set_masks(setup.model, masks)
        weights.append(train(setup, digits, steps=50))
        setup.loop.check()
    one, two = weights
    assert not two["model/hidden/kernel"][::2].any()
    for name, value in one.items():
        np.testing.assert_allclose(two[name], value, atol=1e-5, err_msg=name)


@pytest.fixture(scope="module")
def mirrored(digits):
    setup = trainer(digits, DROPOUT, strategy="mirrored", optimizer="adam", xla=False)
    begin(setup)
    train(setup, digits, steps=3)
    return setup


def chosen(setup, which):
    kernel, mask = kernels(setup.model)["hidden/kernel"]
    norm = setup.model.get_layer("norm")
    slot = next(v for v in setup.optimizer.variables if "hidden_kernel" in v.name)
    return {
        "kernel": kernel,
        "mask": mask,
        "slot": slot,
        "moving mean": norm.moving_mean,
        "iterations": setup.optimizer.iterations,
    }[which]


@pytest.mark.parametrize("which", ["kernel", "mask", "slot", "moving mean", "iterations"])
def test_a_replica_that_differs_in_one_number_is_noticed(mirrored, which):
    mirrored.loop.check()
    variable = chosen(mirrored, which)
    second = copies(variable)[1]
    before = second.numpy()
    changed = np.array(before)
    middle = changed.size // 2
    changed.flat[middle] = {
        "b": lambda value: not value,
        "f": lambda value: np.nextafter(value, np.float32(9)),
        "i": lambda value: value + 1,
    }[changed.dtype.kind](changed.flat[middle])
    second.assign(changed)
    with pytest.raises(RuntimeError, match=f"{variable.path} differs between replicas"):
        mirrored.loop.check()
    second.assign(before)
    mirrored.loop.check()


def test_two_numbers_that_change_places_are_noticed(mirrored):
    kernel = chosen(mirrored, "kernel")
    second = copies(kernel)[1]
    before = second.numpy()
    swapped = before.copy()
    swapped[[0, 1]] = swapped[[1, 0]]
    second.assign(swapped)
    with pytest.raises(RuntimeError, match="differs between replicas"):
        mirrored.loop.check()
    second.assign(before)


def test_numbers_of_64_and_16_bits_are_compared_too():
    strategy = tf.distribute.MirroredStrategy(
        ["CPU:0", "CPU:1"], cross_device_ops=tf.distribute.ReductionToOneDevice()
    )
    for dtype in ("float64", "int64", "uint32", "bfloat16", "uint8"):
        with strategy.scope():
            variable = keras.Variable(np.arange(6), dtype=dtype, trainable=False)
        check = make_check_replicas(strategy, [variable])
        check()
        copies(variable)[1].assign(tf.cast([0, 1, 2, 3, 4, 6], dtype))
        with pytest.raises(RuntimeError, match="differs between replicas"):
            check()


def test_one_device_has_nothing_to_compare():
    never_looked_at = [None]
    assert make_check_replicas(tf.distribute.OneDeviceStrategy("/cpu:0"), never_looked_at)() is None


def test_losses_that_replicas_would_lose_are_refused(digits):
    model = ModelConfig(build="tests.training.networks:activity_regularized")
    trainer(digits, model)
    with pytest.raises(LotteryError, match="Expected no activity regularizer.*Received: 1"):
        trainer(digits, model, strategy="mirrored")
