"""Losses of a batch and their gradients."""

import math

from tf_lottery.training.sparse.kernels.cache import compiled
from tf_lottery.training.sparse.kernels.vector import LANES


@compiled
def crossentropy(outputs, gradient, labels, starts, groups, group_step, share, sums):
    """Compute softmax with crossentropy from logits, its gradient, and how many labels are hit.

    Args:
        outputs: The logits, in the batch-last layout.
        gradient: That of the mean loss, which is written; None in an evaluation.
        labels: The label of each lane; negative where there is no example.
        starts: Where each class begins.
        groups, group_step: The number of groups of lanes, and the distance between them.
        share: 1 / the number of examples.
        sums: Two float64 numbers, the sum of losses and the number of hits, which are added to.
    """
    for group in range(groups):
        for lane in range(LANES):
            label = labels[group * LANES + lane]
            at = group * group_step + lane
            best = 0
            for index in range(1, len(starts)):
                if outputs[at + starts[index]] > outputs[at + starts[best]]:
                    best = index
            highest = outputs[at + starts[best]]
            norm = outputs.dtype.type(0)
            for index in range(len(starts)):
                norm += math.exp(outputs[at + starts[index]] - highest)
            if label >= 0:
                sums[0] += math.log(norm) - (outputs[at + starts[label]] - highest)
                sums[1] += best == label
            if gradient is not None:
                scale = share if label >= 0 else outputs.dtype.type(0)
                for index in range(len(starts)):
                    probability = math.exp(outputs[at + starts[index]] - highest) / norm
                    gradient[at + starts[index]] = (probability - (index == label)) * scale


@compiled
def squared_error(outputs, gradient, labels, starts, groups, group_step, share, sums):
    """Compute the mean over classes of (output - one-hot label) squared, its gradient, and the hits.

    The arguments are those of `crossentropy`.
    """
    count = outputs.dtype.type(len(starts))
    for group in range(groups):
        for lane in range(LANES):
            label = labels[group * LANES + lane]
            at = group * group_step + lane
            best = 0
            squares = outputs.dtype.type(0)
            scale = outputs.dtype.type(2) / count * share if label >= 0 else outputs.dtype.type(0)
            for index in range(len(starts)):
                output = outputs[at + starts[index]]
                if output > outputs[at + starts[best]]:
                    best = index
                difference = output - outputs.dtype.type(index == label)
                squares += difference * difference
                if gradient is not None:
                    gradient[at + starts[index]] = difference * scale
            if label >= 0:
                sums[0] += squares / count
                sums[1] += best == label
