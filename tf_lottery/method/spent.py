"""`Spent`: what one training cost."""

from typing import Annotated

from pydantic import ConfigDict, Field

from tf_lottery.config import Strict

# FLOPs of long trainings exceed the counts that a record allows elsewhere.
_Large = Annotated[int, Field(ge=0)]
_Seconds = Annotated[float, Field(ge=0)]

FIGURES = ("steps", "examples", "flops_dense", "flops_remaining", "seconds", "seconds_total")
"""The fields of `Spent` that are numbers."""


class Spent(Strict):
    """What one training cost.

    The FLOPs of a training are 3 x the forward FLOPs of an example x the examples: forward, the gradient of
    the inputs and that of the weights take as many each. A use of a weight is a multiplication and an
    addition, 2 FLOPs. Evaluations, biases, normalization, activations, whatever else has no kernel, and the
    optimizer aren't counted. The figures tell what the network asks for, not what an engine computed: a dense
    one multiplies by the zeros, too.
    """

    model_config = ConfigDict(extra="ignore")  # a later version may have added fields

    steps: _Large
    """The training steps of this run, from its rewind point on."""
    examples: _Large | None = None
    """The examples that were trained on, repeats included: steps x batch size; None if that isn't known."""
    flops_dense: _Large | None = None
    """The training FLOPs of the dense network, with the kernels that aren't prunable; None if those of some
    layer aren't known."""
    flops_remaining: _Large | None = None
    """The training FLOPs of the weights that remain, with the kernels that aren't prunable. Where masks
    change within the training, each step costs what remained then, and an update its dense gradients."""
    uncounted: list[str] = []
    """The layers whose FLOPs aren't known."""
    seconds: _Seconds
    """The time of the training steps, their data included, without compiling and evaluating; in a search,
    where `fit` does all of it, with both. What earlier processes trained of an interrupted run is included,
    up to the checkpoint."""
    seconds_total: _Seconds
    """The time from the beginning of the run to its last file, all included, in the process that finished
    it: an interrupted run's earlier processes aren't in it."""


def training_flops(forward: int | None, examples: int | None) -> int | None:
    """Return the FLOPs of a training by the convention of `Spent`.

    Args:
        forward: The forward FLOPs of one example; None if they aren't known.
        examples: The number of examples that are trained on, repeats included; None if it isn't known.
    """
    return None if forward is None or examples is None else 3 * forward * examples
