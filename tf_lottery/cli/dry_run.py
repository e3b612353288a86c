"""The lines that `tf-lottery run --dry-run` prints."""

from pathlib import Path

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


def dry_run(study: StudyConfig, output: Path | None, execution: Execution) -> list[str]:
    """Return lines that say what a study would train, and the time and disk space that it would take.

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
    lines = [f"Study {study.name} in {paths.root}; nothing is trained."]
    if study.training.engine != asked.training.engine:
        lines.append(BEGUN_DENSE)
    finished = f"Finished: {work.there:,} runs"
    lines.append(finished + (f", {work.elsewhere:,} more in neighbouring studies" if work.elsewhere else ""))
    if not work.next:
        return [*lines, "Next:     nothing, the study is finished"]
    names = ", ".join(spec.describe() for spec in work.next[:4])
    more = f" and {len(work.next) - 4:,} more" if len(work.next) > 4 else ""
    workers = execution.workers or (local_workers(study, None) if execution.executor == "local" else 1)
    engine = [f"Engine:   {work.engine}"] if work.engine else []
    return [*lines, f"Next:     {names}{more}", *engine, *_costs(work, workers)]


def _costs(work: Estimate, workers: int) -> list[str]:
    runs = len(work.next) if work.runs is None else work.runs
    least = "at least " if work.runs is None else ""
    lines = [f"To train: {least}{runs:,} runs, {work.steps:,} steps"]
    if work.seconds_a_run is not None:
        seconds = work.seconds_a_run * runs / workers
        source = "a few seconds of training" if work.measured else f"{work.there:,} finished runs"
        lines += [
            f"Time:     {least}about {duration(seconds)} with {workers} worker{'s' if workers > 1 else ''} "
            f"({work.seconds_a_run:.3g} s a run, from {source})",
            f"Disk:     {least}about {readable(work.bytes_a_run * runs)} more "
            f"({readable(work.bytes_a_run)} a run); {readable(work.free)} are free",
        ]
    else:
        lines.append("Time:     known once a run is finished")
    return lines
