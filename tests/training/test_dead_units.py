import numpy as np
import pytest

from tests.training.test_loop import begin, train
from tests.training.trainings import trainer
from tf_lottery.config import DataConfig, ModelConfig, TrainingConfig
from tf_lottery.data.order import BatchOrder
from tf_lottery.layers.access import get_masks, prune, set_masks
from tf_lottery.layers.in_place import held_in_place
from tf_lottery.training import dead_units
from tf_lottery.training.dead_units import alive_units, without_dead_units

OPTIMIZERS = [
    ("adam", {}, "auto"),
    ("adam", {"amsgrad": True}, False),
    ("sgd", {"momentum": 0.9, "nesterov": True}, False),
]
GRAPH = {"xla": False}  # quicker to compile


@pytest.fixture(autouse=True)
def short_trainings_too(monkeypatch):
    monkeypatch.setattr(dead_units, "SAVED", 0)
    monkeypatch.setattr(dead_units, "compile_all", lambda loop, evaluate: 0.0)


def sparse(digits, density=0.01, seed=1, model=None, **training):
    """A LeNet at a low density, survivors rewound."""
    setup = trainer(digits, model, **GRAPH | training)
    begin(setup, seed)
    prune(setup.model, rate=1 - density, layer_rates={"output": 0.6}, criterion="magnitude")
    return setup


def compact(setup, digits, data=None, **training):
    config = TrainingConfig(**GRAPH | training)
    return without_dead_units(setup, data or DataConfig(), config, digits, steps=1000)


def test_units_that_matter_are_found_through_all_layers():
    first = np.array([[1, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 0], [1, 0, 0, 0]], bool)
    second = np.array([[1, 0, 0], [0, 1, 0], [0, 0, 0], [1, 1, 1]], bool)
    third = np.array([[1, 0], [0, 0], [0, 1]], bool)
    # Hidden unit 3 has no incoming weight, 2 no outgoing one; so layer 2's unit 2, fed by 3 alone, is
    # dead; its unit 1 leads nowhere, and takes hidden unit 1 and with it nothing else along.
    found = [units.tolist() for units in alive_units([first, second, third])]
    assert found == [[0, 3], [0], [0], [0, 1]]


def test_all_units_of_a_network_in_place_are_computed(digits):
    setup, copied = (
        sparse(digits, model=ModelConfig(build=f"tests.training.uncopyable:{name}"))
        for name in ("chain", "copyable_chain")
    )
    assert held_in_place(setup.model)
    assert compact(setup, digits) is None
    assert compact(copied, digits) is not None
    found, expected = (list(train(each, digits, steps=20).values()) for each in (setup, copied))
    for value, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(value, other)


@pytest.mark.parametrize(("optimizer", "options", "xla"), OPTIMIZERS)
def test_the_smaller_network_trains_as_the_whole_one_does(digits, optimizer, options, xla):
    settings = {"optimizer": optimizer, "optimizer_options": options, "learning_rate": 0.002, "xla": xla}
    setup = sparse(digits, **settings)
    before = setup.weights()
    smaller = compact(setup, digits, **settings)
    assert smaller.units[0] <= 64
    assert smaller.units[1] < 200
    order = BatchOrder(7, len(digits.train), 60)
    smaller.loop.run(0, 100, order)
    found, expected = smaller.weights(), train(setup, digits, steps=100)
    for name, value in expected.items():
        assert np.linalg.norm(found[name] - value) <= 1e-5 * np.linalg.norm(value), name
    # What isn't computed didn't move in the whole network either.
    for path, kernel_mask in get_masks(setup.model).items():
        name = f"model/{path}"
        still = (expected[name] == before[name]) & kernel_mask
        assert still.any() or path == "output/kernel"
        assert (found[name][still] == before[name][still]).all()
        assert not found[name][~kernel_mask].any()
    theirs = setup.evaluate["validation"]()
    assert smaller.evaluate["validation"]() == pytest.approx(theirs, rel=1e-4)
    setup.set_weights(found)
    assert setup.evaluate["validation"]() == pytest.approx(theirs, rel=1e-4)


def test_the_next_round_keeps_the_same_survivors(digits):
    setup = sparse(digits)
    smaller = compact(setup, digits)
    smaller.loop.run(0, 200, BatchOrder(7, len(digits.train), 60))
    train(setup, digits, steps=200)
    present = get_masks(setup.model)
    prune(setup.model, rate=0.2)
    expected = get_masks(setup.model)
    set_masks(setup.model, present)
    setup.set_weights(smaller.weights())
    prune(setup.model, rate=0.2)
    for path, kernel_mask in get_masks(setup.model).items():
        assert (kernel_mask == expected[path]).all(), path


NETWORKS = "tests.training.networks"


@pytest.mark.parametrize(
    "settings",
    [
        {"optimizer": "adamw"},
        {"weight_decay": 0.1},
        {"optimizer_options": {"clipnorm": 1.0}},
        {"optimizer_options": {"use_ema": True}},
        {"precision": "mixed_bfloat16"},
    ],
)
def test_it_steps_aside_for_settings_of_which_nothing_is_proven(whole, digits, settings):
    assert compact(whole, digits)
    assert compact(whole, digits, **settings) is None


@pytest.fixture
def whole(digits):
    return sparse(digits)


@pytest.mark.parametrize(
    ("data", "model", "strategy"),
    [
        ({"augment": {"flip": {}}}, None, "one_device"),
        ({}, None, "mirrored"),
        ({}, ModelConfig(build=f"{NETWORKS}:with_dropout"), "one_device"),
        ({}, ModelConfig(build=f"{NETWORKS}:convolutional"), "one_device"),
    ],
)
def test_it_steps_aside_for_networks_and_data_of_which_nothing_is_proven(digits, data, model, strategy):
    data = DataConfig(name="digits", **data)
    setup = trainer(digits, model, data=data, strategy=strategy, **GRAPH)
    begin(setup)
    prune(setup.model, rate=0.97)
    assert compact(setup, digits, data, strategy=strategy) is None


def test_it_does_not_matter_whether_the_data_is_streamed(whole, digits):
    """That isn't part of a run's key."""
    data = DataConfig(name="digits", pipeline="stream")
    setup = trainer(digits, data=data, **GRAPH)
    begin(setup)
    set_masks(setup.model, get_masks(whole.model))
    assert compact(setup, digits, data).units == compact(whole, digits).units


def test_it_steps_aside_where_no_path_is_left(digits):
    setup = trainer(digits, **GRAPH)
    begin(setup)
    masks = {path: np.zeros_like(mask) for path, mask in get_masks(setup.model).items()}
    masks["hidden1/kernel"][0, 0] = masks["hidden2/kernel"][1, 1] = True
    masks["output/kernel"][:] = True
    set_masks(setup.model, masks)
    assert compact(setup, digits) is None


def test_a_relu_by_name_only_is_not_one(digits):
    """A user's own function is carried over as it is, and nothing is proven of it."""
    setup = trainer(digits, ModelConfig(build=f"{NETWORKS}:own_relu"), **GRAPH)
    begin(setup)
    assert setup.model.get_layer("hidden").layer.activation.__module__ == NETWORKS
    prune(setup.model, rate=0.99)
    assert compact(setup, digits) is None


def test_it_steps_aside_for_few_steps_a_bias_that_is_not_zero_and_a_dense_network(digits, monkeypatch):
    setup = sparse(digits)
    assert compact(setup, digits)
    monkeypatch.setattr(dead_units, "SAVED", 1000 * 50_201)  # LeNet has 50,200 weights here
    assert compact(setup, digits) is None
    monkeypatch.setattr(dead_units, "SAVED", 1000 * 20_000)
    assert compact(setup, digits)
    weights = setup.weights()
    weights["model/hidden2/bias"][3] = 1e-3
    setup.set_weights(weights)
    assert compact(setup, digits) is None
    set_masks(setup.model, {path: np.ones_like(mask) for path, mask in get_masks(setup.model).items()})
    setup.set_weights(setup.initial_weights(1))
    assert compact(setup, digits) is None
