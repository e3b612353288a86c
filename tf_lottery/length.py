"""How long a training is, in steps."""

from dataclasses import dataclass

from tf_lottery import steps
from tf_lottery.config import RewindConfig, TrainingConfig


@dataclass(frozen=True)
class Length:
    """The steps of one training.

    Attributes:
        per_epoch: Steps of an epoch: floor(examples / batch size).
        last: The last step, counted from step 0 of the network.
        evaluate_every: Steps from one evaluation to the next.
    """

    per_epoch: int
    last: int
    evaluate_every: int

    @classmethod
    def of(cls, training: TrainingConfig, examples: int) -> "Length":
        """Return the length of a training.

        Args:
            training: Its settings.
            examples: The number of training examples.

        Raises:
            LotteryError: If the examples don't fill a batch.
        """
        per_epoch = steps.epoch(examples, training.batch_size)
        last = steps.iterations(training.steps, per_epoch)
        return cls(per_epoch, last, steps.iterations(training.evaluate_every, per_epoch))

    def step(self, point: str) -> int:
        """Return the step of a point of the training, such as `500it`, `2ep` or `end`."""
        return self.last if point == steps.END else steps.iterations(point, self.per_epoch)

    def span(self, rewind: RewindConfig | None) -> tuple[int, int]:
        """Return the first and the last step of a run that is rewound; None isn't, and begins at step 0."""
        if rewind is None:
            return 0, self.last
        first = self.step(rewind.to)
        return first, self.last if rewind.steps is None else first + self.step(rewind.steps)
