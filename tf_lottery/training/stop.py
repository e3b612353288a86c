"""`Stop`, the reason for which a training pauses. Everything that happens between steps is done by stops.

A stop says at which steps the training is to pause, does something there, and says what a checkpoint must
keep of it, so that a training that is resumed gets the same bits.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from tf_lottery.arrays import Arrays
from tf_lottery.training.observe import Passed


class Stop:
    """A reason to pause. The base class does nothing; subclasses override what they need."""

    def steps(self, first: int, last: int) -> Iterable[int]:
        """Return the planned steps, in ascending order.

        Args:
            first: The step at which the training begins; it may be one of the planned steps.
            last: The training's last step; it may be one of the planned steps, too.
        """
        return ()

    def reached(self, step: int) -> bool:
        """Return whether to pause at a step that wasn't planned.

        This is called after each call of the compiled function, which it doesn't shorten.
        """
        return False

    def passed(self, passed: Passed) -> None:
        """Hear what passed since the training last paused at a planned step of any stop."""

    def act(self, step: int, passed: Passed) -> None:
        """Do what the training has paused for.

        Args:
            step: The number of steps that the network has had.
            passed: What passed since the last planned pause; nothing at a planned step itself.
        """

    def ends(self) -> bool:
        """Return whether the training ends here, before its last step. It is asked at planned pauses."""
        return False

    def kept(self) -> dict[str, Any]:
        """Return what a checkpoint must keep of this stop, as JSON holds it, under names of its own."""
        return {}

    def kept_arrays(self) -> Arrays:
        """Return the arrays that a checkpoint must keep of this stop, under names of its own."""
        return {}

    def prepare(self, kept: Mapping[str, Any], arrays: Arrays) -> None:
        """Prepare the engine for the state that a checkpoint kept, before it is restored."""

    def restore(self, kept: Mapping[str, Any], arrays: Arrays) -> None:
        """Restore what a checkpoint kept. The arguments hold the values of all stops."""
