"""Pruned weights stay exactly zero under every optimizer that Keras has."""

import inspect

import keras
import numpy as np
import pytest

import tf_lottery as lottery
from tf_lottery.layers.access import kernels

NEEDS = {
    "LossScaleOptimizer": lambda: keras.optimizers.LossScaleOptimizer(keras.optimizers.Adam(0.02)),
    "MultiOptimizer": lambda: keras.optimizers.MultiOptimizer(
        keras.optimizers.OptimizerMap(
            keras.optimizers.SGD(0.05, momentum=0.9), {".*conv.*": keras.optimizers.Adam(0.02)}
        )
    ),
}
"""Those that can't be made without other optimizers."""


def classes():
    """Every optimizer class of this Keras but the base: one that a later Keras adds is tried, too."""
    found = inspect.getmembers(keras.optimizers, inspect.isclass)
    return {
        name: cls
        for name, cls in found
        if issubclass(cls, keras.optimizers.Optimizer) and cls is not keras.optimizers.Optimizer
    }


def optimizer(name, **options):
    if name in NEEDS:
        return NEEDS[name]()
    cls = classes()[name]
    if "momentum" in inspect.signature(cls).parameters:
        options.setdefault("momentum", 0.9)
    return cls(**{"learning_rate": 0.02, **options})


OPTIONS = {
    "no_momentum": lambda: keras.optimizers.SGD(0.05),
    "nesterov": lambda: keras.optimizers.SGD(0.05, momentum=0.9, nesterov=True),
    "amsgrad": lambda: keras.optimizers.Adam(0.02, amsgrad=True),
    "centered": lambda: keras.optimizers.RMSprop(0.02, centered=True, momentum=0.9),
    "clipnorm": lambda: keras.optimizers.Adam(0.02, clipnorm=0.1),
    "clipvalue": lambda: keras.optimizers.Adam(0.02, clipvalue=0.01),
    "global_clipnorm": lambda: keras.optimizers.SGD(0.05, momentum=0.9, global_clipnorm=0.1),
    "weight_decay": lambda: keras.optimizers.SGD(0.05, momentum=0.9, weight_decay=0.1),
    "accumulation": lambda: keras.optimizers.Adam(0.02, gradient_accumulation_steps=2),
    "accumulation_ema": lambda: keras.optimizers.SGD(
        0.02, momentum=0.9, gradient_accumulation_steps=2, use_ema=True, ema_overwrite_frequency=3
    ),
    "ema": lambda: keras.optimizers.Adam(0.02, use_ema=True, ema_momentum=0.5),
    "ema_overwrite": lambda: keras.optimizers.Adam(0.02, use_ema=True, ema_overwrite_frequency=2),
    "loss_scale_sgd": lambda: keras.optimizers.LossScaleOptimizer(
        keras.optimizers.SGD(0.02, momentum=0.9), initial_scale=4.0, dynamic_growth_steps=2
    ),
    "loss_scale_ema": lambda: keras.optimizers.LossScaleOptimizer(
        keras.optimizers.Adam(0.02, use_ema=True, ema_overwrite_frequency=2), initial_scale=4.0
    ),
}
AS_GRAPHS = ("SGD", "AdamW", "Ftrl", "MultiOptimizer", "LossScaleOptimizer", "clipnorm", "accumulation_ema")
QUICK = ("clipnorm", "global_clipnorm", "weight_decay", "accumulation", "ema_overwrite")


def small():
    keras.utils.set_random_seed(3)
    return keras.Sequential(
        [
            keras.Input((6, 6, 1)),
            keras.layers.Conv2D(4, 3, activation="tanh"),
            keras.layers.Flatten(),
            keras.layers.Dense(8, "tanh"),
            keras.layers.Dense(3),
        ]
    )


def zeros(model):
    """Return how many pruned weights aren't exactly +0.0, and how many survivors are."""
    back = gone = 0
    for kernel, kernel_mask in kernels(model).values():
        values, mask = kernel.numpy(), kernel_mask.numpy()
        back += int(np.count_nonzero(values[~mask].view(np.uint32)))
        gone += int(np.count_nonzero(values[mask] == 0))
    return back, gone


def assert_slots_zero(model):
    for kernel, kernel_mask in kernels(model).values():
        prefix = kernel.path.replace("/", "_") + "_"
        for slot in model.optimizer.variables:
            if slot.name.startswith(prefix) and slot.shape == kernel.shape:
                assert not slot.numpy()[~kernel_mask.numpy()].any(), slot.path


def train(model, **options):
    random = np.random.default_rng(0)
    x, y = random.normal(size=(24, 6, 6, 1)).astype(np.float32), random.normal(size=(24, 3))
    return model.fit(x, y, batch_size=8, epochs=1, verbose=0, **options)


def pruned_in_mid_training(optimizer, **options):
    model = lottery.make_prunable(small())
    model.compile(optimizer, "mse", jit_compile=False, **options)
    train(model)
    before = [v.numpy() for v in model.trainable_variables]
    lottery.prune(model, rate=0.5)
    assert_slots_zero(model)
    train(model)
    after = [v.numpy() for v in model.trainable_variables]
    assert all((one != other).any() for one, other in zip(before, after, strict=True))
    return model


def made(name):
    return OPTIONS[name]() if name in OPTIONS else optimizer(name)


@pytest.mark.parametrize(
    "name",
    [
        *classes(),
        *(name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in OPTIONS),
    ],
)
def test_pruned_weights_stay_zero_under_every_optimizer(name):
    model = pruned_in_mid_training(made(name), run_eagerly=True)
    assert zeros(model) == (0, 0)
    assert lottery.sparsity(model) == pytest.approx(0.5, abs=0.01)


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=pytest.mark.slow if name in AS_GRAPHS else pytest.mark.exhaustive)
        for name in [*classes(), *OPTIONS]
    ],
)
def test_pruned_weights_stay_zero_under_every_optimizer_as_a_graph(name):
    assert zeros(pruned_in_mid_training(made(name))) == (0, 0)


@pytest.mark.parametrize(("guarded", "stays"), [(True, True), (False, False)])
def test_muon_mixes_whole_matrices_and_the_guard_masks_after_it(guarded, stays):
    if not hasattr(keras.optimizers, "Muon"):
        pytest.skip("this Keras has no Muon")
    model = lottery.make_prunable(small())
    lottery.prune(model, rate=0.5)
    if not guarded:
        for kernel, _ in kernels(model).values():
            kernel.constraint = None
    model.compile(keras.optimizers.Muon(0.02), "mse", jit_compile=False)
    train(model)
    back, gone = zeros(model)
    assert (back == 0) is stays
    assert gone == 0


def test_adafactor_needs_a_larger_epsilon_where_whole_rows_and_columns_are_pruned():
    """Of Keras's own: it divides 0 by the root of a product of two means of squares that are 1e-30."""
    for epsilon, finite in ((1e-12, True), (1e-30, False)):
        model = lottery.make_prunable(small())
        masks = lottery.get_masks(model)
        path = next(path for path, mask in masks.items() if mask.ndim == 2)
        masks[path][:2] = masks[path][:, :2] = False
        lottery.set_masks(model, masks)
        model.compile(keras.optimizers.Adafactor(0.02, epsilon_1=epsilon), "mse", run_eagerly=True)
        train(model)
        assert bool(np.isfinite(kernels(model)[path][0].numpy()).all()) is finite
        if finite:
            assert zeros(model) == (0, 0)
