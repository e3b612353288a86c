import keras
import numpy as np
import pytest

import tf_lottery as lottery
from tests.exports.models import dense_net
from tf_lottery.errors import LotteryError
from tf_lottery.exports.entry import scales_itself, token_inputs
from tf_lottery.exports.source import fill_zeros, make_source

X, Y = np.zeros((5, 8, 8, 1), np.float32), np.zeros(5, int)


def ticket_of(model, trained):
    ticket = lottery.Ticket.of(lottery.make_prunable(model))
    return lottery.Ticket(ticket.masks, ticket.weights, ticket.weights if trained else {})


class Subclassed(keras.Model):
    def __init__(self):
        super().__init__()
        self.dense = keras.layers.Dense(3)

    def call(self, x):
        return self.dense(x)


def nan_net():
    model = dense_net()
    model.layers[1].kernel.assign(model.layers[1].kernel.numpy() * np.nan)
    return model


def with_lora():
    model = dense_net()
    model.layers[1].enable_lora(2)
    return model


def quantized():
    model = dense_net()
    model.quantize("int8")
    return model


@pytest.mark.parametrize(
    ("model", "said"),
    [
        (with_lora, r"Received: 'dense.*, which has LoRA enabled: .* Export the model before that step"),
        (quantized, r"Received: 'dense.*, which is quantized \(int8\): .* Export the model before that step"),
        (
            lambda: ticket_of(dense_net(), False),
            "a ticket without trained weights, .* Train it first: model = ticket.apply",
        ),
        (
            lambda: ticket_of(dense_net(), True),
            r"with its trained weights can. Use export\(lottery.strip\(ticket.apply",
        ),
        (lambda: lottery.make_prunable(dense_net()), r"which is prunable. Use lottery.strip\(model\)"),
        (lambda: "model.keras", "Expected a Keras 3 model. Received: str 'model.keras'"),
        (lambda: keras.Sequential([keras.layers.Dense(3)]), "not built. Give it a keras.Input"),
        (nan_net, "Expected finite weights. Received: dense.*/kernel with NaN"),
    ],
)
def test_what_can_t_be_exported_is_refused(model, said):
    with pytest.raises(LotteryError, match=said):
        make_source(model())


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"test_data": (X[:, :4], Y)}, r"shape \(None, 8, 8, 1\) and float32. Received: \(5, 4, 8, 1\)"),
        ({"test_data": (X, Y[:3])}, "Expected as many labels as examples. Received: 3 and 5"),
        ({"test_data": X[:0]}, "Expected at least one example"),
        ({"test_data": [X, Y]}, r"'inputs' as an array, and \(x, y\) as a tuple. Received: list"),
        ({"test_data": (X, 3)}, "Expected labels as an array.* Received: int 3"),
        ({"test_data": X * np.nan}, "Expected finite test inputs 'inputs'. Received: NaN or infinity"),
        ({"test_data": X.astype(str)}, "float32. Received: .*<U"),
        ({"test_data": {"pictures": X}}, r"Expected inputs \['inputs'\]. Received: \['pictures'\]"),
        ({"test_data": X.astype(np.uint8)}, "Received: uint8. Scale them; or, with pixels=True"),
        ({"test_data": X, "pixels": True}, "uint8 pixels, which the file takes with pixels=True"),
        ({"classes": ["a", "b"]}, r"Received: 2 names for outputs of shape \(None, 10\)"),
        (
            {"train_data": np.array(["a"])},
            r"Expected training inputs 'inputs' of shape .* Received: \(1,\), <U1",
        ),
        ({"train_data": 5}, "Expected training inputs 'inputs' as an array.* Received: int 5"),
        ({"train_data": X[:, :4]}, r"Expected training inputs .* Received: \(5, 4, 8, 1\), float32"),
        ({"train_data": (X * np.nan, Y)}, "Expected finite training inputs"),
        ({"train_data": (X, Y[:3])}, "as many labels as examples in train_data. Received: 3 and 5"),
        ({"train_data": X.astype(np.uint8)}, "training inputs .* Received: uint8. Scale them"),
        ({"train_data": X[:0]}, "Expected at least one example in train_data"),
    ],
)
def test_examples_that_don_t_fit_are_refused(arguments, said):
    with pytest.raises(LotteryError, match=said):
        make_source(dense_net(), **arguments)


def test_a_model_that_doesn_t_say_what_it_takes_needs_examples():
    model = Subclassed()
    model(np.zeros((1, 4), np.float32))
    with pytest.raises(LotteryError, match="Expected test_data as one array"):
        make_source(model)
    source = make_source(model, np.ones((6, 4), np.float32))
    assert np.array_equal(source.outputs["outputs"], model(np.ones((6, 4), np.float32)))


def test_without_examples_inputs_are_drawn():
    source = make_source(dense_net())
    assert not source.real
    assert source.examples["inputs"].shape == (256, 8, 8, 1)
    assert make_source(dense_net(), pixels=True).examples["inputs"].dtype == np.uint8


def test_indices_and_words_are_drawn_within_what_a_model_has_room_for():
    L = keras.layers
    for dtype in ("int32", "float32"):  # floats may be indices, too
        model = keras.Sequential([keras.Input((7,), dtype=dtype), L.Embedding(10, 4)])
        found = make_source(model).examples["inputs"]
        assert (found.shape, found.dtype, set(found.ravel())) == ((256, 7), dtype, set(range(10)))
    kind, size = keras.Input((1,), dtype="string", name="kind"), keras.Input((3,), name="size")
    lookup = L.StringLookup(vocabulary=["red", "größe"], output_mode="one_hot")
    model = keras.Model([kind, size], L.Dense(2)(L.Concatenate()([lookup(kind), size])))
    found = make_source(model).examples
    assert {b"red", "größe".encode(), b"a"} <= set(found["kind"].ravel().tolist())
    assert (found["size"].shape, found["size"].min() >= 0, found["size"].max() <= 1) == ((256, 3), True, True)


def test_indices_within_inner_models_are_known_as_such():
    inner = keras.Sequential([keras.Input((7,)), keras.layers.Embedding(10, 4)])
    a, b = keras.Input((3,)), keras.Input((7,))
    model = keras.Model([a, b], [keras.layers.Dense(2)(a), inner(b)])
    assert token_inputs(inner) == {0}
    assert token_inputs(model) == {1}


def test_the_dense_original_has_no_zeros_and_the_model_keeps_its_own(ticket):
    before = [value.copy() for value in ticket.get_weights()]
    dense = fill_zeros(ticket)
    kernels = [layer.kernel.numpy() for layer in dense.layers if hasattr(layer, "kernel")]
    assert all(kernel.all() for kernel in kernels)
    for was, now, other in zip(before, ticket.get_weights(), dense.get_weights(), strict=True):
        assert was.tobytes() == now.tobytes()
        assert (other[was != 0] == was[was != 0]).all()


def test_training_examples_are_as_the_model_takes_them():
    x, y = make_source(dense_net(), train_data=(X.astype(np.float64), Y)).training
    assert x.dtype == np.float32
    assert (y == Y).all()
    a, b = keras.Input((8,)), keras.Input((4,))
    model = keras.Model([a, b], keras.layers.Concatenate()([a, b]))
    assert make_source(model, train_data=([X[:, 0, :, 0], X[:, 0, :4, 0]], Y)).training is None


def a_name_for_no_scope():
    return keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, name="my layer")])


def infinite():
    return keras.Sequential([keras.Input((4,)), keras.layers.Rescaling(1e38)])


def bfloat16():
    return keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, dtype="mixed_bfloat16")])


@pytest.mark.parametrize(
    ("model", "said"),
    [
        (
            a_name_for_no_scope,
            "fails on the test inputs in a tf.function.*'my layer' is not a valid scope",
        ),
        (infinite, "Expected finite outputs on the test inputs. Received: 'outputs' with NaN or infinity"),
        (bfloat16, "The output 'outputs' is of bfloat16, .* Give the last layer dtype='float32'"),
    ],
)
def test_a_model_without_answers_to_hold_an_export_against_is_refused(model, said, tmp_path):
    with pytest.raises(LotteryError, match=said) as caught:
        lottery.export(model(), tmp_path / "out", test_data=np.full((5, 4), 100, np.float32))
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_indices_aren_t_rounded():
    model = keras.Sequential([keras.Input((7,), dtype="int32"), keras.layers.Embedding(10, 4)])
    assert make_source(model, np.full((2, 7), 3.0)).examples["inputs"].dtype == np.int32
    for bad in (0.5, 2.0**40):
        with pytest.raises(
            LotteryError, match="Expected test inputs .* of int32. Received: float64 with values"
        ):
            make_source(model, np.full((2, 7), bad))


def test_outputs_by_name_are_in_the_order_in_which_a_file_of_keras_has_them():
    inputs = keras.Input((4,))
    model = keras.Model(inputs, {"b": keras.layers.Dense(2)(inputs), "a": keras.layers.Dense(3)(inputs)})
    source = make_source(model, np.ones((5, 4), np.float32))
    flat = keras.tree.flatten(model(np.ones((5, 4), np.float32)))
    assert [value.shape for value in source.outputs.values()] == [tuple(value.shape) for value in flat]


L = keras.layers


def own_scale(first):
    return keras.Sequential([keras.Input((8, 8, 1)), L.ZeroPadding2D(), first, L.Flatten(), L.Dense(2)])


def divided():
    inputs = keras.Input((8, 8, 1))
    return keras.Model(inputs, L.Dense(2)(L.Flatten()(inputs / 255)))


def within():
    inputs = keras.Input((8, 8, 1))
    return keras.Model(inputs, own_scale(L.Rescaling(1 / 255))(inputs))


@pytest.mark.parametrize(
    "model",
    [
        lambda: own_scale(L.Rescaling(1 / 255)),
        lambda: own_scale(L.Normalization(mean=3, variance=4)),
        lambda: own_scale(L.Lambda(lambda x: x / 255, output_shape=(10, 10, 1))),
        divided,
        within,
    ],
)
def test_pixels_are_not_offered_to_a_model_that_scales_them(model):
    with pytest.raises(
        LotteryError, match=r"Received: uint8. The model may scale them itself. .*: x.astype\('float32'\)"
    ) as said:
        make_source(model(), X.astype(np.uint8))
    assert "pixels" not in str(said.value)


def test_what_has_weights_first_does_not_scale():
    assert not scales_itself(dense_net())
    assert not scales_itself(own_scale(L.Conv2D(1, 3)))
