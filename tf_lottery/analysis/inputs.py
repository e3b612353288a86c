"""Where the weights of the first layer are: how many remain for each number of the input.

Winning tickets of a Dense network keep more weights where pixels vary; masks that are drawn, or shuffled
within the layer, show nothing of the images.
"""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from statistics import mean
from typing import TYPE_CHECKING

import numpy as np
from scipy import stats

from tf_lottery.analysis.input_statistics import correlated, deviations, middle_and_border
from tf_lottery.analysis.stored import check_functions
from tf_lottery.errors import LotteryError
from tf_lottery.method.spec import Record, RunSpec
from tf_lottery.store.store import Store
from tf_lottery.training.quiet_start import start_quietly

if TYPE_CHECKING:
    from tf_lottery.layers.first import FirstKernel
    from tf_lottery.runs.trainers import Trainers

PIXELS, FEATURES, KERNEL = "pixels", "features", "kernel"

Nested = tuple["float | Nested", ...]


@dataclass(frozen=True)
class Inputs:
    """How many weights of the first layer remain for each number of the input, the mean of runs.

    Attributes:
        arm: The arm.
        round: The round.
        path: The kernel's path.
        kind: What is counted: `pixels` of images (each channel by itself), `features` of vectors and the
            like, or, of a convolution, places in its `kernel`.
        runs: The number of runs.
        weights: The number of the layer's weights that remain.
        density: The fraction that that is.
        unread: The fraction of what is counted that has no weight left.
        chance: What `unread` would be if as many weights lay at random.
        middle: The mean number of weights of a pixel in the central half of rows and columns. None if there
            are no pixels, or fewer than four rows or columns.
        border: The same of the outermost eighth of rows and columns on each side, one at least.
        correlation: Spearman's, of a number's weights with its standard deviation in the training data,
            before it is augmented. None for a kernel, and where either is constant.
        constant: The fraction of the weights that read a number which is constant in the training data: they
            do no more than a bias. None for a kernel.
        counts: The number of weights, by place: [height, width] or [height, width, channels] of pixels, the
            shape of an example otherwise, the kernel's positions of a convolution.
        channels: The number of weights by input channel, of a convolution; empty otherwise.
    """

    arm: str
    round: int
    path: str
    kind: str
    runs: int
    weights: float
    density: float
    unread: float
    chance: float
    middle: float | None
    border: float | None
    correlation: float | None
    constant: float | None
    counts: Nested
    channels: tuple[float, ...]


@dataclass(frozen=True)
class _Counted:
    """The counts of one run; `width` is the number of the layer's weights for each place."""

    kind: str
    counts: np.ndarray
    channels: np.ndarray
    width: int
    correlation: float | None = None
    constant: float | None = None


def inputs(
    records: Iterable[Record],
    store: Store,
    trainers: "Trainers | None" = None,
    advanced: Callable[[int], None] = lambda _: None,
    functions: Collection[str] | None = None,
) -> list[Inputs]:
    """Return where the weights of the first layer are, by arm and round.

    Runs whose first layer isn't pruned are left out.

    Args:
        records: The finished runs, as `collect` returns them.
        store: The store that holds their masks.
        trainers: What holds data sets. Default: a new one.
        advanced: A function that hears how many runs have been looked at.
        functions: The functions that a study of a stranger's may call, `package.module:function`. Default:
            all that it names.

    Raises:
        LotteryError: If the input isn't read by one Dense layer or convolution, no run has one that is
            pruned, or the study names a function that it may not call.
        DamagedError: If a mask fails its checksum.
    """
    pruned = [record for record in records if record.weights_remaining < record.weights_total]
    for record in pruned:
        check_functions(record.spec, functions)
    start_quietly()
    from tf_lottery.runs.trainers import Trainers

    looker, found = _Looker(trainers or Trainers()), defaultdict(list)
    for number, record in enumerate(pruned, 1):
        first, masks = looker.first(record), store.masks(record.key)
        if first.path in masks and not masks[first.path].all():
            counted = looker.counted(record, first, masks[first.path])
            found[record.spec.arm, record.spec.round, first.path].append(counted)
        advanced(number)
    if not found:
        raise LotteryError("No finished run has a first layer that is pruned. `tf-lottery run` goes on.")
    return [_row(*place, runs) for place, runs in found.items()]


class _Looker:
    """Finds first kernels and how much inputs vary, each once."""

    def __init__(self, trainers: "Trainers"):
        self._trainers = trainers
        self._firsts: dict[str, FirstKernel] = {}
        self._spreads: dict[str, np.ndarray] = {}

    def first(self, record: Record) -> "FirstKernel":
        from tf_lottery.layers.first import first_kernel
        from tf_lottery.models.build import build

        model, (shape, classes) = record.spec.model, _sizes(record)
        key = f"{model.model_dump_json()}{shape}{classes}"
        if key not in self._firsts:
            self._firsts[key] = first_kernel(build(model, shape, classes, seed=0), model.frozen)
        return self._firsts[key]

    def counted(self, record: Record, first: "FirstKernel", mask: np.ndarray) -> _Counted:
        if first.convolution:
            # A kernel's axes are its positions, the input's channels and what it makes of them.
            counts, channels = mask.sum(axis=(-2, -1)), mask.sum(axis=(*range(mask.ndim - 2), -1))
            return _Counted(KERNEL, counts, channels, mask.shape[-2] * mask.shape[-1])
        shape, _ = _sizes(record)
        counts = mask.sum(axis=-1).reshape(shape)
        spread = self._spread(record.spec)
        correlation, constant = correlated(counts, spread), float(counts[spread == 0].sum() / counts.sum())
        kind = PIXELS if counts.ndim == 3 else FEATURES
        if kind == PIXELS and counts.shape[-1] == 1:
            counts = counts[..., 0]
        return _Counted(kind, counts, np.zeros(0), mask.shape[-1], correlation, constant)

    def _spread(self, spec: RunSpec) -> np.ndarray:
        key = spec.data.model_dump_json()
        if key not in self._spreads:
            self._spreads[key] = deviations(self._trainers.dataset(spec.data).train)
        return self._spreads[key]


def _sizes(record: Record) -> tuple[tuple[int, ...], int]:
    return tuple(record.resolved["input_shape"]), record.resolved["classes"]


def _row(arm: str, round: int, path: str, runs: list[_Counted]) -> Inputs:
    kind, size, width = runs[0].kind, runs[0].counts.size, runs[0].width
    remaining = [int(run.counts.sum()) for run in runs]
    # The weights of a place are `width` of all: how likely is it that none of those that remain is there?
    chance = [float(stats.hypergeom.pmf(0, size * width, width, left)) for left in remaining]
    average = np.mean([run.counts for run in runs], axis=0)
    channels = np.mean([run.channels for run in runs], axis=0)
    middle, border = middle_and_border(average) if kind == PIXELS else (None, None)
    return Inputs(
        arm,
        round,
        path,
        kind,
        len(runs),
        mean(remaining),
        mean(remaining) / (size * width),
        mean(float(np.mean(run.counts == 0)) for run in runs),
        mean(chance),
        middle,
        border,
        _mean([run.correlation for run in runs]),
        _mean([run.constant for run in runs]),
        _nested(average),
        _nested(channels),
    )


def _mean(values: list[float | None]) -> float | None:
    return None if None in values else mean(values)


def _nested(values: np.ndarray) -> Nested:
    return tuple(_nested(each) if each.ndim else float(each) for each in values)
