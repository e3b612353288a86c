import numpy as np
import pytest

from tests import fresh
from tests.training.test_loop import begin, same_bits, train
from tests.training.trainings import trainer
from tf_lottery.config import ModelConfig
from tf_lottery.errors import LotteryError
from tf_lottery.layers.access import get_masks, prune
from tf_lottery.layers.convert import strip
from tf_lottery.training import state
from tf_lottery.training.rewind import RewindManager

DROPOUT = ModelConfig(build="tests.training.networks:with_dropout")


@pytest.fixture
def setup(digits):
    made = trainer(digits, DROPOUT)
    begin(made)
    return made


def test_every_variable_comes_back_bit_for_bit(setup, digits, tmp_path):
    manager = RewindManager(tmp_path)
    train(setup, digits, steps=15)
    manager.save(15, setup.model, setup.optimizer)
    weights = setup.weights()
    assert {"model/hidden/kernel", "model/norm/moving_mean", "model/norm/gamma"} <= set(weights)
    assert any(name.startswith("model/other/") for name in weights)  # the seed of dropout
    optimizer = state.capture(state.optimizer_variables(setup.optimizer))
    expected = train(setup, digits, first=15, steps=40)
    manager.restore(15, setup.model, setup.optimizer)
    assert same_bits(setup.weights(), weights)
    assert same_bits(state.capture(state.optimizer_variables(setup.optimizer)), optimizer)
    assert same_bits(train(setup, digits, first=15, steps=40), expected)  # the same dropout, too


def test_survivors_come_back_and_pruned_weights_stay_zero(setup, digits, tmp_path):
    manager = RewindManager(tmp_path)
    manager.save(0, setup.model, setup.optimizer)
    original = setup.weights()
    train(setup, digits, steps=30)
    prune(setup.model, rate=0.7)
    manager.restore(0, setup.model, setup.optimizer)
    masks = get_masks(setup.model)
    for name, value in setup.weights().items():
        path = name.removeprefix("model/")
        expected = np.where(masks[path], original[name], np.float32(0)) if path in masks else original[name]
        assert value.tobytes() == expected.tobytes(), name
    setup.loop.check()


def test_a_restored_optimizer_has_its_slots_masked(setup, digits, tmp_path):
    manager = RewindManager(tmp_path)
    train(setup, digits, steps=20)
    manager.save(20, setup.model, setup.optimizer)
    prune(setup.model, rate=0.7)
    manager.restore(20, setup.model, setup.optimizer)
    slots = state.capture(state.optimizer_variables(setup.optimizer))
    moments = [value for name, value in slots.items() if "hidden_kernel" in name]
    assert len(moments) == 2
    for moment in moments:
        assert not moment[~get_masks(setup.model)["hidden/kernel"]].any()
        assert moment.any()


def test_a_rewind_point_never_changes(setup, digits, tmp_path):
    manager = RewindManager(tmp_path)
    digest = manager.save(0, setup.model, setup.optimizer)
    assert manager.save(0, setup.model, setup.optimizer) == digest
    train(setup, digits, steps=1)
    with pytest.raises(LotteryError, match="never change"):
        manager.save(0, setup.model, setup.optimizer)


def test_an_optimizer_without_its_variables_and_a_strange_step_are_refused(setup, tmp_path):
    import keras

    with pytest.raises(LotteryError, match="optimizer.build"):
        RewindManager(tmp_path).save(0, setup.model, keras.optimizers.Adam())
    for step in (-1, "../0", 1.5):
        with pytest.raises(LotteryError, match="Expected a step"):
            RewindManager(tmp_path).save(step, setup.model, setup.optimizer)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("damage", ["truncate", "flip", "foreign", "missing"])
def test_a_damaged_rewind_point_is_never_used(setup, tmp_path, damage):
    manager = RewindManager(tmp_path)
    manager.save(0, setup.model, setup.optimizer)
    path = manager.path(0)
    content = bytearray(path.read_bytes())
    if damage == "truncate":
        path.write_bytes(content[: len(content) // 2])
    elif damage == "flip":
        content[len(content) // 2] ^= 1
        path.write_bytes(content)
    elif damage == "foreign":
        np.savez(path, kernel=np.ones(3))
    else:
        path.unlink()
    before = setup.weights()
    with pytest.raises(LotteryError, match=f"{path}"):
        manager.restore(0, setup.model)
    assert same_bits(setup.weights(), before)


def test_another_networks_state_is_refused(setup, digits, tmp_path):
    RewindManager(tmp_path).save(0, setup.model, setup.optimizer)
    with pytest.raises(LotteryError, match="Expected the state of this network"):
        RewindManager(tmp_path).restore(0, trainer(digits).model)


def test_state_fits_the_plain_model_too(setup, tmp_path):
    manager = RewindManager(tmp_path)
    manager.save(0, setup.model, setup.optimizer)
    plain = strip(setup.model)
    manager.restore(0, plain)
    assert same_bits(state.capture(state.model_variables(plain)), setup.weights())


IN_A_FRESH_PROCESS = """
import sys
import numpy as np
import tests.devices
from tests.training.test_loop import begin, same_bits, train
from tests.training.test_rewind import DROPOUT
from tests.training.trainings import trainer
from tf_lottery import arrays
from tf_lottery.config import DataConfig
from tf_lottery.data import sources, split
from tf_lottery.training.rewind import RewindManager
from pathlib import Path
config = DataConfig(name="digits", validation=200)
digits = split.split(sources.load(config), config)
setup = trainer(digits, DROPOUT)
RewindManager(sys.argv[1]).restore(15, setup.model, setup.optimizer)
assert same_bits(train(setup, digits, first=15, steps=40), arrays.load(Path(sys.argv[2])))
"""


def test_training_goes_on_from_a_rewind_point_in_a_fresh_process_bit_for_bit(setup, digits, tmp_path):
    from tf_lottery import arrays

    train(setup, digits, steps=15)
    RewindManager(tmp_path).save(15, setup.model, setup.optimizer)
    arrays.save(tmp_path / "expected.npz", train(setup, digits, first=15, steps=40))
    fresh.check(tmp_path, tmp_path / "expected.npz", script=IN_A_FRESH_PROCESS)
