import hashlib
from itertools import pairwise

import keras
import numpy as np
import pytest

import tf_lottery as lottery
from tf_lottery.config import ModelConfig
from tf_lottery.errors import LotteryError
from tf_lottery.models.build import MODELS, architecture, build
from tf_lottery.models.width import nearest_width, prunable_weights, with_width

LARGE = ("conv2", "resnet32", "resnet56", "vgg16", "vgg19")  # each has a smaller network of the same builder
WIDE = [
    pytest.param(name, marks=pytest.mark.slow if name in LARGE else ()) for name in MODELS if name != "vit"
]
NARROW_CHANNELS = {  # convolutions and hidden layers of half the width
    "conv2": [32, 32, 128, 128],
    "conv4": [32, 32, 64, 64, 128, 128],
    "conv6": [32, 32, 64, 64, 128, 128, 128, 128],
    "lenet5": [10, 25, 250],
    "lenet_300_100": [150, 50],
    "mlp": [150, 50],
    "resnet20": [8] * 7 + [16] * 7 + [32] * 7,
    "resnet32": [8] * 11 + [16] * 11 + [32] * 11,
    "resnet56": [8] * 19 + [16] * 19 + [32] * 19,
    "vgg11": [32, 64, 128, 128] + [256] * 4,
    "vgg16": [32, 32, 64, 64, 128, 128, 128] + [256] * 6,
    "vgg19": [32, 32, 64, 64] + [128] * 4 + [256] * 8,
    "wrn22_2": [8] + [16] * 7 + [32] * 7 + [64] * 7,
}


def network(name, **kwargs):
    shape = (28, 28, 1) if name in ("lenet5", "lenet_300_100", "mlp") else (32, 32, 3)
    return build(ModelConfig(name=name, kwargs=kwargs), shape, 10, seed=3)


def kernels(model):
    return [layer.kernel for layer in model.layers if hasattr(layer, "kernel")]


def digest(model):
    return hashlib.sha256(
        b"".join(np.asarray(weight).tobytes() for weight in model.get_weights())
    ).hexdigest()


@pytest.mark.parametrize("name", WIDE)
def test_width_one_is_the_network_itself(name):
    plain, wide = network(name), network(name, width=1.0)
    assert architecture(wide) == architecture(plain)
    assert digest(wide) == digest(plain)


@pytest.mark.parametrize("name", WIDE)
def test_width_multiplies_all_hidden_layers_and_nothing_else(name):
    plain, half = kernels(network(name)), kernels(network(name, width=0.5))
    assert [kernel.shape[-1] for kernel in half] == [*NARROW_CHANNELS[name], 10]
    assert [2 * kernel.shape[-1] for kernel in half[:-1]] == [kernel.shape[-1] for kernel in plain[:-1]]
    assert half[0].shape[:-1] == plain[0].shape[:-1]  # the inputs
    assert all(kernel.shape[-1] == 1 for kernel in kernels(network(name, width=1e-6))[:-1])


def test_width_rounds_and_is_a_factor_above_zero():
    assert [kernel.shape[-1] for kernel in kernels(network("mlp", sizes=[5, 3], width=0.7))] == [4, 2, 10]
    for width in (0, -1, float("nan"), float("inf"), "wide", True, None):
        with pytest.raises(LotteryError, match=r"^Expected width, .* above 0\. Received: .*$"):
            network("mlp", width=width)


@pytest.mark.parametrize("sizes", [300, [300, 0], [30.5], ["300"], [True], None])
def test_sizes_of_an_mlp_are_whole_numbers(sizes):
    with pytest.raises(LotteryError, match=r"^Expected sizes, .*whole numbers from 1.*Received: .*$"):
        network("mlp", sizes=sizes)


@pytest.mark.filterwarnings("ignore:These weights of layers of your own:UserWarning")
@pytest.mark.parametrize("name", ["lenet5", "resnet20", "vit", "wrn22_2"])
def test_prunable_weights_are_those_that_get_masks(name):
    model = network(name)
    config, shape = ModelConfig(name=name), model.input_shape[1:]
    expected = sum(mask.size for mask in lottery.get_masks(lottery.make_prunable(model)).values())
    assert prunable_weights(config, shape, 10) == expected


def users_own(input_shape, classes, width=1.0):
    frozen = keras.layers.Dense(6, name="frozen", trainable=False)
    hidden = keras.layers.Dense(max(1, round(20 * width)), name="hidden")
    layers = [keras.Input(input_shape), keras.layers.Flatten(), frozen, hidden, keras.layers.Dense(classes)]
    return keras.Sequential(layers)


def any_settings(input_shape, classes, **settings):
    return users_own(input_shape, classes, **settings)


def without_width(input_shape, classes):
    return users_own(input_shape, classes)


def units_as_width(input_shape, classes, width=4):
    return users_own(input_shape, classes, width / 20)


def test_a_users_own_builder_is_counted_as_it_is_masked():
    config = ModelConfig(build=f"{__name__}:users_own")
    assert prunable_weights(config, (3, 3), 5) == 6 * 20 + 20 * 5
    assert prunable_weights(config.model_copy(update={"frozen": True}), (3, 3), 5) == 9 * 6 + 6 * 20 + 20 * 5
    assert prunable_weights(with_width(config, 0.5), (3, 3), 5) == 6 * 10 + 10 * 5
    passed_on = ModelConfig(build=f"{__name__}:any_settings")
    assert prunable_weights(with_width(passed_on, 0.5), (3, 3), 5) == 6 * 10 + 10 * 5


def test_with_width_replaces_a_width_and_nothing_else():
    config = ModelConfig(name="mlp", kwargs={"sizes": [7], "width": 2.0})
    assert with_width(config, 0.5) == ModelConfig(name="mlp", kwargs={"sizes": [7], "width": 0.5})
    assert config.kwargs["width"] == 2.0


@pytest.mark.parametrize(
    ("config", "received"),
    [
        (ModelConfig(build=f"{__name__}:without_width"), "none"),
        (ModelConfig(build=f"{__name__}:units_as_width"), "one that is 4 by default"),
        (ModelConfig(name="vit"), "one that is 64 by default"),
    ],
)
def test_a_builder_whose_width_is_no_factor_is_refused_in_one_line(config, received):
    name = config.build or config.name
    expected = f"^Expected {name} to have an argument `width`.*arm small_dense.*Received: {received}$"
    with pytest.raises(LotteryError, match=expected):
        with_width(config, 0.5)
    narrow = config.model_copy(update={"kwargs": {"width": 0.5}})
    with pytest.raises(LotteryError, match=expected):
        prunable_weights(narrow, (32, 32, 3), 10)


def lenet(width):
    first, second = (max(1, round(units * width)) for units in (300, 100))
    return 784 * first + first * second + second * 10


def odd_sizes(width):
    first, second, third = (max(1, round(units * width)) for units in (601, 257, 97))
    return 50 * first + first * second + second * third + third * 3


@pytest.mark.parametrize("count", [lenet, odd_sizes])
def test_the_nearest_width_is_the_nearest_of_all(count):
    """Against every number of weights that any width up to 1.5 gives, found from all points of rounding."""
    points = {(unit + 0.5) / size for size in (601, 257, 97, 300, 100) for unit in range(int(1.5 * size))}
    ordered = sorted(points)
    widths = [ordered[0] / 2, *((a + b) / 2 for a, b in pairwise(ordered)), 1.5]
    possible = sorted({count(width) for width in widths})
    for target in np.geomspace(possible[0] / 2, possible[-1] * 0.9, 60).astype(int):
        calls = []

        def counted(width, calls=calls):
            calls.append(width)
            return count(width)

        found = count(nearest_width(counted, target))
        assert abs(found - target) == min(abs(each - target) for each in possible), target
        assert len(calls) <= 23


def test_of_two_widths_as_near_the_one_with_fewer_weights_is_taken():
    assert nearest_width(lambda width: 10 * max(1, round(10 * width)), 55) == 0.5
    assert nearest_width(lambda width: max(1, round(8 * width)), 8) == 1.0
    assert nearest_width(lambda width: max(1, round(8 * width)), 20) == 2.5


def test_the_same_question_has_the_same_answer():
    assert {nearest_width(lenet, 26_620) for _ in range(3)} == {nearest_width(lenet, 26_620)}


def test_a_network_that_does_not_follow_its_width_is_refused_in_one_line():
    with pytest.raises(LotteryError, match=r"^Expected a network .*follow its `width`.*10.*Received.* 50 at"):
        nearest_width(lambda width: 50, 10)
    with pytest.raises(LotteryError, match=r"^Expected a network .*100.*Received.* 50 at"):
        nearest_width(lambda width: 50, 100)
    assert nearest_width(lambda width: 50, 50) == 1.0


def test_a_built_network_is_found_by_its_number_of_weights():
    config = ModelConfig(name="mlp", kwargs={"sizes": [40, 20]})
    width = nearest_width(lambda width: prunable_weights(with_width(config, width), (8, 8, 1), 10), 1_000)
    units = [kernel.shape[-1] for kernel in kernels(build(with_width(config, width), (8, 8, 1), 10, 0))]
    assert units == [13, 7, 10]  # 64 * 13 + 13 * 7 + 7 * 10 = 993; the next, 14 and 7, have 1,064
