import keras
import numpy as np
import pytest
from keras import layers

from tests.training.trainings import trainer
from tf_lottery.config import ModelConfig, TrainingConfig
from tf_lottery.data.split import Split
from tf_lottery.errors import LotteryError
from tf_lottery.models.seeded import seeded
from tf_lottery.pruning.criteria import CRITERIA, Evidence
from tf_lottery.pruning.masks import zeroed
from tf_lottery.training import scores, state
from tf_lottery.training.optimizers import make_loss
from tf_lottery.training.precision import precision
from tf_lottery.training.scores import KerasProbe, draw_examples

LOSS = make_loss(TrainingConfig(), 2)


class Noisy(layers.Layer):
    """Draws in inference, too."""

    def call(self, x):
        return x + keras.random.normal(keras.ops.shape(x), dtype=x.dtype)


class Stopped(layers.Layer):
    """Divides by a sum that its gradient doesn't see."""

    def call(self, x):
        return x / keras.ops.stop_gradient(keras.ops.sum(x * x))


def builder(make, shape=(4,)):
    """A function that builds a Sequential of the layers that `make` returns, under a policy."""

    def build(policy):
        keras.utils.clear_session(free_memory=False)
        with precision(policy), seeded(0):
            return keras.Sequential([keras.Input(shape), *make()])

    build.shape = shape
    return build


def dense(activation="tanh", **options):
    return lambda: [layers.Dense(3, activation, name="first", **options), layers.Dense(2, name="last")]


def drawn(build):
    """Weights, biases and statistics away from zero, as after a training."""
    generator = np.random.default_rng(1)
    weights = state.capture(state.model_variables(build("float32")))
    for name, value in weights.items():
        if value.dtype == np.float32:
            signs = 1 if "variance" in name else generator.choice([-1, 1], value.shape)
            weights[name] = np.float32(generator.uniform(0.2, 1, value.shape) * signs)
    return weights


def batch(shape=(4,), examples=8):
    x = np.random.default_rng(5).normal(size=(examples, *shape)).astype(np.float32)
    return x, np.arange(examples, dtype=np.int32) % 2


def probe_of(build, weights=None, x=None, y=None, kernels=("first/kernel", "last/kernel"), **options):
    if x is None:
        x, y = batch(build.shape)
    options = {"precision": "float64"} | options
    return KerasProbe(build, LOSS, drawn(build) if weights is None else weights, x, y, kernels, **options)


def cross_entropy(logits, labels):
    """The mean loss less log(classes), precise where logits are close to zero."""
    return (np.log1p(np.expm1(logits).mean(-1)) - logits[np.arange(len(labels)), labels]).mean()


def dense_by_hand(w, x):
    return x @ w["first/kernel"] + w["first/bias"]


def convolution_by_hand(w, x):
    windows = np.lib.stride_tricks.sliding_window_view(x[..., 0], (3, 3), axis=(1, 2))
    first = np.einsum("bijhw,hwf->bijf", windows, w["first/kernel"][:, :, 0]) + w["first/bias"]
    return first.reshape(len(x), -1)


def normalization_by_hand(w, x):
    hidden = dense_by_hand(w, x)
    hidden = (hidden - hidden.mean(0)) / np.sqrt(hidden.var(0) + 1e-3)
    return hidden * w["norm/gamma"] + w["norm/beta"]


def convolution(activation):
    return lambda: [
        layers.Conv2D(2, 3, activation=activation, name="first"),
        layers.Flatten(),
        layers.Dense(2, name="last"),
    ]


def normalization():
    return [
        layers.Dense(3, name="first"),
        layers.BatchNormalization(name="norm"),
        layers.Activation("tanh"),
        layers.Dense(2, name="last"),
    ]


def relu(x):
    return np.maximum(x, 0)


NETWORKS = {
    "dense_tanh": (builder(dense("tanh")), dense_by_hand, np.tanh),
    "dense_relu": (builder(dense("relu")), dense_by_hand, relu),
    "convolution_tanh": (builder(convolution("tanh"), (4, 4, 1)), convolution_by_hand, np.tanh),
    "convolution_relu": (builder(convolution("relu"), (4, 4, 1)), convolution_by_hand, relu),
    "batch_normalization": (builder(normalization), normalization_by_hand, np.tanh),
}
STENCIL = ((-2, 1 / 12), (-1, -8 / 12), (1, 8 / 12), (2, -1 / 12))
"""Central differences of fourth order."""


def differences(function, kernels, step=5e-3):
    """The derivative of a function of kernels, entry by entry."""
    slopes = {}
    for path, kernel in kernels.items():
        slopes[path] = np.zeros(kernel.shape)
        for index in np.ndindex(kernel.shape):
            for offset, factor in STENCIL:
                moved = kernel.copy()
                moved[index] += offset * step
                slopes[path][index] += factor / step * function(kernels | {path: moved})
    return slopes


class ByHand:
    """A `Probe` in NumPy, of finite differences in float64."""

    def __init__(self, name):
        self.build, self.hidden, self.activation = NETWORKS[name]
        self.weights = {path[6:]: np.float64(value) for path, value in drawn(self.build).items()}
        self.kernels = {path: self.weights[path] for path in ("first/kernel", "last/kernel")}
        generator = np.random.default_rng(9)
        self.masks = {path: generator.random(kernel.shape) < 0.7 for path, kernel in self.kernels.items()}
        self.x, self.y = batch(self.build.shape, 200)
        # Differences must not straddle the kink of relu.
        away = np.min(
            [
                np.abs(self.hidden(self.weights | zeroed(self.kernels, masks), self.x)).min(-1)
                for masks in ({}, self.masks)
            ],
            axis=0,
        )
        chosen = np.flatnonzero(away > 0.15)[:8] if self.activation is relu else np.arange(8)
        self.x, self.y = self.x[chosen], self.y[chosen]

    def outputs(self, weights, x):
        return self.activation(self.hidden(weights, x)) @ weights["last/kernel"] + weights["last/bias"]

    def loss(self, kernels, temperature=1.0):
        return cross_entropy(self.outputs(self.weights | kernels, self.x) / temperature, self.y)

    def gradients(self, masks):
        return differences(self.loss, zeroed(self.kernels, masks))

    def hessian_gradient(self, masks, temperature=1.0):
        kernels = zeroed(self.kernels, masks)
        gradient = differences(lambda moved: self.loss(moved, temperature), kernels)
        step = 5e-3 / max(np.abs(slope).max() for slope in gradient.values())

        def along(moved):
            """The derivative of the loss in the gradient's direction."""
            return sum(
                factor
                / step
                * self.loss(
                    {path: moved[path] + offset * step * gradient[path] for path in moved}, temperature
                )
                for offset, factor in STENCIL
            )

        return differences(along, kernels)

    def synflow(self, masks):
        weights = {path: np.abs(value) for path, value in self.weights.items()}
        ones, kernels = np.ones_like(self.x[:1]), zeroed({p: weights[p] for p in self.kernels}, masks)
        return differences(lambda moved: self.outputs(weights | moved, ones).sum(), kernels)


@pytest.mark.parametrize("name", NETWORKS)
def test_scores_of_snip_grasp_and_synflow_are_those_of_finite_differences(name):
    hand = ByHand(name)
    assert len(hand.x) == 8
    probe = probe_of(hand.build, x=hand.x, y=hand.y)
    criteria = ["snip", "grasp", "synflow"]
    for criterion in criteria[: 2 if name == "batch_normalization" else 3]:  # whose flow isn't in batch mode
        for masks in ({}, hand.masks):
            measured, expected = (
                CRITERIA[criterion](Evidence(hand.kernels, masks=masks, probe=each)) for each in (probe, hand)
            )
            for path in hand.kernels:
                floor = 1e-8 * np.abs(expected[path]).max()
                assert np.allclose(measured[path], expected[path], 1e-5, floor), (criterion, path)


def same(first, second):
    return first.keys() == second.keys() and all(first[p].tobytes() == second[p].tobytes() for p in first)


def close(first, second, tolerance=1e-12):
    return all(
        np.allclose(first[p], second[p], tolerance, tolerance * np.abs(second[p]).max()) for p in second
    )


def test_scores_in_float32_are_those_of_float64_up_to_rounding():
    build = builder(dense("tanh"))
    single, double = (probe_of(build, precision=name) for name in ("float32", "float64"))
    for function in ("gradients", "hessian_gradient"):
        found, expected = getattr(single, function)({}), getattr(double, function)({})
        assert {value.dtype.name for value in found.values()} == {"float32"}
        assert close(found, expected, 1e-5)
        assert not same({path: np.float64(value) for path, value in found.items()}, expected)


def test_the_flow_of_a_linear_chain_is_the_product_of_absolute_values():
    build = builder(
        lambda: [
            layers.Dense(3, name="first"),
            layers.Dense(2, "relu", name="last"),
            layers.Dense(2, name="end"),
        ]
    )
    generator = np.random.default_rng(2)
    weights = {
        name: np.float32(generator.integers(-3, 4, value.shape)) for name, value in drawn(build).items()
    }
    first, last, end = (
        np.abs(np.float64(weights[f"model/{name}/kernel"])) for name in ("first", "last", "end")
    )
    bias, mask = np.abs(weights["model/first/bias"]), np.array([[1, 0], [0, 1], [1, 1]], bool)
    assert (weights["model/first/bias"] < 0).any()
    flow = probe_of(build, weights).synflow({"last/kernel": mask})
    after = end.sum(1)
    assert flow["last/kernel"].tolist() == np.outer(first.sum(0) + bias, after).tolist()
    assert flow["first/kernel"].tolist() == np.outer(np.ones(4), (last * mask) @ after).tolist()
    assert {value.dtype.name for value in flow.values()} == {"float64"}


def test_the_flow_takes_absolute_values_of_normalization_and_its_moving_statistics():
    build = builder(
        lambda: [
            layers.Dense(3, name="first"),
            layers.BatchNormalization(epsilon=0.25, name="norm"),
            layers.Dense(2, name="last"),
        ]
    )
    weights = drawn(build) | {
        "model/norm/gamma": np.float32([-2, 1, 3]),
        "model/norm/moving_variance": np.float32([0.75, 3.75, 0.75]),
        "model/norm/moving_mean": np.float32([-0.5, 0.25, 0]),
    }
    flow = probe_of(build, weights).synflow({})
    end = np.abs(np.float64(weights["model/last/kernel"])).sum(1)
    assert np.allclose(flow["first/kernel"], np.ones((4, 1)) * [2, 0.5, 3] * end, 1e-14, 0)
    hidden = np.abs(np.float64(weights["model/first/kernel"])).sum(0) + np.abs(weights["model/first/bias"])
    normalized = (hidden - [0.5, 0.25, 0]) * [2, 0.5, 3] + np.abs(weights["model/norm/beta"])
    assert np.allclose(flow["last/kernel"], normalized[:, None] * np.ones(2), 1e-14, 0)


def test_a_flow_that_float32_could_not_hold_is_measured():
    build = builder(lambda: [layers.Dense(4, use_bias=False, name=f"layer{index}") for index in range(3)])
    weights = {name: np.full_like(value, 1e30) for name, value in drawn(build).items()}
    flow = probe_of(build, weights, kernels=["layer1/kernel"]).synflow({})
    assert np.allclose(flow["layer1/kernel"], 16 * float(np.float32(1e30)) ** 2, 1e-14, 0)


def test_gradients_are_taken_at_the_masked_weights_also_for_pruned_ones():
    build, masks = builder(dense("tanh")), ByHand("dense_tanh").masks
    weights = drawn(build)
    masked = weights | zeroed(
        {f"model/{path}": weights[f"model/{path}"] for path in masks},
        {f"model/{p}": m for p, m in masks.items()},
    )
    probe, pruned = probe_of(build, weights), probe_of(build, masked)
    for function in ("gradients", "hessian_gradient", "synflow"):
        found = getattr(probe, function)(masks)
        assert same(found, getattr(pruned, function)({}))
        assert not same(found, getattr(probe, function)({}))  # masks don't stay
        assert all(found[path][~mask].any() for path, mask in masks.items())


def test_the_same_call_gives_the_same_bits_whatever_was_asked_before():
    build, digests = builder(normalization), []
    first, second = (probe_of(build, precision="float32", agree=digests.append) for _ in range(2))
    scores = [getattr(first, name)({}) for name in ("synflow", "gradients", "hessian_gradient")]
    again = [getattr(second, name)({}) for name in ("hessian_gradient", "gradients", "synflow")]
    assert all(same(*pair) for pair in zip(scores, again[::-1], strict=True))
    assert digests[:3] == digests[:2:-1]  # what workers compare
    assert len(set(digests)) == 3


def test_dropout_noise_and_augmentation_are_off():
    def noisy():
        first, last = dense()()
        return [
            layers.RandomTranslation(0.5, 0.5),
            layers.Flatten(),
            layers.GaussianNoise(1.0),
            first,
            layers.Dropout(0.5),
            layers.ActivityRegularization(l2=1.0),  # no part of the loss
            last,
        ]

    def silent():
        return [layers.Flatten(), *dense()()]

    x, y = batch((2, 2, 1))
    loud, expected = (probe_of(builder(make, (2, 2, 1)), x=x, y=y) for make in (noisy, silent))
    loud._weights |= expected._weights
    for function in ("gradients", "hessian_gradient", "synflow"):
        assert same(getattr(loud, function)({}), getattr(expected, function)({}))


def test_recurrent_kernels_are_measured_and_their_dropout_is_off():
    def recurrent(dropout):
        cell = {"dropout": dropout, "recurrent_dropout": dropout}
        return builder(lambda: [layers.GRU(3, name="first", **cell), layers.Dense(2, name="last")], (5, 4))

    kernels = ["first/gru_cell/kernel", "first/gru_cell/recurrent_kernel"]
    x, y = batch((5, 4))
    loud, silent = (probe_of(recurrent(dropout), x=x, y=y, kernels=kernels) for dropout in (0.5, 0.0))
    loud._weights |= silent._weights
    expected = silent.gradients({})
    assert close(loud.gradients({}), expected)
    assert all(value.any() for value in expected.values())


def test_large_batches_are_computed_in_slices(monkeypatch):
    probe = probe_of(builder(dense("tanh")))
    expected = probe.gradients({}), probe.hessian_gradient({})
    monkeypatch.setattr(scores, "SLICE", 3)  # 8 examples: slices of 3, 3 and 2
    assert close(probe.gradients({}), expected[0])
    assert close(probe.hessian_gradient({}), expected[1])
    assert not same(probe.gradients({}), expected[0])


def frozen():
    first, norm, *rest = normalization()
    norm.trainable = False
    return [first, norm, *rest]


@pytest.mark.parametrize("make", [normalization, frozen])
def test_batch_normalization_has_the_statistics_of_each_slice_unless_it_is_frozen(make, monkeypatch):
    probe, (x, y) = probe_of(builder(make)), batch()
    whole = probe.gradients({})
    monkeypatch.setattr(scores, "SLICE", 4)
    sliced = probe.gradients({})
    halves = []
    for half in (slice(4), slice(4, 8)):
        probe._x, probe._y = x[half], y[half]
        halves.append(probe.gradients({}))
    assert close(sliced, {path: (halves[0][path] + halves[1][path]) / 2 for path in whole})
    assert close(sliced, whole, 1e-3) == (make is frozen)


def test_embeddings_frozen_and_unused_kernels_are_measured():
    def embedded():
        last = layers.Dense(2, name="last")
        last.trainable = False
        return [layers.Embedding(5, 3, name="table"), layers.Flatten(), last]

    probe = probe_of(
        builder(embedded, (2,)),
        x=np.float32([[0, 1], [1, 3]]),
        y=np.int32([0, 1]),
        kernels=["table/embeddings", "last/kernel"],
    )
    for function in ("gradients", "hessian_gradient"):
        found = getattr(probe, function)({})
        assert found["last/kernel"].any()
        assert found["table/embeddings"].any(1).tolist() == [True, True, False, True, False]


def test_second_derivatives_of_layers_of_keras_are_those_of_their_first():
    def make():
        return [
            layers.Conv2D(4, 2, name="first"),
            layers.GroupNormalization(2),
            layers.Activation("gelu"),
            layers.MaxPooling2D(2),
            layers.Reshape((4, 4)),
            layers.LayerNormalization(),
            layers.Flatten(),
            layers.Dense(2, name="last"),
        ]

    probe = probe_of(builder(make, (5, 5, 1)))
    gradient, product = probe.gradients({}), probe.hessian_gradient({})
    weights, moved, step = dict(probe._weights), [], 1e-4
    for offset, factor in STENCIL:
        for path, slope in gradient.items():
            name = f"model/{path}"
            probe._weights[name] = np.float64(weights[name]) + offset * step * slope
        moved.append({path: factor / step * slope for path, slope in probe.gradients({}).items()})
    assert close({path: sum(part[path] for part in moved) for path in product}, product, 1e-7)


def test_pixels_are_scaled_as_in_training():
    build = builder(dense("tanh"))
    x, y = np.random.default_rng(0).integers(0, 256, (8, 4), np.uint8), batch()[1]
    scaled = probe_of(build, x=x * np.float32(1 / 255), y=y, precision="float32").gradients({})
    assert same(probe_of(build, x=x, y=y, precision="float32").gradients({}), scaled)


CACHED = [layers.Dense(3, "tanh", name="first"), layers.Dense(2, name="last")]


def sixteen():
    return [layers.Dense(3, dtype="float16", name="first"), layers.Dense(2, name="last")]


def half_double():
    return [layers.Dense(3, dtype="float32", name="first"), layers.Dense(2, name="last")]


@pytest.mark.parametrize(
    ("make", "function", "options", "message"),
    [
        (
            lambda: [*dense()()[:1], Noisy(name="loud"), dense()()[1]],
            "gradients",
            {},
            "Received: 'loud', which draws",
        ),
        (
            lambda: [*dense()()[:1], Noisy(name="loud"), dense()()[1]],
            "synflow",
            {},
            "Received: 'loud', which draws",
        ),
        (
            lambda: [*dense()()[:1], Stopped(name="cut"), dense()()[1]],
            "hessian_gradient",
            {},
            "Received: 'cut'",
        ),
        (dense("softsign"), "hessian_gradient", {}, "TensorFlow has no derivative of SoftsignGrad"),
        (lambda: CACHED, "gradients", {}, "a builder that returns a new model each time"),
        (sixteen, "gradients", {"precision": "float32"}, "Received: 'first', which computes in float16"),
        (half_double, "synflow", {}, "Received: 'first', which computes in float32"),
        (dense(), "synflow", {"outputs": "probabilities"}, "Received: probabilities"),
        (lambda: [*dense()(), layers.Softmax()], "synflow", {"outputs": "values"}, "Received: probabilities"),
        (
            lambda: [*dense("relu")()[:1], layers.LayerNormalization(), layers.Dense(2, name="last")],
            "synflow",
            {},
            "flow of first/kernel is negative",
        ),
        (
            lambda: [*dense()(), layers.Activation("hard_sigmoid")],
            "synflow",
            {"outputs": "values"},
            "depend on no kernel",
        ),
    ],
)
def test_what_cannot_be_measured_is_refused_in_one_line(make, function, options, message):
    build = builder(make)
    weights = {name: 9 * value for name, value in drawn(build).items()}
    with pytest.raises(LotteryError, match=message) as caught:
        getattr(probe_of(build, weights, **options), function)({})
    assert "\n" not in str(caught.value)


def test_only_logits_are_divided_by_a_temperature():
    build = builder(dense())
    logits, others = probe_of(build), probe_of(build, outputs="values")
    with pytest.raises(LotteryError, match="Expected a cross-entropy of logits"):
        CRITERIA["grasp"](Evidence({"first/kernel": np.ones((4, 3))}, probe=others))
    plain = logits.hessian_gradient({})
    assert same(plain, others.hessian_gradient({}))
    assert not close(plain, logits.hessian_gradient({}, temperature=2.0), 0.1)


def test_gradients_that_are_not_finite_are_refused():
    build = builder(dense("relu"))
    weights = {name: np.full_like(value, 1e38) for name, value in drawn(build).items()}
    with pytest.raises(LotteryError, match="The gradient of first/kernel is NaN or infinite"):
        probe_of(build, weights, precision="float32").gradients({})


def test_weights_of_another_network_are_refused():
    with pytest.raises(LotteryError, match="Expected the state of this network"):
        probe_of(builder(dense()), {}).gradients({})


def test_examples_are_drawn_without_replacement_by_their_seed():
    split = Split(np.arange(40).reshape(20, 2), np.arange(10, dtype=np.int32), np.arange(0, 20, 2))
    some, again, other = (draw_examples(split, 6, seed) for seed in (1, 1, 2))
    assert same(some, again)
    assert not same(some, other)
    assert len(set(some["y"].tolist())) == 6
    assert (some["x"][:, 0] == 4 * some["y"]).all()
    everything = draw_examples(split, 1000, 1)
    assert sorted(everything["y"].tolist()) == list(range(10))
    assert everything["y"].tolist() != list(range(10))  # sorted data would make slices of one class


def test_a_trainers_probe_measures_its_network_in_float32_and_leaves_it_alone(digits):
    networks = ModelConfig(build="tests.training.networks:normalized")
    setup = trainer(digits, networks, precision="mixed_bfloat16", xla=False)
    before, weights = setup.weights(), setup.initial_weights(3)
    probe = setup.probe(weights, 300, 5)
    found = probe.gradients({})
    assert found.keys() == setup.shapes().keys()
    assert {value.dtype.name for value in found.values()} == {"float32"}
    same_in_float32 = trainer(digits, networks, xla=False).probe(weights, 300, 5)
    assert same(found, same_in_float32.gradients({}))
    assert not same(found, setup.probe(weights, 300, 6).gradients({}))
    assert same(probe.synflow({}), setup.probe(weights, 10, 6).synflow({}))  # looks at no examples
    for criterion in ("snip", "grasp", "synflow"):
        kernels = {path: weights[f"model/{path}"] for path in found}
        assert all(score.any() for score in CRITERIA[criterion](Evidence(kernels, probe=probe)).values())
    assert same(setup.weights(), before)


def test_networks_that_keras_cannot_copy_are_measured(digits):
    builders = (ModelConfig(build=f"tests.training.uncopyable:{name}") for name in ("copyable", "no_config"))
    first, second = (trainer(digits, model, xla=False) for model in builders)
    weights = first.initial_weights(3)
    measured = [each.probe(weights, 100, 5).gradients({}) for each in (first, second)]
    assert same(*measured)
    assert first.shapes().keys() == measured[0].keys()
