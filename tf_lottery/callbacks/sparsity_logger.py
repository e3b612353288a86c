"""`SparsityLogger`: sparsity curves for TensorBoard."""

from pathlib import Path

import keras
import numpy as np

from tf_lottery import atomic
from tf_lottery.layers.access import get_masks, sparsity
from tf_lottery.training.events import EventFile


class SparsityLogger(keras.callbacks.Callback):
    """Writes the sparsity of a prunable model, in total and by kernel, after each epoch.

    Args:
        log_dir: Log directory for TensorBoard; it may be the one of `keras.callbacks.TensorBoard`.
        first_epoch: Number to count epochs from: how many epochs earlier rounds have taken.

    Examples:
        >>> import keras, numpy as np, tempfile, tf_lottery as lottery
        >>> plain = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
        >>> model = lottery.make_prunable(plain)
        >>> model.compile("adam", "mse")
        >>> logger = lottery.callbacks.SparsityLogger(tempfile.mkdtemp())
        >>> history = model.fit(np.ones((8, 4)), np.ones((8, 2)), callbacks=[logger], verbose=0)
        >>> history.history["sparsity"]
        [0.0]
    """

    def __init__(self, log_dir: str | Path, first_epoch: int = 0):
        super().__init__()
        self.log_dir, self.first_epoch = Path(log_dir), first_epoch
        self._events: EventFile | None = None

    def on_train_begin(self, logs: dict | None = None) -> None:
        """Open the log file."""
        sparsity(self.model)  # refuses a plain model before any training
        self._events = EventFile(atomic.make_directory(self.log_dir))

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        """Write the curves, and add the sparsity to the history."""
        masks = get_masks(self.model)
        whole = sparsity(self.model)
        if logs is not None:
            logs["sparsity"] = whole
        curves = {"sparsity": whole, "sparsity of all parameters": sparsity(self.model, over="all")}
        curves |= {
            f"sparsity by kernel/{path}": 1 - np.count_nonzero(mask) / mask.size
            for path, mask in masks.items()
        }
        if self._events is None:  # nothing is trained
            return
        for tag, value in curves.items():
            self._events.scalar(tag, value, self.first_epoch + epoch)
        self._events.flush()

    def on_train_end(self, logs: dict | None = None) -> None:
        """Close the log file."""
        if self._events is not None:
            self._events.close()
