import keras
import numpy as np
import pytest

import tf_lottery as lottery
from tests import fresh
from tf_lottery.config import ModelConfig
from tf_lottery.errors import LotteryError
from tf_lottery.layers.access import get_masks
from tf_lottery.models.attention import DotProductAttention
from tf_lottery.models.build import build

SMALL = {"patch": 2, "width": 8, "depth": 2, "heads": 2, "mlp": 16}
PROJECTIONS = ("query", "key", "value", "out", "mlp1", "mlp2")
DENSE_POSITIONS = "ignore:These weights can't be pruned yet:UserWarning"


def vit(shape=(8, 8, 1), seed=0, **kwargs):
    return build(ModelConfig(name="vit", kwargs=SMALL | kwargs), shape, 10, seed)


def images(count=3, shape=(8, 8, 1)):
    return np.random.default_rng(0).random((count, *shape), np.float32)


def expected_parameters(shape, patch, width, depth, mlp, classes=10):
    tokens = (shape[0] // patch) * (shape[1] // patch)
    embedding = (patch * patch * shape[2] + 1) * width + tokens * width
    block = 2 * 2 * width + 4 * (width + 1) * width + (width + 1) * mlp + (mlp + 1) * width
    return embedding + depth * block + 2 * width + (width + 1) * classes


def test_parameters_are_as_many_as_the_arithmetic_says():
    model = build(ModelConfig(name="vit"), (32, 32, 3), 10, seed=0)
    assert model.count_params() == expected_parameters((32, 32, 3), 4, 64, 4, 128) == 141_898
    assert vit().count_params() == expected_parameters((8, 8, 1), 2, 8, 2, 16)


def test_patches_tile_the_image():
    model = vit(shape=(4, 6, 2))
    cut = keras.Model(model.input, model.get_layer("patches").output)
    (image,) = images(1, (4, 6, 2))
    expected = [image[r : r + 2, c : c + 2].ravel() for r in (0, 2) for c in (0, 2, 4)]
    assert np.array_equal(cut(image[None])[0], expected)


def test_attention_is_that_of_keras():
    heads, width = 2, 8
    theirs = keras.layers.MultiHeadAttention(heads, width // heads, use_bias=False)
    x = images(3, (5, width))
    expected = theirs(x, x)
    # Keras keeps (width, heads, width / heads); identities around the product are ours.
    query, key, value = (
        x @ np.asarray(dense.kernel).reshape(width, width)
        for dense in (theirs.query_dense, theirs.key_dense, theirs.value_dense)
    )
    ours = np.asarray(DotProductAttention(heads)(query, key, value))
    out = np.asarray(theirs.output_dense.kernel).reshape(width, width)
    assert np.allclose(ours @ out, expected, atol=1e-6)


def test_every_token_sees_every_other_and_its_position_counts():
    model = vit()
    first = images(1)
    swapped = first.copy()
    swapped[:, :2], swapped[:, 2:4] = first[:, 2:4], first[:, :2]
    assert not np.allclose(model(first), model(swapped), atol=1e-4)
    model.get_layer("position_embedding").embedding.assign(np.zeros((16, 8)))
    assert np.allclose(model(first), model(swapped), atol=1e-5)


def test_dropout_is_left_out_unless_asked_for():
    def dropouts(model):
        return [layer.rate for layer in model.layers if isinstance(layer, keras.layers.Dropout)]

    assert dropouts(vit()) == []
    assert dropouts(vit(dropout=0.1)) == [0.1] * 7
    assert vit(dropout=0.1).count_params() == vit().count_params()


@pytest.mark.filterwarnings(DENSE_POSITIONS)
def test_every_projection_can_be_pruned_and_nothing_is_lost_by_conversion():
    plain = vit()
    model = lottery.make_prunable(plain)
    paths = {f"block{block}_{role}/kernel" for block in (1, 2) for role in PROJECTIONS}
    assert set(get_masks(model)) == paths | {"patch_embedding/kernel", "output/kernel"}
    assert np.array_equal(model(images()), plain(images()))
    lottery.prune(model, rate=0.5, layer_rates={"*_query": 0.2, "output": 0})
    stripped = lottery.strip(model)
    assert np.array_equal(stripped(images()), model(images()))
    assert not np.array_equal(stripped(images()), plain(images()))


def test_only_the_position_embedding_stays_dense_and_is_named():
    with pytest.warns(UserWarning, match="stay dense: position_embedding/embedding. Declare"):
        lottery.make_prunable(vit())


def test_its_description_builds_it_again():
    model = vit()
    again = keras.models.model_from_json(model.to_json())
    again.set_weights(model.get_weights())
    assert np.array_equal(again(images()), model(images()))


LOAD = """
import sys
import keras, tf_lottery
import numpy as np
for file in ("prunable", "stripped"):
    model = keras.models.load_model(f"{sys.argv[1]}/{file}.keras")
    assert np.array_equal(model(np.load(f"{sys.argv[1]}/x.npy")), np.load(f"{sys.argv[1]}/y.npy")), file
"""


@pytest.mark.filterwarnings(DENSE_POSITIONS)
def test_files_load_in_a_fresh_process(tmp_path):
    model = lottery.make_prunable(vit())
    lottery.prune(model, rate=0.5)
    model.save(tmp_path / "prunable.keras")
    lottery.strip(model).save(tmp_path / "stripped.keras")
    np.save(tmp_path / "x.npy", images())
    np.save(tmp_path / "y.npy", model(images()))
    fresh.check(tmp_path, script=LOAD)


@pytest.mark.parametrize(
    ("shape", "kwargs", "received"),
    [
        ((8, 8, 1), {"patch": 3}, r"divide into patches of 3 x 3.*\(8, 8, 1\)"),
        ((64,), {}, r"images.*\(64,\)"),
        ((8, 8, 1), {"heads": 3}, "divides the width, 8.*3"),
    ],
)
def test_what_does_not_fit_is_refused_in_one_line(shape, kwargs, received):
    with pytest.raises(LotteryError, match=f"^Expected .*{received}") as error:
        vit(shape, **kwargs)
    assert "\n" not in str(error.value)
