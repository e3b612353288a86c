"""What `tf-lottery run --dry-run` prints, in words and as JSON."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tf_lottery.analysis.so_far import duration
from tf_lottery.config import StudyConfig
from tf_lottery.drivers.estimate import Estimate, estimate
from tf_lottery.drivers.execution import Execution, local_workers
from tf_lottery.drivers.run_study import BEGUN_DENSE
from tf_lottery.method.plan import collect
from tf_lottery.paths import OUTPUT, StudyPaths
from tf_lottery.store.store import Store
from tf_lottery.store.study_file import prepare
from tf_lottery.store.upkeep import readable


@dataclass(frozen=True)
class DryRun:
    """What a study would train.

    Attributes:
        name: The study's name.
        directory: Its directory.
        work: What it would still take.
        workers: How many runs would be trained at once.
        begun_dense: Whether it was begun with another engine than is asked for now, and goes on with that.
    """

    name: str
    directory: Path
    work: Estimate
    workers: int
    begun_dense: bool

    @property
    def runs(self) -> int:
        """The runs still to be trained, or the least that these can be."""
        return len(self.work.next) if self.work.runs is None else self.work.runs

    @property
    def seconds(self) -> float | None:
        """The seconds that they would take, None if that isn't known."""
        a_run = self.work.seconds_a_run
        return None if a_run is None else a_run * self.runs / self.workers

    @property
    def bytes(self) -> int | None:
        """The disk space that they would take, None if that isn't known."""
        return None if self.work.bytes_a_run is None else self.work.bytes_a_run * self.runs

    def row(self) -> dict[str, Any]:
        """Return a flat object of what JSON knows; `at_least` says that a rule ends the study, so figures are
        those of the runs in `next`."""
        work = self.work
        return {
            "study": self.name,
            "directory": str(self.directory),
            "finished": work.there,
            "elsewhere": work.elsewhere,
            "next": [spec.describe() for spec in work.next],
            "at_least": work.runs is None,
            "runs": self.runs,
            "steps": work.steps,
            "workers": self.workers,
            "seconds": self.seconds,
            "seconds_a_run": work.seconds_a_run,
            "measured": work.measured,
            "bytes": self.bytes,
            "bytes_a_run": work.bytes_a_run,
            "bytes_free": work.free,
            "engine": work.engine,
        }


def look(study: StudyConfig, output: Path | None, execution: Execution) -> DryRun:
    """Find out what a study would train, and the time and disk space that it would take.

    Nothing is trained, except a few seconds to measure the time if no run is finished.

    Args:
        study: The study that would be run.
        output: The study's directory. Default: `saved_models/<name>`.
        execution: The executor and the workers that would train.
    """
    paths = StudyPaths(output or OUTPUT / study.name)
    asked, study = study, prepare(study, paths, make=False)
    store = Store(paths, study.storage)
    work = estimate(study, store, collect(study, store.records()))
    workers = execution.workers or (local_workers(study, None) if execution.executor == "local" else 1)
    return DryRun(study.name, paths.root, work, workers, study.training.engine != asked.training.engine)


def dry_run(study: StudyConfig, output: Path | None, execution: Execution) -> list[str]:
    """Return what `look` finds, in lines. The arguments are the same."""
    return describe(look(study, output, execution))


def describe(found: DryRun) -> list[str]:
    """Return what a study would train, in lines."""
    work = found.work
    lines = [f"Study {found.name} in {found.directory}; nothing is trained."]
    if found.begun_dense:
        lines.append(BEGUN_DENSE)
    finished = f"Finished: {work.there:,} runs"
    lines.append(finished + (f", {work.elsewhere:,} more in neighbouring studies" if work.elsewhere else ""))
    if not work.next:
        return [*lines, "Next:     nothing, the study is finished"]
    names = ", ".join(spec.describe() for spec in work.next[:4])
    more = f" and {len(work.next) - 4:,} more" if len(work.next) > 4 else ""
    engine = [f"Engine:   {work.engine}"] if work.engine else []
    return [*lines, f"Next:     {names}{more}", *engine, *_costs(found)]


def _costs(found: DryRun) -> list[str]:
    work, workers, least = found.work, found.workers, "at least " if found.work.runs is None else ""
    lines = [f"To train: {least}{found.runs:,} runs, {work.steps:,} steps"]
    if found.seconds is None:
        return [*lines, "Time:     known once a run is finished"]
    source = "a few seconds of training" if work.measured else f"{work.there:,} finished runs"
    return [
        *lines,
        f"Time:     {least}about {duration(found.seconds)} with {workers} worker{'s' if workers > 1 else ''} "
        f"({work.seconds_a_run:.3g} s a run, from {source})",
        f"Disk:     {least}about {readable(found.bytes)} more "
        f"({readable(work.bytes_a_run)} a run); {readable(work.free)} are free",
    ]
