import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

from tf_lottery.errors import LotteryError
from tf_lottery.exports import place
from tf_lottery.exports.formats.saved_model import write_dense, write_packed
from tf_lottery.exports.source import make_source

WRITERS = {"dense": write_dense, "packed": write_packed}


def written(writer, model, path, digits, **options):
    source = make_source(model, (digits.test.x, digits.test.y), **options)
    WRITERS[writer](source, path)
    return source, tf.saved_model.load(str(path)).signatures["serving_default"]


@pytest.mark.parametrize("writer", WRITERS)
@pytest.mark.parametrize("network", ["ticket", "conv_ticket"])
def test_it_answers_the_same_bits(writer, network, digits, tmp_path, request):
    source, function = written(writer, request.getfixturevalue(network), tmp_path / "m", digits)
    answers = function(inputs=tf.constant(digits.test.x))
    assert list(answers) == ["outputs"]
    assert np.array_equal(answers["outputs"], source.outputs["outputs"])


@pytest.mark.parametrize("writer", WRITERS)
def test_a_graph_session_that_runs_the_initializer_answers_the_same_bits(writer, ticket, digits, tmp_path):
    source, _ = written(writer, ticket, tmp_path / "m", digits)
    v1 = tf.compat.v1
    with v1.Session(graph=tf.Graph()) as session:
        meta = v1.saved_model.load(session, ["serve"], str(tmp_path / "m"))
        signature = meta.signature_def["serving_default"]
        feed = {signature.inputs["inputs"].name: digits.test.x}
        found = session.run(signature.outputs["outputs"].name, feed)
    assert np.array_equal(found, source.outputs["outputs"])


@pytest.mark.parametrize("writer", WRITERS)
def test_any_batch_size_and_named_inputs(writer, ticket, digits, tmp_path):
    _, function = written(writer, ticket, tmp_path / "m", digits)
    signature = function.structured_input_signature[1]
    assert signature["inputs"].shape.as_list() == [None, 8, 8, 1]
    for batch in (1, 7):
        assert function(inputs=tf.constant(digits.test.x[:batch]))["outputs"].shape == (batch, 10)


def test_every_variable_is_written_once(ticket, digits, tmp_path):
    written("dense", ticket, tmp_path / "dense", digits)
    weights = sum(4 * weight.size for weight in ticket.get_weights())
    data = place.size(tmp_path / "dense" / "variables")
    assert weights <= data < 1.2 * weights + 2000


def test_packed_is_as_small_as_what_survives(digits, tmp_path):
    model = keras.Sequential([keras.Input((784,)), keras.layers.Dense(300, use_bias=False)])
    kernel = np.zeros((784, 300), np.float32)
    kernel[::7, ::5] = np.random.default_rng(0).standard_normal((112, 60))
    model.set_weights([kernel])
    write_packed(make_source(model), tmp_path / "m")
    survivors = 112 * 60
    gaps = survivors + 112 * (7 * 300 // 255)
    assert place.size(tmp_path / "m" / "variables") < 4 * survivors + gaps + 3000


def test_both_codings_in_one_file(digits, tmp_path):
    keras.utils.set_random_seed(1)
    model = keras.Sequential(
        [keras.Input((8, 8, 1)), keras.layers.Flatten(), keras.layers.Dense(300), keras.layers.Dense(100)]
    )
    generator = np.random.default_rng(0)
    for layer, density in zip(model.layers[1:], (0.02, 0.5), strict=True):
        layer.kernel.assign(layer.kernel.numpy() * (generator.random(layer.kernel.shape) < density))
    source, function = written("packed", model, tmp_path / "m", digits)
    assert np.array_equal(function(inputs=tf.constant(digits.test.x))["outputs"], source.outputs["outputs"])
    weights = sum(4 * value.size for value in model.get_weights())
    assert place.size(tmp_path / "m" / "variables") < 0.55 * weights  # both are packed


def test_what_packing_would_not_make_smaller_is_left_as_it_is(conv_ticket, digits, tmp_path):
    for writer in ("packed", "dense"):
        written(writer, conv_ticket, tmp_path / writer, digits)
    assert place.size(tmp_path / "packed") < place.size(tmp_path / "dense") + 200


def test_pixels_in_and_labels_out(ticket, digits, tmp_path):
    pixels = (digits.test.x * 255).round().astype(np.uint8)
    names = [f"digit {number}" for number in range(10)]
    source = make_source(ticket, (pixels, digits.test.y), pixels=True, classes=names)
    write_packed(source, tmp_path / "m")
    function = tf.saved_model.load(str(tmp_path / "m")).signatures["serving_default"]
    answers = function(inputs=tf.constant(pixels))
    assert function.structured_input_signature[1]["inputs"].dtype == tf.uint8
    expected = ticket(pixels * np.float32(1 / 255)).numpy()
    np.testing.assert_allclose(answers["outputs"], expected, rtol=1e-5, atol=1e-5)
    assert np.array_equal(answers["classes"], expected.argmax(1))
    assert answers["labels"].numpy()[:3].tolist() == [names[i].encode() for i in expected.argmax(1)[:3]]


def test_several_inputs_and_outputs_keep_their_names(tmp_path):
    first, second = keras.Input((3,), name="left"), keras.Input((2,), name="right")
    joined = keras.layers.Concatenate()([first, second])
    model = keras.Model(
        {"left": first, "right": second},
        {
            "sum": keras.layers.Dense(1, name="sum")(joined),
            "kind": keras.layers.Dense(4, name="kind")(joined),
        },
    )
    x = {"left": np.ones((5, 3), np.float32), "right": np.full((5, 2), 2, np.float32)}
    source = make_source(model, x)
    write_dense(source, tmp_path / "m")
    function = tf.saved_model.load(str(tmp_path / "m")).signatures["serving_default"]
    answers = function(**{name: tf.constant(value) for name, value in x.items()})
    expected = model(x)
    assert set(answers) == {"sum", "kind"}
    for name in answers:
        assert np.array_equal(answers[name], expected[name])


def test_warmup_requests_are_what_tensorflow_serving_reads(ticket, digits, tmp_path):
    apis = pytest.importorskip("tensorflow_serving.apis.prediction_log_pb2")
    written("packed", ticket, tmp_path / "m", digits, warmup=True)
    file = tmp_path / "m" / "assets.extra" / "tf_serving_warmup_requests"
    records = [r.numpy() for r in tf.data.TFRecordDataset(str(file))]
    assert len(records) == 2
    for record, batch in zip(records, (1, 32), strict=True):
        request = apis.PredictionLog.FromString(record).predict_log.request
        assert request.model_spec.signature_name == "serving_default"
        assert np.array_equal(tf.make_ndarray(request.inputs["inputs"]), digits.test.x[:batch])


class Elsewhere(keras.layers.Layer):
    """Looks up in a table that isn't its own."""

    def call(self, x):
        return TABLE(x)

    def compute_output_shape(self, shape):
        return shape


TABLE = keras.layers.IntegerLookup(vocabulary=[3, 5, 7])


@pytest.mark.parametrize("writer", WRITERS)
def test_a_table_that_is_no_layer_s_own_is_refused(writer, tmp_path):
    model = keras.Sequential([keras.Input((2,), dtype="int64"), Elsewhere(), keras.layers.Dense(2)])
    source = make_source(model, np.array([[3, 5], [7, 3]]))
    with pytest.raises(
        LotteryError, match="reads a variable or table that no layer holds as an attribute. Make it"
    ):
        WRITERS[writer](source, tmp_path / "m")


class Counts(keras.layers.Layer):
    """Keeps a state in a variable of its own, and scales by another."""

    def build(self, shape):
        self.calls = self.add_weight(shape=(), initializer="zeros", trainable=False, name="calls")
        self.scale = self.add_weight(shape=(300, 300), initializer="zeros", name="scale")

    def call(self, x):
        self.calls.assign_add(1.0)
        if self.scaling:
            self.scale.assign(self.scale + 1.0)
        return x @ self.scale + self.calls

    scaling = False


@pytest.mark.parametrize("writer", WRITERS)
def test_what_a_call_assigns_is_kept(writer, tmp_path):
    """Packed, too, where other variables are read from elsewhere."""
    model = keras.Sequential([keras.Input((300,)), Counts()])
    source = make_source(model, np.ones((3, 300), np.float32))
    WRITERS[writer](source, tmp_path / "m")
    function = tf.saved_model.load(str(tmp_path / "m")).signatures["serving_default"]
    first, second = (function(inputs=tf.ones((3, 300)))["outputs"].numpy() for _ in range(2))
    assert (second - first == 1).all()


def test_weights_that_calls_assign_are_not_packed(tmp_path):
    model = keras.Sequential([keras.Input((300,)), Counts()])
    model.layers[0].scaling = True
    source = make_source(model, np.ones((3, 300), np.float32))
    with pytest.raises(
        LotteryError, match="scale can't be packed, since each call assigns to it. Use weights"
    ):
        write_packed(source, tmp_path / "m")


@pytest.mark.slow
def test_saved_model_cli_runs_it(ticket, digits, tmp_path):
    source, _ = written("packed", ticket, tmp_path / "m", digits)
    np.save(tmp_path / "x.npy", digits.test.x[:3])
    command = [
        str(next(p for p in (__import__("pathlib").Path(sys.executable).parent.glob("saved_model_cli")))),
        *("run", "--dir", str(tmp_path / "m"), "--tag_set", "serve", "--signature_def", "serving_default"),
        *("--inputs", f"inputs={tmp_path / 'x.npy'}", "--outdir", str(tmp_path / "out")),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-500:]
    assert np.array_equal(np.load(tmp_path / "out" / "outputs.npy"), source.outputs["outputs"][:3])
