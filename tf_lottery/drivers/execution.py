"""How a study's runs are trained: where, how many at once, and which of them. This changes no result."""

import os
import re
from dataclasses import dataclass
from pathlib import Path

from tf_lottery.config import StudyConfig
from tf_lottery.errors import LotteryError
from tf_lottery.method.spec import RunSpec

EXECUTORS = ("local", "ray")
MOST_WORKERS = {"local": 1024, "ray": 100_000}
"""A greater number must be a slip; no machine would survive it."""

# These train one run on all devices. So does `auto` if there are several GPUs.
_WHOLE_MACHINE = ("mirrored", "multi_worker", "tpu")


@dataclass(frozen=True)
class Execution:
    """How a study's runs are trained.

    Attributes:
        executor: `local` for this machine, `ray` for a Ray cluster (extra `cluster`).
        workers: How many processes train side by side. Default: the number of GPUs, or if there are none, the
            number of cores divided by `training.threads`.
        address: The address of a running Ray cluster. Default: a local one is started.
        gpus: The GPUs of each run on a Ray cluster: 1, or 0.25 for four runs on a GPU. Default: 1 if the
            cluster has GPUs.
        shard: Which replicates to train: `2/4` is the second of every four.
        strict_environment: Whether to refuse to mix runs of other package versions or processors.
        retry_failed: Whether to train runs that failed again.

    Examples:
        >>> import tf_lottery as lottery
        >>> lottery.Execution(workers=4, shard="2/3").workers
        4
    """

    executor: str = "local"
    workers: int | None = None
    address: str | None = None
    gpus: float | None = None
    shard: str | None = None
    strict_environment: bool = False
    retry_failed: bool = False

    def __post_init__(self):
        if self.executor not in EXECUTORS:
            raise LotteryError(f"Expected --executor {' or '.join(EXECUTORS)}. Received: {self.executor!r}")
        if self.workers is not None and (not isinstance(self.workers, int) or self.workers < 1):
            raise LotteryError(f"Expected at least one worker. Received: {self.workers}")
        if (self.workers or 0) > (most := MOST_WORKERS[self.executor]):
            raise LotteryError(
                f"Expected at most {most:,} workers (--executor {self.executor}). Received: {self.workers:,}"
            )
        if self.gpus is not None and not 0 <= self.gpus <= 1024:
            raise LotteryError(f"Expected a number of GPUs a run, such as 1 or 0.25. Received: {self.gpus}")
        if self.executor != "ray" and (self.address is not None or self.gpus is not None):
            raise LotteryError(
                "--address and --gpus work only with --executor ray. Add it, or leave them out."
            )
        if self.shard is not None:
            self.chains(None)

    def chains(self, study: StudyConfig | None) -> tuple[int, int]:
        """Return (i, n), for the chains i, i + n, ..., counted from 0. A chain is a replicate.

        Raises:
            LotteryError: If the shard isn't `i/n`, or has no chains.
        """
        if self.shard is None:
            return 0, 1
        match = re.fullmatch(r"(\d{1,6})/(\d{1,6})", self.shard)
        index, count = (int(number) for number in match.groups()) if match else (0, 0)
        if not 1 <= index <= count:
            raise LotteryError(f"Expected --shard i/n such as 1/4 to 4/4. Received: {self.shard!r}")
        if study is not None and index > study.replicates:
            raise LotteryError(
                f"Expected a shard up to {study.replicates}, the number of the study's replicates. "
                f"Received: {self.shard}"
            )
        return index - 1, count

    def shard_of(self, spec: RunSpec) -> str:
        """Return the shard that a run belongs to, if there are as many shards as here."""
        _, count = self.chains(None)
        return f"{spec.replicate % count + 1}/{count}"

    def ours(self, spec: RunSpec) -> bool:
        """Return whether a run belongs to this shard."""
        first, count = self.chains(None)
        return spec.replicate % count == first


def local_workers(study: StudyConfig, asked: int | None) -> int:
    """Return how many processes train side by side on this machine.

    Args:
        study: The study. Each process uses its `training.threads`; its strategy may need the whole machine.
        asked: The number that the user asked for, or None for the default.

    Raises:
        LotteryError: If several are asked for, but a run takes all devices.
    """
    gpus = len(visible_gpus())
    alone = study.training.strategy in _WHOLE_MACHINE or (study.training.strategy == "auto" and gpus > 1)
    if alone and (asked or 1) > 1:
        raise LotteryError(
            f"Expected one worker, since training.strategy {study.training.strategy} takes all devices for "
            f"each run. Received: {asked}. With training.strategy=one_device each run takes one."
        )
    if asked or alone:
        return asked or 1
    return gpus or max(1, cores() // study.training.threads)


def cores() -> int:
    """Return how many processor cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def visible_gpus() -> list[str]:
    """Return the names of this machine's NVIDIA GPUs, as `CUDA_VISIBLE_DEVICES` takes them, without
    starting TensorFlow."""
    chosen = os.environ.get("CUDA_VISIBLE_DEVICES")
    if chosen is not None:
        return [name for name in chosen.split(",") if name.strip() not in ("", "-1")]
    return [str(index) for index, _ in enumerate(Path("/proc/driver/nvidia/gpus").glob("*"))]
