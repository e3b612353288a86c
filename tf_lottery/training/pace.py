"""How a training goes from one step to another and pauses for stops, whatever computes the steps."""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence

from tf_lottery.training.observe import Passed
from tf_lottery.training.stop import Stop

Span = tuple[int, int]
Sums = Callable[[], tuple[float, float]]
"""Waits for a call's end and returns its sums of the steps' losses and accuracies."""


def pace(
    first: int,
    last: int,
    stops: Sequence[Stop],
    passed: Passed | None,
    length: int,
    calls: Callable[[list[Span]], Iterable[Sums]],
) -> None:
    """Train from step `first` to step `last`, in calls of many steps.

    A training that is resumed from a checkpoint gets the same bits, including the sums of the losses:
    checkpoints are made between calls and don't shorten them.

    Args:
        first: The number of steps that the network has had already.
        last: The last step.
        stops: The stops that the training pauses for, in the order in which they act.
        passed: What had passed since the last planned pause when the training was interrupted.
        length: The most steps in a call.
        calls: A function that takes the spans of steps and begins one call after the other, each when the
            next item is asked for.
    """
    planned = _planned(first, last, stops)
    begun, passed, began = [], passed or Passed(), time.perf_counter()
    spans = list(_spans(first, planned, length))
    for (start, end), sums in zip(spans, calls(spans), strict=True):
        begun.append((end - start, sums))
        unplanned = [stop for stop in stops if stop.reached(end)]
        pauses = end in planned or bool(unplanned)
        # One call stays in flight: an accelerator computes while the next batches are prepared.
        while len(begun) > (not pauses):
            steps, sums = begun.pop(0)
            passed += Passed(steps, *sums())
        if not pauses:
            continue
        passed.seconds += time.perf_counter() - began
        if end in planned:
            for stop in stops:
                stop.passed(passed)
            passed = Passed()
            for stop in planned[end]:
                stop.act(end, passed)
            if end < last and any(stop.ends() for stop in stops):
                for stop in (each for each in planned[last] if each not in planned[end]):
                    stop.act(end, passed)  # what is done at the last step
                return
        for stop in unplanned:
            stop.act(end, passed)
        began = time.perf_counter()


def _planned(first: int, last: int, stops: Sequence[Stop]) -> dict[int, list[Stop]]:
    """Return the planned pauses, the last step included: step -> the stops that asked for it."""
    pauses: dict[int, list[Stop]] = {last: []}
    for stop in stops:
        for step in dict.fromkeys(stop.steps(first, last)):
            if first < step <= last:
                pauses.setdefault(step, []).append(stop)
    return {step: pauses[step] for step in sorted(pauses) if step > first}


def _spans(first: int, stops: Iterable[int], length: int) -> Iterator[Span]:
    """Cut the steps between stops into spans of at most `length` steps."""
    for stop in stops:
        while first < stop:
            last = min(first + length, stop)
            yield first, last
            first = last
