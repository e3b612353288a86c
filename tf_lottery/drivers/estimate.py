"""Estimates what a study would still take: runs, steps, time and disk, before anything is trained."""

import shutil
import statistics
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tf_lottery.config import StudyConfig
from tf_lottery.data import sources
from tf_lottery.data.split import split
from tf_lottery.errors import LotteryError
from tf_lottery.length import Length
from tf_lottery.method.plan import foreseen, plan
from tf_lottery.method.spec import Record, RunSpec
from tf_lottery.store.adopt import Elsewhere
from tf_lottery.store.store import Store
from tf_lottery.store.upkeep import sizes
from tf_lottery.training.quiet_start import start_quietly
from tf_lottery.workers import MULTI_WORKER

if TYPE_CHECKING:
    from tf_lottery.runs.trainers import Trainers


_SPARSE = "sparse, where few enough weights remain"


@dataclass(frozen=True)
class Estimate:
    """What a study would still take.

    Attributes:
        next: The runs that can start now.
        there: The number of the study's runs that are finished.
        elsewhere: The number of further runs that a neighbouring study has trained.
        runs: The most runs still to be trained, or None if only a stop rule ends the study.
        steps: The training steps of all these runs, or of the runs in `next`.
        seconds_a_run: The mean duration of a run in seconds, or None if unknown.
        bytes_a_run: The mean size of a run in bytes, or None if unknown.
        measured: Whether the network was trained for a few seconds, since no run is finished.
        free: The free bytes of the disk.
        engine: Which engine trains, in words. None if the study leaves no choice, or nothing was looked at.
    """

    next: list[RunSpec]
    there: int
    elsewhere: int
    runs: int | None
    steps: int
    seconds_a_run: float | None
    bytes_a_run: int | None
    measured: bool
    free: int
    engine: str | None = None


def estimate(study: StudyConfig, store: Store, records: list[Record]) -> Estimate:
    """Estimate what a study would take.

    A study with arms that have no finished run is checked as before a training. Without any finished run,
    the network is trained for a few seconds. Neither is done if that would take other machines.

    Args:
        study: The study, with its data's digest.
        store: The store that holds the study's runs.
        records: The records of the study's finished runs.

    Raises:
        LotteryError: If the settings don't fit the data or the network.
    """
    waiting = plan(study, records)
    every, keys, others = foreseen(study), {record.key for record in records}, Elsewhere(store)
    left = waiting
    if waiting and every is not None:
        left = list({spec.key: spec for spec in every if spec.key not in keys}.values())
    trained_elsewhere = {spec.key for spec in left if others.has(spec)}
    left = [spec for spec in left if spec.key not in trained_elsewhere]
    steps = sum(_spans(left))
    trainers = None
    has_new_arms = not study.arms.keys() <= {record.spec.arm for record in records}
    chooses = study.training.engine == "auto"
    if waiting and has_new_arms and study.training.strategy != MULTI_WORKER:
        trainers = _checked(study, store)
    if records:
        a_step = statistics.median(r.seconds["total"] / max(r.last_step - r.first_step, 1) for r in records)
        seconds = a_step * steps / max(len(left), 1)  # runs may differ in length
        size = sum(sizes(store.paths).values()) // len(records)
    elif left and trainers is not None:
        from tf_lottery.runs.timing import time_a_run

        a_step, size = time_a_run(left[0], sum(_spans(left[:1])), trainers)
        seconds = a_step * steps / len(left)
    else:
        seconds = size = None
    return Estimate(
        next=waiting,
        there=len(records),
        elsewhere=len(trained_elsewhere),
        runs=len(left) if every is not None or not waiting else None,
        steps=steps,
        seconds_a_run=seconds,
        bytes_a_run=size,
        measured=not records,
        free=shutil.disk_usage(_existing(store.paths.root)).free,
        engine=_engine(waiting, trainers, records) if chooses else None,
    )


def _checked(study: StudyConfig, store: Store) -> "Trainers":
    """Check the study as it is checked before anything is trained; return the networks that this took.

    Raises:
        LotteryError: If the settings don't fit the data or the network.
    """
    start_quietly()
    from tf_lottery.runs.attempt import check
    from tf_lottery.runs.trainers import Trainers

    trainers = Trainers()
    if wrong := check(study, store, trainers):
        raise LotteryError(wrong)
    return trainers


def _engine(waiting: list[RunSpec], trainers: "Trainers | None", records: list[Record]) -> str | None:
    """Say which engine trains, from the network if there is one, else from what the records say."""
    if waiting and trainers is not None:
        from tf_lottery.runs.engines import lacking

        lacks = lacking(waiting[0], trainers.trainer(waiting[0]))
        return f"dense, since the sparse engine lacks {lacks}" if lacks else _SPARSE
    reasons = [str(record.resolved.get("engine_reason", "")) for record in records]
    lacking_one = [reason for reason in reasons if reason.startswith("the sparse engine lacks")]
    if lacking_one:
        return f"dense, since {lacking_one[0]}"
    return _SPARSE if any(record.resolved.get("engine") == "sparse" for record in records) else None


def _spans(specs: list[RunSpec]) -> Iterator[int]:
    """Yield how many steps each run trains."""
    examples: dict[str, int] = {}
    for spec in specs:
        key = spec.data.model_dump_json()
        if key not in examples:
            examples[key] = len(split(sources.load(spec.data), spec.data).train)
        first, last = Length.of(spec.training, examples[key]).span(spec.begins)
        yield last - first


def _existing(path: Path) -> Path:
    path = path.resolve()
    while not path.exists():
        path = path.parent
    return path
