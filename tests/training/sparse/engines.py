"""Sparse engines on small real data, and what stock Keras makes of the same network."""

import keras
import numpy as np

from tests.training.trainings import trainer
from tf_lottery.config import ModelConfig, TrainingConfig
from tf_lottery.data.order import BatchOrder
from tf_lottery.pruning.select import select
from tf_lottery.training.optimizers import build_optimizer
from tf_lottery.training.sparse.engine import SparseEngine


def begun(dataset, model=None, density=0.2, seed=0, data=None, **training):
    """A trainer at the start of a run with random masks, and its settings."""
    whole = trainer(dataset, ModelConfig(**(model or {})), data, **training)
    rng = np.random.default_rng(seed)
    shapes = whole.shapes()
    full = {path: np.ones(shape, bool) for path, shape in shapes.items()}
    scores = {path: rng.random(shape) for path, shape in shapes.items()}
    masks = full if density == 1 else select(scores, full, dict.fromkeys(shapes, 1 - density), "layer", 0.0)
    whole.begin(masks, whole.initial_weights(seed), 0, None)
    return whole, TrainingConfig(**training)


def sparse(dataset, *arguments, **options):
    whole, config = begun(dataset, *arguments, **options)
    return SparseEngine(whole, config, dataset)


def order(dataset, batch):
    return BatchOrder(5, len(dataset.train), batch)


def with_keras(whole, config, dataset, steps):
    """Train the network with `train_on_batch`, from the state in which it is; return its weights."""
    model = whole.model
    model.compile(
        optimizer=build_optimizer(config, model.trainable_variables),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True, dtype=config.precision),
        jit_compile=False,
    )
    for rows in order(dataset, config.batch_size).batches(0, steps):
        model.train_on_batch(dataset.train.x[rows], dataset.train.y[rows])
    weights = whole.weights()
    model.optimizer = whole.optimizer
    return weights


def difference(first, second):
    """The relative L2 distance of all weights."""
    names = [name for name, value in first.items() if np.issubdtype(value.dtype, np.floating)]
    distance = sum(float(((first[name].astype(float) - second[name]) ** 2).sum()) for name in names)
    return (distance / sum(float((second[name].astype(float) ** 2).sum()) for name in names)) ** 0.5
