import keras
import numpy as np
import pytest

import tf_lottery as lottery
from tests.exports.models import trained_ticket
from tf_lottery.errors import LotteryError
from tf_lottery.exports.formats import litert
from tf_lottery.exports.source import make_source
from tf_lottery.exports.verify.flatbuffer import check_zeros, weight_tensors


def zeros(source):
    return {path: int((kernel == 0).sum()) for path, kernel in source.kernels().items()}


@pytest.fixture
def source_of(digits):
    def make(model):
        return make_source(model, (digits.test.x, digits.test.y), (digits.train.x, digits.train.y))

    return make


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """Writes each file once: the kind of its weights, the network's name, and its source -> its content."""
    found, path = {}, tmp_path_factory.mktemp("written") / "m"

    def write(kind, network, source):
        if (kind, network) not in found:
            getattr(litert, f"write_{kind}")(source, path)
            found[kind, network] = path.read_bytes()
        return found[kind, network]

    return write


@pytest.mark.parametrize(
    ("kind", "network"),
    [
        *(("float", "ticket"), ("sparse", "ticket"), ("int8", "ticket")),
        *(("dynamic", "conv_ticket"), ("int8", "conv_ticket")),
        *(
            pytest.param(*pair, marks=pytest.mark.exhaustive)
            for pair in (("dynamic", "ticket"), ("float", "conv_ticket"), ("sparse", "conv_ticket"))
        ),
    ],
)
def test_every_pruned_weight_is_counted_as_zero(kind, network, source_of, written, tmp_path, request):
    source = source_of(request.getfixturevalue(network))
    (tmp_path / "m").write_bytes(written(kind, network, source))
    assert check_zeros(tmp_path / "m", source.kernels()) == zeros(source)
    assert check_zeros((tmp_path / "m").read_bytes(), source.kernels()) == zeros(source)


@pytest.mark.parametrize("kind", ["float", "sparse"])
def test_floats_are_the_model_s_own(kind, ticket, source_of, written):
    source = source_of(ticket)
    tensors = weight_tensors(written(kind, "ticket", source))
    stored = {tensor.values.shape: tensor.real for tensor in tensors if tensor.values.any()}
    for kernel in source.kernels().values():
        assert np.array_equal(stored[kernel.shape[::-1]], kernel.T)


def test_integers_are_the_model_s_own_within_half_a_step(ticket, source_of, written):
    source = source_of(ticket)
    stored = {tensor.values.shape: tensor for tensor in weight_tensors(written("int8", "ticket", source))}
    for kernel in source.kernels().values():
        tensor = stored[kernel.shape[::-1]]
        assert tensor.values.dtype == np.int8
        assert len(tensor.scales) == kernel.shape[1]
        assert (np.abs(tensor.real - kernel.T) <= 0.501 * tensor.scales[:, None]).all()


def test_one_weight_that_came_back_is_found(ticket, source_of, written):
    source = source_of(ticket)
    kernels = source.kernels()
    path = next(iter(kernels))
    content = bytearray(written("int8", "ticket", source))
    stored = next(
        t.values for t in weight_tensors(bytes(content)) if t.values.shape == kernels[path].shape[::-1]
    )
    start = bytes(content).index(stored.tobytes())
    pruned = int(np.flatnonzero(stored.ravel() == 0)[7])
    row, column = np.unravel_index(pruned, stored.shape)
    assert kernels[path][column, row] == 0
    content[start + pruned] = 1
    with pytest.raises(LotteryError, match=f"weight of {path} .* Received: 1 of .* became nonzero"):
        check_zeros(bytes(content), kernels)


def test_layers_of_one_shape_are_told_apart(digits, source_of, tmp_path):
    layers = keras.layers
    model = trained_ticket(
        digits,
        lambda: keras.Sequential(
            [
                keras.Input((8, 8, 1)),
                layers.Flatten(),
                layers.Dense(64, "relu"),
                layers.Dense(64, "relu"),
                layers.Dense(10),
            ]
        ),
        epochs=1,
    )
    source = source_of(model)
    litert.write_int8(source, tmp_path / "m")
    assert check_zeros(tmp_path / "m", source.kernels()) == zeros(source)


def test_another_model_s_file_is_refused(ticket, conv_ticket, source_of, written):
    content = written("float", "ticket", source_of(ticket))
    with pytest.raises(LotteryError, match=r"no tensor that resembles .*kernel of shape \(128, 10\)"):
        check_zeros(content, source_of(conv_ticket).kernels())


def test_a_tensor_of_the_shape_proves_nothing_if_it_is_another(ticket, source_of, written):
    """Zeros are counted in the tensor that a kernel became, not in one of its shape."""
    content = written("int8", "ticket", source_of(ticket))
    drawn = np.random.default_rng(0).normal(size=(64, 64))
    kernels = {"other": np.where(drawn > 1, drawn, 0)}
    with pytest.raises(LotteryError, match="The file has no tensor that resembles other of shape"):
        check_zeros(content, kernels)


def test_a_kernel_that_is_all_zeros_has_a_tensor_that_is(digits, source_of, tmp_path):
    layers = keras.layers
    model = keras.Sequential(
        [keras.Input((8, 8, 1)), layers.Flatten(), *(layers.Dense(64) for _ in range(3))]
    )
    model.layers[2].kernel.assign(np.zeros((64, 64)))
    source = source_of(model)
    litert.write_float(source, tmp_path / "m")
    assert list(check_zeros(tmp_path / "m", source.kernels()).values()) == [0, 4096, 0]


def test_a_channel_scaled_by_a_negative_number_is_known(tmp_path):
    layers = keras.layers
    block = [layers.Conv2D(8, 3, padding="same", use_bias=False), layers.BatchNormalization()]
    model = keras.Sequential([keras.Input((8, 8, 8)), *block, layers.Conv2D(8, 3, padding="same")])
    for layer in (model.layers[0], model.layers[2]):
        kernel = layer.kernel.numpy()
        layer.kernel.assign(np.where(abs(kernel) < 0.05, 0, kernel))
    model.layers[1].gamma.assign(np.linspace(-3, 1, 8))
    source = make_source(model)
    litert.write_float(source, tmp_path / "m")
    assert check_zeros(tmp_path / "m", source.kernels()) == zeros(source)


def test_a_file_that_isn_t_there_is_refused(tmp_path):
    with pytest.raises(LotteryError, match="m.tflite, which doesn't exist"):
        weight_tensors(tmp_path / "m.tflite")


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04" * 30, b"\x1c\0\0\0TFL3" + b"\xff" * 60])
def test_what_isn_t_such_a_file_is_refused(content):
    said = "Expected a .tflite file. Received: bytes of another format|The .tflite file is damaged"
    with pytest.raises(LotteryError, match=said):
        weight_tensors(content)


def attention():
    inputs = keras.Input((6, 16))
    x = keras.layers.MultiHeadAttention(2, 8)(inputs, inputs)
    return keras.Model(inputs, keras.layers.Dense(3)(x))


LAYERS = {
    "attention": attention,
    "conv3d": lambda: keras.Sequential([keras.Input((4, 4, 4, 2)), keras.layers.Conv3D(4, 2)]),
    "transposed": lambda: keras.Sequential([keras.Input((4, 4, 4)), keras.layers.Conv2DTranspose(6, 3)]),
    "transposed_1d": lambda: keras.Sequential([keras.Input((4, 4)), keras.layers.Conv1DTranspose(6, 3)]),
}


@pytest.mark.parametrize("build", LAYERS.values(), ids=LAYERS)
def test_kernels_in_other_layouts_are_found(build, tmp_path):
    model = lottery.make_prunable(build())
    lottery.prune(model, rate=0.5)
    source = make_source(lottery.strip(model))
    litert.write_float(source, tmp_path / "m")
    assert check_zeros(tmp_path / "m", source.kernels()) == zeros(source)
