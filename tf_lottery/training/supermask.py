"""The engine that trains masks: the scores of a network whose weights stay as they are."""

import keras
import numpy as np
import tensorflow as tf

from tf_lottery.arrays import Arrays
from tf_lottery.config import TrainingConfig
from tf_lottery.data.split import Dataset
from tf_lottery.errors import LotteryError
from tf_lottery.layers.copying import settle
from tf_lottery.layers.paths import named_variables
from tf_lottery.layers.scored import ScoredNetwork
from tf_lottery.layers.supermasks import SUPERMASKS
from tf_lottery.method.recipe import Supermask
from tf_lottery.pruning.masks import Masks
from tf_lottery.pruning.scopes import Kept
from tf_lottery.training import optimizers, state
from tf_lottery.training.dense import DenseEngine
from tf_lottery.training.evaluate import make_evaluate
from tf_lottery.training.loop import Loop
from tf_lottery.training.own_network import check_new
from tf_lottery.training.randomness import uniform
from tf_lottery.training.trainer import Trainer, compile_all, make_loop

_MODEL = "model/"


class ScoreLoop(Loop):
    """A loop that trains scores: there are no masks that weights could come back from."""

    def _count_revived(self) -> tf.Tensor:
        infinite = [
            tf.reduce_sum(tf.cast(tf.logical_not(tf.math.is_finite(scores)), tf.int32))
            for scores in map(tf.convert_to_tensor, self.model.trainable_variables)
        ]
        return tf.stack([0, tf.add_n(infinite)])


class SupermaskEngine(DenseEngine):
    """Trains the scores of a network of its own, which has the trainer's weights, by the compiled loop.

    The network is built anew by the same builder: the trainer's holds pruned weights at 0.0 for good. The
    learning rate, its schedule and the weight decay are those of the training, for scores, not for weights.
    Scores are float32 under mixed precision. Replicas hold the same scores, and so the same masks: updates
    come from gradients that were added up over all of them, and draws from a seed that they share; both are
    compared in every check.

    Args:
        trainer: The whole network, at the weights that stay.
        training: The settings of the training.
        dataset: The data.
        supermask: The settings of the masks.
        counts: Group of kernel paths -> how many of its weights stay; empty if the density is learned.

    Attributes:
        model: The network with its scores.
        optimizer, loop, evaluate: Those of the scores; `evaluate` has `validation` only.
        sizes: Kernel path -> the one size of its weights; empty if these are those of step 0.
        compile_seconds: The time that compiling took.

    Raises:
        LotteryError: If the builder returns the same weights again, or kernels of one size have no signs.
    """

    def __init__(
        self,
        trainer: Trainer,
        training: TrainingConfig,
        dataset: Dataset,
        supermask: Supermask,
        counts: Kept,
    ):
        scope, xla = trainer.strategy, trainer.resolved["xla"]
        network = trainer._build(0, scope.scope())
        check_new(network, trainer._build(0))
        weights = trainer.weights()
        self.sizes = _sizes(weights, trainer.kernels) if is_constant(supermask) else {}
        for path, size in self.sizes.items():
            weights[_MODEL + path] = np.copysign(size, weights[_MODEL + path])
        state.restore(state.model_variables(network), weights)
        settle(network)
        with scope.scope():
            scored = ScoredNetwork(network, trainer.kernels, supermask, counts, uniform)
            optimizer = optimizers.build_optimizer(
                training, scored.trainable_variables, scope.num_replicas_in_sync
            )
        scored.draw_scores()
        examples = len(dataset.train)
        loop = make_loop(
            training, scored, optimizer, trainer.loss, trainer.feed, scope, xla, examples, ScoreLoop
        )
        evaluate = {"validation": make_evaluate(scored, trainer.loss, dataset.validation, xla)}
        super().__init__(scored, optimizer, loop, evaluate)
        staying = {id(v) for v in (*network.trainable_variables, *scored.kernels.values())}
        self._staying = {path: v for path, v in named_variables(network).items() if id(v) in staying}
        self._first = state.capture(self._staying)
        self.compile_seconds = compile_all(self.loop, self.evaluate)

    def check(self) -> None:
        """Check that weights are as they were, bit for bit, scores are finite, and replicas agree.

        Raises:
            LotteryError: If a score isn't finite, or a layer has changed its own weights.
            RuntimeError: If replicas differ.
        """
        super().check()
        for path, value in state.capture(self._staying).items():
            if value.tobytes() != self._first[path].tobytes():
                raise LotteryError(
                    f"The weights {path} have changed, which have to stay while scores are trained. Use a "
                    "network whose layers don't write to their weights."
                )

    def masks(self) -> Masks:
        """Return the masks by kernel path: those outside of training, without a draw."""
        return self.model.masks()

    def weights(self) -> Arrays:
        """Return copies of all weights as a ticket has them: kernels are masked, and signed by their kind."""
        weights = state.capture(state.model_variables(self.model.network))
        return weights | {_MODEL + path: value for path, value in self.model.baked().items()}

    def set_weights(self, weights: Arrays) -> None:
        """Refuse: these weights stay as they are."""
        raise RuntimeError("the weights under a supermask stay as they are: please report this")

    def _variables(self) -> dict[str, keras.Variable]:
        scores = {f"scores/{path}": score for path, score in self.model.scores.items()}
        seeds = {"scores/seeds": self.model.seeds.state} if self.model.seeds else {}
        network = state.model_variables(self.model.network)
        return network | scores | seeds | state.optimizer_variables(self.optimizer)


def is_constant(supermask: Supermask) -> bool:
    """Return whether kernels have one size a layer."""
    return supermask.constant or SUPERMASKS[supermask.kind].constant


def _sizes(weights: Arrays, kernels: list[str]) -> dict[str, np.floating]:
    """Return the standard deviation of each kernel, in the kernel's type."""
    values = {path: weights[_MODEL + path] for path in kernels}
    sizes = {path: value.std(dtype=np.float64).astype(value.dtype) for path, value in values.items()}
    if without := [path for path, size in sizes.items() if not size]:
        raise LotteryError(
            f"The kernel {without[0]} is constant at first, so it has no signs to keep. Choose another "
            "supermask.kind without constant weights."
        )
    return sizes
