"""Shows which weights of a model are prunable, which aren't, and why."""

from dataclasses import dataclass

import keras
import numpy as np
from keras import ops

from tf_lottery.errors import LotteryError
from tf_lottery.layers.kernels import ON_REQUEST, PrunableChoice, unfit
from tf_lottery.layers.paths import holders, named_variables, own_weights, walk

PRUNABLE = "prunable"
UNDECLARED = "no: a layer of your own, whose kernels aren't declared"
_ON_REQUEST = "no: on request only (kernels=, include=)"
_NOT_YET = "not yet: make_prunable makes it prunable"
_LEFT_OUT = "no: left out by include or exclude"
_SMALL = "no: not a kernel"
FROZEN = "no: frozen (frozen=True prunes it)"


@dataclass(frozen=True)
class Row:
    """One weight of a model.

    Attributes:
        path: Path of the variable.
        layer: Name of its layer's class.
        shape: Shape of the variable.
        remaining: Number of weights that aren't pruned.
        why: `prunable`, or the reason why it isn't.
    """

    path: str
    layer: str
    shape: tuple[int, ...]
    remaining: int
    why: str

    @property
    def size(self) -> int:
        """The number of weights."""
        return int(np.prod(self.shape))


def rows(model: keras.Model) -> list[Row]:
    """Return a row for each variable of a prunable or plain model that is trained or a kernel."""
    paths = {id(variable): path for path, variable in named_variables(model).items()}
    masks = {id(kernel): kernel_mask for holder in holders(model) for kernel, kernel_mask in holder.masked()}
    by_default = {id(v) for v in PrunableChoice(frozen=True, strict=False).kernels_of(model).values()}
    trained = {id(variable) for variable in model.trainable_variables}
    result = []
    for _, layer, _ in walk(model):
        for variable in own_weights(layer):
            kernel_mask = masks.get(id(variable))
            number = id(variable)
            if number not in paths or (kernel_mask is None and not {number} & (trained | by_default)):
                continue
            shape = tuple(variable.shape)
            remaining = int(np.prod(shape))
            if kernel_mask is not None:
                remaining = int(np.count_nonzero(ops.convert_to_numpy(kernel_mask)))
                why = PRUNABLE
            else:
                why = FROZEN if number not in trained else _reason(layer, variable, by_default)
                if why == _LEFT_OUT and not masks:
                    why = _NOT_YET
            result.append(Row(paths[id(variable)], type(layer).__name__, shape, remaining, why))
    return result


def prunable_table(model: keras.Model) -> str:
    """Return a table of a model that shows which weights can be pruned, which can't, and why.

    Args:
        model: A model from `make_prunable`, or a plain model, of which nothing is prunable yet.

    Raises:
        LotteryError: If it isn't a Keras model.

    Examples:
        >>> import keras, tf_lottery as lottery
        >>> plain = keras.Sequential([keras.Input((4,)), keras.layers.Dense(5, name="hidden")])
        >>> print(lottery.prunable_table(lottery.make_prunable(plain)))
        weight         layer  shape   weights  remaining
        hidden/kernel  Dense  (4, 5)       20         20  prunable
        hidden/bias    Dense  (5,)          5          5  no: not a kernel
        20 of 25 weights (80.0%) are prunable; 20 of those remain (100.0%), 25 of all 25 (100.0%).
    """
    if not isinstance(model, keras.Model):
        raise LotteryError(f"Expected a Keras model. Received: {type(model).__name__}")
    table = rows(model)
    cells = [("weight", "layer", "shape", "weights", "remaining", "")]
    cells += [
        (row.path, row.layer, str(row.shape), f"{row.size:,}", f"{row.remaining:,}", row.why) for row in table
    ]
    widths = [max(len(line[column]) for line in cells) for column in range(5)]
    lines = []
    for line in cells:
        texts = [line[i].rjust(widths[i]) if i in (3, 4) else line[i].ljust(widths[i]) for i in range(5)]
        lines.append("  ".join([*texts, line[5]]).rstrip())
    prunable = [row for row in table if row.why == PRUNABLE]
    frozen = sum(row.size for row in table if row.why == FROZEN)
    size, total = sum(row.size for row in prunable), sum(row.size for row in table) - frozen
    remaining = sum(row.remaining for row in prunable)
    lines.append(
        f"{size:,} of {total:,} weights ({size / max(total, 1):.1%}) are prunable; "
        f"{remaining:,} of those remain ({remaining / max(size, 1):.1%}), "
        f"{total - size + remaining:,} of all {total:,} ({(total - size + remaining) / max(total, 1):.1%})."
        + (f" {frozen:,} more are frozen and not counted." if frozen else "")
    )
    return "\n".join(lines)


def _reason(layer: keras.Layer, variable: keras.Variable, by_default: set[int]) -> str:
    if unfit(layer) and len(variable.shape) > 1:
        return f"no: {unfit(layer)}"
    if id(variable) in by_default:
        return _LEFT_OUT
    if isinstance(layer, tuple(ON_REQUEST)):
        return _ON_REQUEST
    keras_own = type(layer).__module__.startswith("keras.")
    return _SMALL if len(variable.shape) < 2 or keras_own else UNDECLARED
