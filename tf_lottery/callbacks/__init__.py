"""Keras callbacks for those who run rounds by hand, around their own `model.fit`."""

from tf_lottery.callbacks.gradual_pruning import GradualPruning
from tf_lottery.callbacks.rewind_snapshot import RewindSnapshot
from tf_lottery.callbacks.sparsity_logger import SparsityLogger

__all__ = ["GradualPruning", "RewindSnapshot", "SparsityLogger"]
