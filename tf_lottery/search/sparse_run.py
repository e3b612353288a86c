"""Runs of a search whose rounds with masks are trained at the cost of the weights that remain."""

from collections.abc import Callable, Mapping
from typing import Any

import keras

from tf_lottery.config import TrainingConfig
from tf_lottery.data.split import Dataset, Split
from tf_lottery.errors import LotteryError
from tf_lottery.search.loop_run import LoopRun, from_logits
from tf_lottery.training.dense import DenseEngine
from tf_lottery.training.engine import Engine
from tf_lottery.training.feed import Feed
from tf_lottery.training.loop import Loop
from tf_lottery.training.optimizers import make_optimizer
from tf_lottery.training.sparse.choice import lacking, pays


class SparseRun(LoopRun):
    """Trains runs as `LoopRun` does, but those with masks by the sparse engine where that should be faster.

    Raises:
        LotteryError: If the loop doesn't support the model or the data, or the sparse engine lacks something.
    """

    def __init__(self, *arguments: Any, **settings: Any):
        super().__init__(*arguments, **settings)
        model = self.network.model
        self._training = _training(model, self._batch_size)
        lacks = lacking(self.engine, self._training)
        if lacks is not None:
            raise LotteryError(
                f"Expected a model that engine='sparse' can train. Received: one that has {lacks}, which it "
                "lacks. Use engine='loop' or 'fit'."
            )

    def _make_engine(
        self, loop: Loop, evaluate: Mapping[str, Callable], feed: Feed, examples: Split, validation: Split
    ) -> DenseEngine:
        return _Whole(self.network.model, loop, evaluate, feed, examples, validation)

    def _engine(self) -> Engine:
        whole = self.engine
        masks = whole.masks()
        if all(mask.all() for mask in masks.values()) or not pays(whole.model, masks, threads=1):
            return whole
        from tf_lottery.training.sparse.engine import SparseEngine

        return SparseEngine(whole, self._training, whole.dataset)


class _Whole(DenseEngine):
    """The whole network, as the sparse engine takes it over."""

    def __init__(
        self,
        model: keras.Model,
        loop: Loop,
        evaluate: Mapping[str, Callable],
        feed: Feed,
        examples: Split,
        validation: Split,
    ):
        super().__init__(model, model.optimizer, loop, evaluate)
        self.feed = feed
        self.dataset = Dataset(examples, validation, validation, 0)
        self.resolved = {"device": "CPU", "replicas": 1}


def _training(model: keras.Model, batch_size: int) -> TrainingConfig:
    """Return the settings of a compiled model's training, as a study has them.

    Raises:
        LotteryError: If a study can't have them.
    """
    optimizer, policy = model.optimizer, model.dtype_policy.name
    settings = optimizer.get_config()
    rate, name = settings.pop("learning_rate"), settings.pop("name")
    if not isinstance(rate, float):
        raise _refused("a learning rate that isn't a number")
    if policy not in ("float32", "float64"):
        raise _refused(f"the dtype policy {policy}")
    if optimizer.weight_decay and _excludes(optimizer):
        raise _refused("an optimizer with variables that are excluded from weight decay")
    training = TrainingConfig(
        batch_size=batch_size,
        optimizer=type(optimizer).__name__.lower(),
        learning_rate=rate,
        optimizer_options={key: value for key, value in settings.items() if value is not None},
        from_logits=from_logits(model),
        precision=policy,
        engine="sparse",
    )
    again = make_optimizer(training)
    if type(again) is not type(optimizer) or _known(again) != _known(optimizer):
        raise _refused(f"the optimizer {name!r}, which isn't one of Keras's")
    return training


def _known(optimizer: keras.optimizers.Optimizer) -> dict[str, Any]:
    return {key: value for key, value in optimizer.get_config().items() if key != "name"}


def _excludes(optimizer: keras.optimizers.Optimizer) -> bool:
    names = ("_exclude_from_weight_decay", "_exclude_from_weight_decay_pattern")
    return any(getattr(optimizer, name, None) for name in names)


def _refused(received: str) -> LotteryError:
    return LotteryError(
        "engine='sparse' takes Keras's SGD, Adam and AdamW with a number as learning rate, in float32 or "
        f"float64. Received: {received}. Use engine='loop' or 'fit'."
    )
