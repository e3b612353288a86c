"""What holds for every layer that can be pruned, in a Functional and in a subclassed model."""

import functools
import json

import keras
import numpy as np
import pytest
import tensorflow as tf

import tf_lottery as lottery
from tests import fresh
from tests.layers.cases import (
    CASES,
    EMBEDDINGS,
    STYLES,
    Block,
    Noisy,
    Watching,
    assert_equal,
    assert_zeros,
    make,
    make_prunable,
    targets,
    together,
    zero_like,
)
from tests.layers.test_prunable import xla_allowed  # noqa: F401
from tf_lottery.layers.access import kernels

KINDS = ("Dense", "Conv2D", "SeparableConv1D", "MultiHeadAttention", "Embedding", "GRU", "Block", "Noisy")
"""One of each kind. (Watching isn't one: Keras itself can't add up losses of two dtypes.)"""


def marked(style, name, *more, slow=False):
    """A case, quick or slow; of subclassed models slow where it is one of `KINDS`, else exhaustive."""
    if style == "subclassed" or slow:
        mark = pytest.mark.slow if name in KINDS else pytest.mark.exhaustive
        return pytest.param(style, name, *more, marks=mark)
    return pytest.param(style, name, *more)


STYLES_AND_CASES = [marked(style, name) for style in STYLES for name in CASES]
every_style_and_case = pytest.mark.parametrize(("style", "name"), STYLES_AND_CASES)


def run(model, x, training):
    """Return outputs, losses and gradients (of the trained variables), as bytes; and the raw gradients."""
    keras.utils.set_random_seed(5)
    with tf.GradientTape() as tape:
        outputs = model(x, training=training)
        loss = tf.reduce_mean(tf.square(outputs)) + sum(model.losses)
    gradients = tape.gradient(loss, [v.value for v in model.trainable_variables])
    gradients = [g if g is None else tf.convert_to_tensor(g).numpy() for g in gradients]
    seen = [outputs, loss, *model.losses]
    return [np.asarray(value).tobytes() for value in seen], gradients


def call(model, x, training=False):
    keras.utils.set_random_seed(5)
    return np.asarray(model(x, training=training)).tobytes()


def bits(gradients):
    return [g if g is None else (g + 0.0).tobytes() for g in gradients]  # -0.0 counts as 0.0


@every_style_and_case
def test_computes_the_same_until_it_is_pruned(style, name):
    plain, model, x = STYLES[style](name), make(style, name), CASES[name].inputs()
    assert len(lottery.get_masks(model)) == CASES[name].masks
    for training in (False, True):
        (seen, gradients), (expected, theirs) = run(model, x, training), run(plain, x, training)
        assert seen == expected
        assert bits(gradients) == bits(theirs)
    assert_equal(plain, model)


@every_style_and_case
def test_pruned_it_computes_what_the_plain_model_with_zeros_does(style, name):
    plain, model, x = STYLES[style](name), make(style, name), CASES[name].inputs()
    lottery.prune(model, rate=0.5)
    assert_zeros(model, 0.5)
    zero_like(plain, model)
    masks = {id(kernel): kernel_mask.numpy() for kernel, kernel_mask in kernels(model).values()}
    (seen, gradients), (expected, theirs) = run(model, x, True), run(plain, x, True)
    assert seen == expected
    masked = 0
    for variable, gradient, dense in zip(model.trainable_variables, gradients, theirs, strict=True):
        mask = masks.get(id(variable))
        if mask is not None:
            assert gradient[~mask].tobytes() == bytes(gradient[~mask].nbytes)
            assert dense[~mask].any()
            dense, masked = np.where(mask, dense, 0), masked + 1
        assert bits([gradient]) == bits([dense])
    assert masked == len(masks)
    stripped = lottery.strip(model)
    assert type(stripped) is type(plain)
    assert_equal(plain, stripped)
    assert call(stripped, x, True) == call(plain, x, True)


AS_GRAPHS = ("Conv2D", "MultiHeadAttention", "GRU", "Block", "Watching", "SpectralNormalization")
"""Those that train alone as graphs, which take seconds to trace. Below, the kinds do, together."""
LIKE_OTHERS = {
    *("Conv1D", "Conv3D", "Conv1DTranspose", "Conv3DTranspose", "DepthwiseConv1D", "SeparableConv2D"),
    *("MultiHeadAttention_causal", "LSTM_state", "TimeDistributed"),
}
"""Those that train as another case does: in other dimensions, or called in another way."""


def fit_alike(plain, model, x, **options):
    """Train both, prune in mid-training, train on."""
    y = targets(plain, x)
    for network in (plain, model):
        network.compile(keras.optimizers.Adam(0.01), "mse", weighted_metrics=["mae"], **options)
        keras.utils.set_random_seed(5)
        network.fit(x, y, epochs=2, shuffle=False, verbose=0)
    lottery.prune(model, rate=0.5)
    zero_like(plain, model)
    histories = []
    for network in (plain, model):
        network.train_function = None  # it has seen no constraints, and another generator of seeds
        keras.utils.set_random_seed(6)
        histories.append(network.fit(x, y, epochs=2, shuffle=False, verbose=0).history)
    assert_zeros(model, 0.5)
    assert_equal(plain, model)
    assert histories[0] == histories[1]


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=pytest.mark.exhaustive if name in LIKE_OTHERS else pytest.mark.slow)
        for name in CASES
    ],
)
def test_trained_with_pruning_in_mid_training(name):
    style = "functional"  # the subclassed ones train together, below
    eager = name not in AS_GRAPHS
    model = make(style, name)
    fit_alike(STYLES[style](name), model, CASES[name].inputs(), jit_compile=False, run_eagerly=eager)


@every_style_and_case
def test_made_again_from_its_configuration_and_weights(style, name, tmp_path):
    model, x = make(style, name), CASES[name].inputs()
    dense = model.get_weights()
    model.save_weights(tmp_path / "dense.weights.h5")
    lottery.prune(model, rate=0.5)
    again = type(model).from_config(model.get_config())
    assert type(again) is type(model)
    again.set_weights(model.get_weights())
    assert_zeros(again, 0.5)
    assert call(again, x) == call(model, x)
    pruned = model.get_weights()
    file = tmp_path / "dense.weights.h5"
    for write in (lambda: model.set_weights(dense), lambda: model.load_weights(file)):
        for kernel, _ in kernels(model).values():
            kernel.assign(kernel * 0)
        write()
        assert_zeros(model, 0.5)
        assert all((one == other).all() for one, other in zip(pruned, model.get_weights(), strict=True))


IN_A_FRESH_PROCESS = """
import json, pathlib, sys, traceback
import keras, numpy as np
from tests.layers.cases import CASES, assert_zeros, make
folder, style, kind, found = pathlib.Path(sys.argv[1]), sys.argv[2], sys.argv[3], {}
for name in sys.argv[4:]:
    file = folder / f"{name}.{kind}"
    try:
        if kind == "keras":
            model = keras.models.load_model(file)
        else:
            model = make(style, name)
            model.load_weights(file)
        assert_zeros(model, 0.5)
        keras.utils.set_random_seed(5)
        outputs = np.asarray(model(CASES[name].inputs()))
        assert outputs.tobytes() == np.load(folder / f"{name}.npy").tobytes(), "outputs"
    except Exception:
        found[name] = traceback.format_exc()
    else:
        found[name] = "equal"
(folder / "found.json").write_text(json.dumps(found))
"""


@pytest.fixture(scope="module")
def loaded(tmp_path_factory):
    """What one fresh process found in the files of cases: style, kind of file, cases -> case -> what."""

    @functools.cache
    def found(style, kind, names):
        folder = tmp_path_factory.mktemp("saved")
        for name in names:
            model = make(style, name)
            lottery.prune(model, rate=0.5)
            (model.save if kind == "keras" else model.save_weights)(folder / f"{name}.{kind}")
            keras.utils.set_random_seed(5)
            np.save(folder / f"{name}.npy", np.asarray(model(CASES[name].inputs())))
        fresh.check(folder, style, kind, *names, script=IN_A_FRESH_PROCESS)
        return json.loads((folder / "found.json").read_text())

    return found


@pytest.mark.parametrize(
    ("style", "name", "kind"),
    [marked(s, n, k, slow=k != "keras") for k in ("keras", "weights.h5") for s in STYLES for n in CASES],
)
def test_loaded_in_a_fresh_process_unchanged(loaded, style, name, kind):
    names = tuple(CASES) if (style, kind) == ("functional", "keras") else KINDS
    names = names if name in names else tuple(name for name in CASES if name not in KINDS)
    assert loaded(style, kind, names)[name] == "equal"


def train_together(model, x, **options):
    y = targets(model, x)
    model.compile(keras.optimizers.Adam(0.01), dict.fromkeys(x, "mse"), **options)
    model.fit(x, y, batch_size=4, epochs=1, verbose=0)
    lottery.prune(model, rate=0.5)
    history = model.fit(x, y, batch_size=4, epochs=2, verbose=0).history
    assert np.isfinite(history["loss"]).all()
    assert_zeros(model, 0.5)


# XLA takes a minute to compile all: one half of the kinds in each style, each with a policy of its own.
@pytest.mark.parametrize(
    ("style", "policy", "names"),
    [
        pytest.param("functional", "mixed_bfloat16", KINDS[::2], marks=pytest.mark.slow, id="bfloat16"),
        pytest.param("subclassed", "mixed_float16", KINDS[1::2], marks=pytest.mark.slow, id="float16"),
        pytest.param("functional", "mixed_bfloat16", KINDS, marks=pytest.mark.exhaustive, id="kinds"),
        pytest.param("functional", "float32", tuple(CASES), marks=pytest.mark.exhaustive, id="all"),
    ],
)
def test_trained_under_xla(xla_allowed, style, policy, names):  # noqa: F811
    keras.config.set_dtype_policy(policy)
    try:
        plain, x = together(style, names)
        model = make_prunable(plain, kernels=EMBEDDINGS if "Embedding" in names else {})
        train_together(model, x, jit_compile=True)
    finally:
        keras.config.set_dtype_policy("float32")


@pytest.mark.parametrize(
    ("style", "names"),
    [
        pytest.param("functional", tuple(CASES), marks=pytest.mark.exhaustive, id="all"),
        pytest.param("functional", KINDS[::2], marks=pytest.mark.slow, id="functional"),
        pytest.param("subclassed", KINDS[1::2], marks=pytest.mark.slow, id="subclassed"),
    ],
)
def test_trained_on_two_mirrored_replicas(style, names):
    devices = [device.name for device in tf.config.list_logical_devices("CPU")]
    strategy = tf.distribute.MirroredStrategy(devices, cross_device_ops=tf.distribute.ReductionToOneDevice())
    with strategy.scope():
        # Keras itself can't draw without a seed on replicas.
        plain, x = together(style, [name for name in names if name != "Noisy"])
        model = make_prunable(plain, kernels=EMBEDDINGS if "Embedding" in names else {})
        train_together(model, x, jit_compile=False)
    for kernel, _ in kernels(model).values():
        first, second = (copy.numpy() for copy in kernel.value.values)
        assert (first == second).all()


def seen_masks(layers, x):
    """Return the mask of sequences that each layer of a chain leaves on its output, and the output."""
    masks = []
    for layer in layers:
        x = layer(x)
        mask = getattr(x, "_keras_mask", None)
        masks.append(None if mask is None else np.asarray(mask).tobytes())
    return masks, np.asarray(x).tobytes()


CHAINS = {
    "sequence": lambda: [
        keras.layers.LSTM(3, return_sequences=True),
        keras.layers.TimeDistributed(keras.layers.Dense(3)),
        keras.layers.Dense(4),
        keras.layers.GRU(2),
    ],
    "mask_gone": lambda: [keras.layers.LSTM(3), keras.layers.Dense(2)],
    "bidirectional": lambda: [
        keras.layers.Bidirectional(keras.layers.GRU(3, return_sequences=True)),
        keras.layers.Bidirectional(keras.layers.LSTM(2)),
    ],
    "not_supported": lambda: [keras.layers.Conv1D(3, 2), keras.layers.SimpleRNN(2)],
    "time_distributed_sequences": lambda: [keras.layers.TimeDistributed(keras.layers.Dense(3))],
}


@pytest.mark.filterwarnings("ignore:.*does not support masking")
@pytest.mark.parametrize("name", CHAINS)
def test_masks_of_sequences_pass_through(name):
    keras.utils.set_random_seed(3)
    x = np.array([[1, 2, 0, 0], [3, 0, 0, 0], [1, 2, 3, 4]])
    plain = keras.Sequential(
        [keras.Input((4,), dtype="int32"), keras.layers.Embedding(9, 3, mask_zero=True), *CHAINS[name]()]
    )
    model = make_prunable(plain, kernels=EMBEDDINGS)
    (masks, outputs), (expected, theirs) = seen_masks(model.layers, x), seen_masks(plain.layers, x)
    assert masks == expected
    assert masks[0] is not None
    assert outputs == theirs
    assert np.asarray(model(x)).tobytes() == np.asarray(plain(x)).tobytes()
    losses = []
    for network in (plain, model):  # the loss leaves out what is masked
        network.compile("sgd", "mse", run_eagerly=True)
        losses.append(network.evaluate(x, targets(plain, x), verbose=0))
    assert losses[0] == losses[1]


def test_a_mask_given_by_hand_counts():
    layer = lottery.PrunableLayer(keras.layers.LSTM(3))
    x = np.random.default_rng(0).normal(size=(2, 4, 3)).astype(np.float32)
    mask = np.array([[1, 1, 0, 0], [1, 1, 1, 1]], bool)
    masked = layer(x, mask=mask)
    assert (masked.numpy() == layer.layer(x, mask=mask).numpy()).all()
    assert (masked.numpy() != layer(x).numpy()).any()


def test_arguments_that_are_tensors_and_others_can_be_mixed():
    layer = lottery.PrunableLayer(keras.layers.MultiHeadAttention(2, 3))
    x = np.random.default_rng(0).normal(size=(2, 4, 6)).astype(np.float32)
    outputs, scores = layer(query=x, value=x, use_causal_mask=True, return_attention_scores=True)
    expected, theirs = layer.layer(query=x, value=x, use_causal_mask=True, return_attention_scores=True)
    assert (outputs.numpy() == expected.numpy()).all()
    assert (scores.numpy() == theirs.numpy()).all()


@pytest.mark.parametrize("layer", [Noisy, Block, lambda: keras.layers.LSTM(3, dropout=0.5)])
def test_successive_random_numbers_differ_and_are_the_plain_models(layer):
    keras.utils.set_random_seed(3)
    x = np.random.default_rng(0).normal(size=(4, 4, 4)).astype(np.float32)
    plain = keras.Sequential([keras.Input((4, 4)), layer()])
    model = make_prunable(plain)
    drawn = []
    for network in (plain, model):
        keras.utils.set_random_seed(4)
        call = tf.function(lambda network=network: network(x, training=True))
        drawn.append([call().numpy().tobytes() for _ in range(3)])
    assert drawn[0] == drawn[1]
    assert len(set(drawn[0])) == 3
    assert_equal(plain, model)


@pytest.mark.parametrize("style", STYLES)
def test_losses_and_metrics_pass_through(style):
    plain, model, x = STYLES[style]("Watching"), make(style, "Watching"), CASES["Watching"].inputs()
    histories = []
    for network in (plain, model):
        network.compile("sgd", "mse", metrics=["mae"])
        histories.append(network.fit(x, targets(plain, x), epochs=2, verbose=0).history)
        assert len(network.losses) == 3
    assert histories[0] == histories[1]
    assert "mean_output" in histories[0]
    inner = [
        next(v for v in network._flatten_layers() if isinstance(v, Watching)) for network in (plain, model)
    ]
    assert [float(v.mean.result()) for v in inner] == [histories[0]["mean_output"][-1]] * 2
