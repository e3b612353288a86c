"""Whether the sparse engine can train a network, and whether that pays. Rules decide, never a timing."""

import keras

from tf_lottery.config import TrainingConfig
from tf_lottery.layers.flops import layer_calls
from tf_lottery.layers.in_place import held_in_place
from tf_lottery.pruning.masks import Masks
from tf_lottery.training.sparse import optimizers
from tf_lottery.training.sparse.losses import LOSSES
from tf_lottery.training.sparse.network import Network
from tf_lottery.training.sparse.ops.op import Unsupported
from tf_lottery.training.trainer import Trainer

BREAK_EVEN: dict[type[keras.Layer], float] = {
    keras.layers.Dense: 0.65,
    keras.layers.Conv2D: 0.45,
}
"""The density below which a step of a network of such layers is faster here than on the dense engine, as
`benchmarks/sparse.py --break-even` measures it."""


def lacking(trainer: Trainer, training: TrainingConfig) -> str | None:
    """Return what the sparse engine lacks to train a network, as a clause; None if it lacks nothing.

    Args:
        trainer: The whole network.
        training: The settings of the training.
    """
    if trainer.resolved["device"] != "CPU":
        return f"device {trainer.resolved['device']}"
    if trainer.resolved["replicas"] > 1:
        return f"training on {trainer.resolved['replicas']} replicas"
    if training.loss not in LOSSES:
        return f"loss {training.loss}"
    if training.loss.endswith("crossentropy") and not training.from_logits:
        return "from_logits: false"
    if (setting := optimizers.unsupported(training)) is not None:
        return setting
    if held_in_place(trainer.model):
        return "a model that Keras can't copy"
    try:
        Network(trainer.model, training.batch_size, training.precision)
    except Unsupported as error:
        return str(error)
    return None


def pays(model: keras.Model, masks: Masks, threads: int) -> bool:
    """Return whether the sparse engine is expected to be faster than the dense one.

    Args:
        model: A network that the sparse engine can train.
        masks: Kernel path -> mask.
        threads: The number of threads that the dense engine would have; the sparse one has one.
    """
    dense = sparse = 0.0
    for path, layer, uses in layer_calls(model):
        mask = masks.get(f"{path}/kernel")
        if mask is not None and uses:
            dense += uses * mask.size
            sparse += uses * int(mask.sum()) / BREAK_EVEN[type(layer)]
    return sparse * threads < dense
