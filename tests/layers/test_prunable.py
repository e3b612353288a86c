import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

import tf_lottery as lottery
from tests import fresh
from tf_lottery.layers.access import kernels

OPTIMIZERS = {
    "sgd_momentum": lambda: keras.optimizers.SGD(0.05, momentum=0.9),
    "adam": lambda: keras.optimizers.Adam(0.01),
    "adamw": lambda: keras.optimizers.AdamW(0.01, weight_decay=0.1),
    "global_clipnorm": lambda: keras.optimizers.Adam(0.01, global_clipnorm=0.5),
}


def plain_model():
    keras.utils.set_random_seed(3)
    return keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            layers.Conv2D(6, 3, activation="relu", name="conv"),
            layers.BatchNormalization(),
            layers.Flatten(),
            layers.Dropout(0.2),
            layers.Dense(16, "relu", kernel_regularizer="l2", name="hidden"),
            layers.Dense(10, activity_regularizer="l2", name="output"),
        ]
    )


def compiled(model, optimizer=None, **options):
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer or keras.optimizers.Adam(0.01), loss, **options)
    return model


def assert_zeros(model):
    """Pruned weights are exactly +0.0, on every replica; survivors aren't."""
    for path, (kernel, kernel_mask) in kernels(model).items():
        copies = getattr(kernel.value, "values", [kernel.value])
        masks = getattr(kernel_mask.value, "values", [kernel_mask.value])
        for copy, mask in zip(copies, masks, strict=True):
            pruned = copy.numpy()[~mask.numpy()]
            assert pruned.tobytes() == bytes(pruned.nbytes), path
            assert np.count_nonzero(copy.numpy()) == np.count_nonzero(mask.numpy()), path


def assert_slots_zero(model):
    for path, (kernel, kernel_mask) in kernels(model).items():
        prefix = kernel.path.replace("/", "_") + "_"
        slots = [v for v in model.optimizer.variables if v.name.startswith(prefix)]
        assert slots, path
        for slot in slots:
            assert not np.asarray(slot)[~kernel_mask.numpy()].any(), (path, slot.name)


def test_forward_losses_and_gradients_equal_the_plain_model_bit_for_bit(digits):
    plain = plain_model()
    model = lottery.make_prunable(plain)
    x, y = digits.train.x[:64], digits.train.y[:64]

    def gradients(network):
        with tf.GradientTape() as tape:
            outputs = network(x, training=False)
            loss = tf.reduce_mean(keras.losses.sparse_categorical_crossentropy(y, outputs, from_logits=True))
            loss += tf.add_n(network.losses)
        return outputs, tape.gradient(loss, [v.value for v in network.trainable_variables])

    for ours, theirs in zip(gradients(model)[1], gradients(plain)[1], strict=True):
        assert (ours.numpy() == theirs.numpy()).all()
    assert (gradients(model)[0].numpy() == gradients(plain)[0].numpy()).all()
    assert [loss.numpy() for loss in model.losses] == [loss.numpy() for loss in plain.losses]


def test_fit_of_an_unpruned_model_equals_the_plain_model_bit_for_bit(digits):
    trained = []
    for convert in (lambda m: m, lottery.make_prunable):
        model = compiled(convert(plain_model()), optimizer=keras.optimizers.SGD(0.05, momentum=0.9))
        keras.utils.set_random_seed(4)
        model.fit(digits.train.x, digits.train.y, batch_size=100, epochs=1, shuffle=False, verbose=0)
        trained.append([np.asarray(v) for v in model.trainable_variables])
    for plain, ours in zip(*trained, strict=True):
        assert (plain == ours).all()


def test_pruned_weights_get_exactly_zero_gradient_even_from_nan():
    model = lottery.make_prunable(keras.Sequential([keras.Input((3,)), layers.Dense(4, name="output")]))
    lottery.prune(model, rate=0.5)
    ((kernel, kernel_mask),) = kernels(model).values()
    with tf.GradientTape() as tape:
        total = tf.reduce_sum(model(np.full((2, 3), -np.inf, np.float32)) * 0.0)
    gradient = tape.gradient(total, kernel.value).numpy()
    pruned = gradient[~kernel_mask.numpy()]
    assert pruned.tobytes() == bytes(pruned.nbytes)
    assert np.isnan(gradient[kernel_mask.numpy()]).any()


@pytest.fixture
def xla_allowed():
    """Keras refuses XLA in `fit` where op determinism is on, as our studies leave it."""
    from tensorflow.python.framework import config

    before = config.is_op_determinism_enabled()
    config.disable_op_determinism()
    yield
    if before:
        config.enable_op_determinism()


@pytest.mark.parametrize(
    ("name", "jit"), [("sgd_momentum", False), ("adam", True), ("adamw", False), ("global_clipnorm", False)]
)
def test_pruned_weights_stay_zero_under_optimizers(digits, xla_allowed, name, jit):
    model = compiled(lottery.make_prunable(plain_model()), OPTIMIZERS[name](), jit_compile=jit)
    assert model.jit_compile is jit
    data = digits.train.x[:300], digits.train.y[:300]
    model.fit(*data, epochs=1, verbose=0)
    lottery.prune(model, rate=0.6)  # in mid-training: the moments are warm
    assert_zeros(model)
    assert_slots_zero(model)
    model.fit(*data, epochs=2, verbose=0)
    assert_zeros(model)
    assert_slots_zero(model)
    assert lottery.sparsity(model) == pytest.approx(0.6, abs=0.01)


@pytest.mark.parametrize("name", [pytest.param("sgd_momentum", marks=pytest.mark.exhaustive), "adamw"])
def test_pruned_weights_stay_zero_on_two_mirrored_replicas(digits, name):
    devices = [device.name for device in tf.config.list_logical_devices("CPU")]
    assert len(devices) == 2
    strategy = tf.distribute.MirroredStrategy(devices, cross_device_ops=tf.distribute.ReductionToOneDevice())
    plain = plain_model()
    with strategy.scope():
        model = compiled(lottery.make_prunable(plain), OPTIMIZERS[name](), jit_compile=False)
    data = digits.train.x[:200], digits.train.y[:200]
    model.fit(*data, batch_size=50, epochs=1, verbose=0)
    lottery.prune(model, rate=0.6)
    model.fit(*data, batch_size=50, epochs=1, verbose=0)
    assert_zeros(model)
    for kernel, _ in kernels(model).values():
        first, second = (copy.numpy() for copy in kernel.value.values)
        assert (first == second).all()


def test_dense_weights_written_over_a_pruned_model_are_masked(digits, tmp_path):
    model = lottery.make_prunable(plain_model())
    model.save_weights(tmp_path / "dense.weights.h5")
    dense, before = model.get_weights(), lottery.get_masks(model)
    lottery.prune(model, rate=0.7)
    masks = lottery.get_masks(model)
    original = {
        path: kernel.numpy() for path, (kernel, _) in kernels(lottery.make_prunable(plain_model())).items()
    }

    for write in (
        lambda: model.set_weights(dense),
        lambda: model.load_weights(tmp_path / "dense.weights.h5"),
        lambda: [kernel.assign(kernel.numpy() + 1) for kernel, _ in kernels(model).values()],
    ):
        write()
        assert_zeros(model)
        for path, mask in lottery.get_masks(model).items():
            assert (mask == masks[path]).all()
            assert before[path].all()
    model.set_weights(dense)
    for path, (kernel, kernel_mask) in kernels(model).items():
        survivors = kernel_mask.numpy()
        assert (kernel.numpy()[survivors] == original[path][survivors]).all()


def test_weights_loaded_with_the_moments_of_weights_pruned_since_stay_zero(digits, tmp_path):
    """Late rewinding by hand: a weights file of a compiled model has its optimizer in it."""
    model = compiled(lottery.make_prunable(plain_model()), keras.optimizers.SGD(0.05, momentum=0.9))
    data = digits.train.x[:300], digits.train.y[:300]
    model.fit(*data, verbose=0)
    model.save_weights(tmp_path / "late.weights.h5")
    model.fit(*data, verbose=0)
    lottery.prune(model, rate=0.5)
    model.load_weights(tmp_path / "late.weights.h5")
    model.fit(*data, epochs=2, verbose=0)
    assert_zeros(model)


def test_pruned_weights_stay_zero_in_a_loop_of_the_users_own(digits):
    model = lottery.make_prunable(plain_model())
    optimizer = keras.optimizers.SGD(0.05, momentum=0.9)

    def step():
        with tf.GradientTape() as tape:
            outputs = model(digits.train.x[:100], training=True)
            losses = keras.losses.sparse_categorical_crossentropy(
                digits.train.y[:100], outputs, from_logits=True
            )
            loss = tf.reduce_mean(losses)
        variables = model.trainable_variables
        optimizer.apply(tape.gradient(loss, [v.value for v in variables]), variables)

    step()
    lottery.prune(model, rate=0.5)
    for _ in range(3):
        step()
    assert_zeros(model)


def test_a_layers_own_constraint_is_kept():
    unit = keras.constraints.UnitNorm(axis=0)
    dense = layers.Dense(4, kernel_constraint=unit, name="output")
    model = lottery.make_prunable(keras.Sequential([keras.Input((6,)), dense]))
    model.compile(keras.optimizers.SGD(0.1, momentum=0.9), "mse")
    lottery.prune(model, rate=0.5)
    model.fit(np.ones((8, 6), np.float32), np.ones((8, 4), np.float32), epochs=2, verbose=0)
    kernel = model.get_layer("output").layer.kernel.numpy()
    assert np.linalg.norm(kernel, axis=0) == pytest.approx(1, abs=1e-5)
    assert_zeros(model)


def test_set_masks_replaces_masks_and_refuses_what_does_not_fit():
    model = lottery.make_prunable(plain_model())
    masks = lottery.get_masks(model)
    lottery.prune(model, rate=0.5)
    lottery.set_masks(model, masks)  # the one way to bring weights back: they start at 0.0
    assert lottery.sparsity(model) == 0
    for bad in (
        {},
        {**masks, "foreign/kernel": masks["output/kernel"]},
        {**masks, "output/kernel": np.ones((3, 3), bool)},
        {**masks, "output/kernel": np.full(masks["output/kernel"].shape, 0.5)},
    ):
        with pytest.raises(lottery.LotteryError, match="Expected .*Received"):
            lottery.set_masks(model, bad)


def test_counts_are_exact_per_layer_and_by_pattern():
    model = lottery.make_prunable(plain_model())
    lottery.prune(model, rate=0.3, layer_rates={"output": 0.1, "conv*": 0.0})
    remaining = {path: int(mask.sum()) for path, mask in lottery.get_masks(model).items()}
    assert remaining == {"conv/kernel": 54, "hidden/kernel": 3456 - 1037, "output/kernel": 160 - 16}


def test_sparsity_over_prunable_weights_and_over_all_parameters():
    model = lottery.make_prunable(keras.Sequential([keras.Input((4,)), layers.Dense(5)]))
    lottery.prune(model, rate=0.5)
    assert lottery.sparsity(model) == 10 / 20
    assert lottery.sparsity(model, over="all") == 10 / 25
    model.trainable = False
    assert lottery.sparsity(model, over="all") == 10 / 20


def test_random_criterion_is_seeded_and_is_not_magnitude():
    masks = []
    for seed in (1, 1, 2):
        model = lottery.make_prunable(plain_model())
        lottery.prune(model, rate=0.5, criterion="random", seed=seed)
        masks.append(lottery.get_masks(model)["hidden/kernel"])
    assert (masks[0] == masks[1]).all()
    assert (masks[0] != masks[2]).any()


IN_A_FRESH_PROCESS = """
import sys, keras, numpy as np, tf_lottery
from tests.layers.test_prunable import assert_zeros, plain_model
kind, file, x, outputs = sys.argv[1:]
if kind == "model":
    model = keras.models.load_model(file)
else:
    model = tf_lottery.make_prunable(plain_model())
    model.load_weights(file)
assert_zeros(model)
assert tf_lottery.sparsity(model) > 0.69, tf_lottery.sparsity(model)
assert (model.predict(np.load(x), verbose=0) == np.load(outputs)).all()
"""


@pytest.mark.parametrize("kind", ["model", "weights"])
def test_saved_and_loaded_in_a_fresh_process_unchanged(digits, tmp_path, kind):
    model = compiled(lottery.make_prunable(plain_model()))
    lottery.prune(model, rate=0.7)
    model.fit(digits.train.x[:200], digits.train.y[:200], verbose=0)
    file = str(tmp_path / ("model.keras" if kind == "model" else "model.weights.h5"))
    (model.save if kind == "model" else model.save_weights)(file)
    np.save(tmp_path / "x.npy", digits.test.x)
    np.save(tmp_path / "outputs.npy", model.predict(digits.test.x, verbose=0))
    arguments = [kind, file, tmp_path / "x.npy", tmp_path / "outputs.npy"]
    fresh.check(*arguments, script=IN_A_FRESH_PROCESS)


def test_a_layer_without_kernels_is_refused():
    with pytest.raises(lottery.LotteryError, match="Received: Flatten"):
        lottery.PrunableLayer(layers.Flatten())
