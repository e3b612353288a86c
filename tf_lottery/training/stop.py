"""A reason for which a training pauses. All that happens between its steps is an object of this kind.

A stop says at which steps it wants the training to pause, does something there, and tells what a checkpoint
must keep of it, so that a training that is resumed gets the same bits.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from tf_lottery.arrays import Arrays
from tf_lottery.training.observe import Passed


class Stop:
    """A reason to pause. It does nothing by itself; subclasses override what they need."""

    def steps(self, first: int, last: int) -> Iterable[int]:
        """Return the planned steps, in ascending order.

        Args:
            first: The step at which the training begins; it may be one of them.
            last: Its last step; it may be one of them.
        """
        return ()

    def reached(self, step: int) -> bool:
        """Return whether to pause at a step that wasn't planned.

        This is called after each call of the compiled function, which it doesn't shorten.
        """
        return False

    def passed(self, passed: Passed) -> None:
        """Hear what passed since the training last paused at a planned step, whoever's step that was."""

    def act(self, step: int, passed: Passed) -> None:
        """Do what the training has paused for.

        Args:
            step: The steps that the network has had.
            passed: What passed since the last planned pause; nothing at a planned step itself.
        """

    def kept(self) -> dict[str, Any]:
        """Return what a checkpoint must keep of this, as JSON holds it, named as no other stop does."""
        return {}

    def kept_arrays(self) -> Arrays:
        """Return the arrays that a checkpoint must keep of this, named as no other stop names them."""
        return {}

    def restore(self, kept: Mapping[str, Any], arrays: Arrays) -> None:
        """Take back what a checkpoint kept. All stops' values are given."""
