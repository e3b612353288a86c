"""Networks with parts of their own (batch normalization, attention) in the loop."""

import numpy as np
import pytest

from tests.training.trainings import trainer
from tf_lottery.config import ModelConfig
from tf_lottery.data.order import BatchOrder
from tf_lottery.layers.access import get_masks, kernels, prune

VIT = ModelConfig(name="vit", kwargs={"patch": 2, "width": 32, "depth": 2, "mlp": 64})


@pytest.mark.filterwarnings("ignore:These weights of layers of your own:UserWarning")
@pytest.mark.parametrize(
    ("model", "steps", "unpruned"),
    [
        pytest.param(
            ModelConfig(name="resnet20"),
            60,
            {"downsample*": 0, "output": 0},
            marks=pytest.mark.slow,
            id="resnet20",
        ),
        pytest.param(
            ModelConfig(name="wrn22_2", kwargs={"width": 0.25}),
            60,
            {"shortcut*": 0, "output": 0},
            marks=pytest.mark.slow,
            id="wrn22_2",
        ),
        pytest.param(ModelConfig(name="mlp", kwargs={"sizes": [40, 30, 20]}), 150, {"output": 0}, id="mlp"),
        pytest.param(VIT, 100, {"output": 0}, id="vit"),
    ],
)
def test_it_learns_dense_and_pruned(digits, model, steps, unpruned):
    setup = trainer(digits, model, learning_rate=0.003, xla=False)
    order = BatchOrder(7, len(digits.train), 60)
    setup.reset_optimizer()
    setup.set_weights(setup.initial_weights(1))
    before = setup.evaluate["validation"]()
    setup.loop.run(0, steps, order)
    dense = setup.evaluate["validation"]()
    assert dense[0] < 0.8 * before[0], (before, dense)
    assert dense[1] > 0.5 > before[1]
    prune(setup.model, rate=0.5, scope="global", layer_rates=unpruned)
    masks = get_masks(setup.model)
    setup.reset_optimizer()
    setup.loop.run(steps, 2 * steps, order)
    setup.loop.check()
    for path, (kernel, _) in kernels(setup.model).items():
        assert np.array_equal(kernel.numpy() != 0, masks[path]), path
    assert setup.evaluate["validation"]()[0] < dense[0]
