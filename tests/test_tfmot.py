"""Models pruned by the real tfmot become tickets. (Trained on real digits, a few steps.)"""

import os
import re
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

from tf_lottery import tfmot as tfmot_
from tf_lottery.errors import LotteryError
from tf_lottery.layers.paths import named_variables
from tf_lottery.tfmot import load_tfmot, ticket_from_tfmot
from tf_lottery.ticket import Ticket

pytestmark = pytest.mark.filterwarnings("ignore:You are saving your model as an HDF5 file")

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs/from_tfmot.md").read_text()
FILES = ("pruned.h5", "pruned.keras", "pruned")
KERNELS = {"block/conv/kernel", "block/sep/pointwise_kernel", "hidden/kernel"}
"""Those that tfmot prunes in `network`: the output isn't wrapped."""


@pytest.fixture(scope="module")
def tfmot():
    return load_tfmot()


@pytest.fixture(scope="module")
def tf_keras(tfmot):
    import tf_keras

    return tf_keras


def network(keras):
    """The same model in either Keras."""
    layers = keras.layers
    block = keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            layers.Conv2D(4, 3, name="conv"),
            layers.BatchNormalization(name="bn"),
            layers.SeparableConv2D(6, 3, name="sep"),
            layers.DepthwiseConv2D(2, name="depthwise"),
        ],
        name="block",
    )
    inputs = keras.Input((8, 8, 1))
    features = layers.Flatten(name="flat")(layers.Dropout(0.1, name="drop")(block(inputs)))
    hidden = layers.Dense(16, "relu", name="hidden")(features)
    return keras.Model(inputs, layers.Dense(10, name="output")(hidden), name="net")


def images(digits):
    return digits.train.x.reshape(-1, 8, 8, 1)[:640], digits.train.y[:640]


def wrapped(tfmot, tf_keras, model):
    """A copy, pruned but for its output."""
    sparsity = tfmot.sparsity.keras

    def wrap(layer):
        if isinstance(layer, tf_keras.Model):
            return tf_keras.models.clone_model(layer, clone_function=wrap)
        if layer.name not in ("conv", "sep", "hidden"):
            return layer
        schedule = sparsity.PolynomialDecay(0.0, 0.75, 0, 30, frequency=10)
        return sparsity.prune_low_magnitude(layer, schedule)

    return tf_keras.models.clone_model(model, clone_function=wrap)


@pytest.fixture(scope="module")
def here(tfmot, tf_keras, digits, tmp_path_factory):
    """The directory of the files of a model: before pruning, pruned in each format, stripped."""
    directory = tmp_path_factory.mktemp("tfmot")
    start = network(tf_keras)
    start.save(directory / "start.keras")
    pruned = wrapped(tfmot, tf_keras, start)
    pruned.compile("adam", tf_keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    pruned.fit(*images(digits), epochs=2, verbose=0, callbacks=[tfmot.sparsity.keras.UpdatePruningStep()])
    for file in FILES:
        pruned.save(directory / file)
    tfmot.sparsity.keras.strip_pruning(pruned).save(directory / "stripped.h5")
    return directory


@pytest.fixture(scope="module")
def pruned(tfmot, tf_keras, here):
    with tfmot.sparsity.keras.prune_scope():
        return tf_keras.models.load_model(here / "pruned.keras")


@pytest.fixture(scope="module")
def ticket(pruned):
    return ticket_from_tfmot(pruned)


def same(ours, theirs):
    assert ours.keys() == theirs.keys()
    for path in ours:
        np.testing.assert_array_equal(ours[path], theirs[path], path)


def test_masks_are_those_of_the_wrappers(ticket, pruned):
    layers = {"hidden/kernel": pruned.get_layer("prune_low_magnitude_hidden")}
    for name, path in (("conv", "block/conv/kernel"), ("sep", "block/sep/pointwise_kernel")):
        layers[path] = pruned.get_layer("block").get_layer(f"prune_low_magnitude_{name}")
    assert ticket.masks.keys() == layers.keys() == KERNELS
    for path, layer in layers.items():
        ((weight, mask, _),) = layer.pruning_vars
        np.testing.assert_array_equal(ticket.masks[path], mask.numpy() == 1, path)
        assert ticket.masks[path].dtype == bool
        assert ticket.masks[path].sum() == round(0.25 * mask.numpy().size)
        np.testing.assert_array_equal(
            ticket.trained[path][ticket.masks[path]], weight.numpy()[mask.numpy() == 1]
        )


def test_pruned_weights_are_zero_and_others_travel_as_they_are(ticket, pruned):
    for group in (ticket.weights, ticket.trained):
        for path, mask in ticket.masks.items():
            assert not group[path][~mask].any()
            assert not np.signbit(group[path][~mask]).any()
    np.testing.assert_array_equal(ticket.trained["output/kernel"], pruned.get_layer("output").kernel.numpy())
    assert ticket.trained["output/kernel"].all()
    same(ticket.weights, ticket.trained)
    assert ticket.provenance["rewind_to"] == "trained"
    assert ticket.provenance["model"] == "net"


@pytest.mark.parametrize("file", [*FILES, "stripped.h5"])
def test_every_file_gives_the_same_ticket(ticket, here, file):
    found = ticket_from_tfmot(here / file)
    same(found.masks, ticket.masks)
    same(found.trained, ticket.trained)
    assert found.provenance["file"] == str(here / file)
    assert found.provenance["masks_from"] == ("zeros" if file == "stripped.h5" else "wrappers")


def test_weights_that_are_not_masked_yet_are_zero_in_the_ticket(tfmot, tf_keras, here, ticket):
    """Within an epoch tfmot's kernels aren't sparse."""
    with tfmot.sparsity.keras.prune_scope():
        model = tf_keras.models.load_model(here / "pruned.keras")
    layer = model.get_layer("prune_low_magnitude_hidden")
    layer.layer.kernel.assign_add(np.full_like(layer.layer.kernel.numpy(), 0.5))
    found = ticket_from_tfmot(model)
    same(found.masks, ticket.masks)
    assert not found.trained["hidden/kernel"][~found.masks["hidden/kernel"]].any()


def test_a_keras_3_model_with_its_weights_answers_the_same(ticket, pruned, digits):
    twin = network(keras)
    variables = {p: v for p, v in named_variables(twin).items() if not p.startswith("other/")}
    assert variables.keys() == ticket.trained.keys()
    for path, variable in variables.items():
        variable.assign(ticket.trained[path])
    x = images(digits)[0][:64]
    np.testing.assert_allclose(twin(x), pruned(x), rtol=1e-5, atol=1e-5)


def test_the_ticket_starts_from_initial_weights(ticket, tf_keras, here):
    start = tf_keras.models.load_model(here / "start.keras")
    found = ticket_from_tfmot(here / "pruned.h5", initial=start)
    same(found.trained, ticket.trained)
    assert found.provenance["rewind_to"] == "initial"
    theta = start.get_layer("hidden").kernel.numpy()
    mask = found.masks["hidden/kernel"]
    np.testing.assert_array_equal(found.weights["hidden/kernel"], np.where(mask, theta, 0))
    assert (found.weights["block/bn/moving_variance"] == 1).all()
    same(found.weights, ticket_from_tfmot(here / "pruned.h5", here / "start.keras").weights)
    same(found.weights, ticket_from_tfmot(here / "pruned.h5", dict(found.weights)).weights)


def test_initial_weights_must_be_of_the_same_model(ticket, pruned):
    weights = dict(ticket.weights)
    del weights["output/bias"]
    with pytest.raises(LotteryError, match=r"missing \['output/bias'\], not in the model \['x'\]"):
        ticket_from_tfmot(pruned, {**weights, "x": np.zeros(1)})
    with pytest.raises(LotteryError, match=r"output/bias of shape \(10,\). Received: \(11,\)"):
        ticket_from_tfmot(pruned, {**weights, "output/bias": np.zeros(11)})


def test_a_ticket_of_tfmot_is_saved_and_read(ticket, tmp_path):
    ticket.save(tmp_path / "x.npz")
    found = Ticket.load(tmp_path / "x.npz")
    same(found.masks, ticket.masks)
    same(found.weights, ticket.weights)
    assert found.provenance == ticket.provenance


def test_of_a_stripped_model_only_kernels_with_zeros_have_masks(tf_keras):
    """GRU's biases have two dimensions and are zeros; they are no kernels."""
    model = tf_keras.Sequential(
        [
            tf_keras.Input((5, 3)),
            tf_keras.layers.GRU(4, return_sequences=True, name="gru"),
            tf_keras.layers.DepthwiseConv1D(2, name="depthwise"),
            tf_keras.layers.Dense(2, name="out"),
        ]
    )
    for kernel in (
        model.get_layer("gru").cell.recurrent_kernel,
        model.get_layer("depthwise").depthwise_kernel,
    ):
        kernel.assign(np.where(np.arange(kernel.shape.num_elements()).reshape(kernel.shape) % 2, 1.0, 0.0))
    masks = ticket_from_tfmot(model).masks
    assert list(masks) == ["gru/gru_cell/recurrent_kernel", "depthwise/kernel"]
    assert masks["depthwise/kernel"].ravel().tolist() == [False, True] * 4


def test_a_custom_layer_says_which_weights_are_kernels(tf_keras):
    class Scaled(tf_keras.layers.Layer):
        def build(self, shape):
            self.matrix = self.add_weight("matrix", (shape[-1], 3))

        def call(self, x):
            return x @ self.matrix

        def get_prunable_weights(self):
            return [self.matrix]

    model = tf_keras.Sequential([tf_keras.Input((2,)), Scaled(name="scaled")])
    model.layers[0].matrix.assign([[1, 0, 1], [0, 1, 1]])
    assert ticket_from_tfmot(model).masks["scaled/matrix"].sum() == 4


def test_what_is_no_pruned_model_is_refused(tf_keras, here, tmp_path):
    with pytest.raises(LotteryError, match="Received: 'net', a Keras 3 model"):
        ticket_from_tfmot(network(keras))
    with pytest.raises(LotteryError, match="Expected a tf_keras model.*Received: int 3"):
        ticket_from_tfmot(3)
    with pytest.raises(LotteryError, match="'net', which has no prune_low_magnitude layer and no zero"):
        ticket_from_tfmot(here / "start.keras")
    with pytest.raises(LotteryError, match="not built"):
        ticket_from_tfmot(tf_keras.Sequential([tf_keras.layers.Dense(2)]))
    with pytest.raises(LotteryError, match="nothing.h5, which is missing"):
        ticket_from_tfmot(str(tmp_path / "nothing.h5"))
    keras.Sequential([keras.Input((2,)), keras.layers.Dense(2)]).save(tmp_path / "three.keras")
    (tmp_path / "junk.h5").write_text("junk")
    for file in ("junk.h5", "three.keras", "."):
        with pytest.raises(LotteryError, match=f"tf_keras can't load .*{file}") as caught:
            ticket_from_tfmot(tmp_path / file)
        assert "\n" not in str(caught.value)


def test_without_tfmot_one_line_says_so(monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorflow_model_optimization", None)
    with pytest.raises(LotteryError, match="tensorflow-model-optimization can't be imported .* pip install"):
        ticket_from_tfmot("pruned.h5")


def test_the_environment_stays_as_it_was(monkeypatch):
    def imports(name):
        os.environ["TF_USE_LEGACY_KERAS"] = "1"
        raise RuntimeError("broken")

    monkeypatch.setattr(tfmot_.importlib, "import_module", imports)
    for before in ("0", None):
        if before is None:
            monkeypatch.delenv("TF_USE_LEGACY_KERAS", raising=False)
        else:
            monkeypatch.setenv("TF_USE_LEGACY_KERAS", before)
        with pytest.raises(LotteryError, match="RuntimeError: broken"):
            load_tfmot()
        assert os.environ.get("TF_USE_LEGACY_KERAS") == before


def test_in_a_fresh_process_tf_keras_is_still_keras_3():
    code = """
import os, sys, tf_lottery.tfmot as room
assert "tensorflow_model_optimization" not in sys.modules
room.load_tfmot()
assert "tensorflow_model_optimization" in sys.modules
import keras, tensorflow as tf
assert "TF_USE_LEGACY_KERAS" not in os.environ
assert tf.keras.Model is keras.Model
"""
    environment = {k: v for k, v in os.environ.items() if k != "TF_USE_LEGACY_KERAS"}
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT, env=environment)


def test_the_page_runs(tfmot, digits, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    theirs, ours = re.findall(r"```python\n(.*?)```", PAGE, re.S)
    if not hasattr(Ticket, "apply"):
        ours = ours.replace("ticket.apply(model)\n", "")
    names = {"x": digits.train.x.reshape(-1, 64)[:640], "y": digits.train.y[:640]}
    exec(theirs, names)
    exec(ours, names)
    assert "20.0% of the weights remain" in capsys.readouterr().out
    assert Ticket.load("pruned.ticket.npz").masks.keys() == {"hidden/kernel", "output/kernel"}
