import keras
import numpy as np
import pytest
from keras import layers

from tests.training.sparse.layer_checks import Run, put
from tf_lottery.training.sparse.network import Network
from tf_lottery.training.sparse.ops.op import Unsupported


def _run(rate=0.3, shape=(50,), batch=60, dtype="float64", seed=3, adds=False):
    run = Run(layers.Dropout(rate, dtype=dtype), [shape], batch, dtype, adds)
    run.ops[0].seed = seed
    return run


def _mask(run, step=0):
    ones = np.ones((run.batch, *run.layer.input.shape[1:]))
    return run.forward([ones], step=step) > 0


@pytest.mark.parametrize("rate", [0.1, 0.5, 0.8])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_share_and_scale(rate, dtype):
    run = _run(rate, (40, 40, 3), dtype=dtype)
    images = np.random.default_rng(0).normal(size=(60, 40, 40, 3)).astype(dtype)
    outputs = run.forward([images])
    mask = outputs != 0
    # Five standard deviations.
    for axes in ((0, 1, 2, 3), (1, 2, 3), (0, 3)):
        number = mask.size / mask.mean(axes).size
        assert abs(mask.mean(axes) - (1 - rate)).max() < 5 * np.sqrt(rate * (1 - rate) / number)
    np.testing.assert_allclose(outputs[mask], images[mask] / (1 - rate), rtol=1e-6)


def test_examples_and_steps_are_independent():
    run = _run(0.5, (2000,))
    first, second = _mask(run, 0).reshape(60, -1), _mask(run, 1).reshape(60, -1)
    limit = 6 / np.sqrt(2000)
    both = np.corrcoef(np.concatenate([first, second]))
    assert abs(both - np.eye(120)).max() < limit


def test_same_for_the_same_seed_and_step():
    mask = _mask(_run(), step=7)
    assert (_mask(_run(), step=7) == mask).all()
    assert (_mask(_run(), step=8) != mask).any()
    assert (_mask(_run(seed=4), step=7) != mask).any()
    assert (_mask(_run(seed=3 + 2**32), step=7) != mask).any()


def test_independent_of_groups_and_border():
    mask, more = _mask(_run(shape=(5, 4, 2))), _mask(_run(shape=(5, 4, 2), batch=200))
    assert (more[:60] == mask).all()
    assert (more[60:120] != mask).any()


@pytest.mark.parametrize("adds", [False, True])
def test_backward(adds):
    run = _run(shape=(5, 4, 2), adds=adds)
    mask = _mask(run, step=5)
    gradient = np.random.default_rng(1).normal(size=(60, 5, 4, 2))
    put(run.inputs[0], run.inputs[0].gradient, np.full_like(gradient, 2), beyond=0)
    (got,) = run.backward(gradient)
    np.testing.assert_allclose(got, gradient * mask / 0.7 + 2 * adds, rtol=1e-12)


def test_inference_changes_nothing():
    run = _run()
    inputs = np.random.default_rng(1).normal(size=(60, 50))
    assert (run.forward([inputs], training=False).reshape(60, 50) == inputs).all()


def test_path_is_that_of_the_generator():
    model = keras.Sequential([keras.Input((4,)), layers.Dropout(0.5), layers.Dense(2)])
    network = Network(model, 60)
    assert network._ops[0].path in network.context.names.values()


def test_rate_0_moves_nothing():
    run = Run(layers.Dropout(0, dtype="float64"), [(4,)], 60, "float64")
    assert run.output is run.inputs[0]


@pytest.mark.parametrize("layer", [layers.Dropout(0.5, noise_shape=(None, 1)), layers.Dropout(1.0)])
def test_unsupported(layer):
    model = keras.Sequential([keras.Input((4,)), layer, layers.Dense(2)])
    with pytest.raises(Unsupported, match=r"noise_shape|rate"):
        Network(model, 60)
