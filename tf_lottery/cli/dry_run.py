"""What `tf-lottery run --dry-run` prints."""

from pathlib import Path

from tf_lottery.config import StudyConfig
from tf_lottery.drivers.estimate import Estimate, estimate
from tf_lottery.drivers.execution import Execution, local_workers
from tf_lottery.method.plan import collect
from tf_lottery.paths import OUTPUT, StudyPaths
from tf_lottery.store.store import Store
from tf_lottery.store.study_file import prepare
from tf_lottery.store.upkeep import readable


def dry_run(study: StudyConfig, output: Path | None, execution: Execution) -> list[str]:
    """Return lines that say what a study would train, and what that would take. Trains nothing.

    Args:
        study: what would be run.
        output: the study's directory. Default: `saved_models/<name>`.
        execution: who would train.
    """
    paths = StudyPaths(output or OUTPUT / study.name)
    study = prepare(study, paths, make=False)
    store = Store(paths, study.storage)
    found = estimate(study, store, collect(study, store.records()))
    lines = [f"Study {study.name} in {paths.root}; nothing is trained."]
    there = f"There:    {found.there:,} finished runs"
    lines.append(there + (f", {found.elsewhere:,} more in neighbouring studies" if found.elsewhere else ""))
    if not found.next:
        return [*lines, "Next:     nothing, the study is finished"]
    named = ", ".join(spec.describe() for spec in found.next[:4])
    more = f" and {len(found.next) - 4:,} more" if len(found.next) > 4 else ""
    workers = execution.workers or (local_workers(study, None) if execution.executor == "local" else 1)
    return [*lines, f"Next:     {named}{more}", *_takes(found, workers)]


def _takes(found: Estimate, workers: int) -> list[str]:
    runs = len(found.next) if found.runs is None else found.runs
    least = "at least " if found.runs is None else ""
    lines = [f"To train: {least}{runs:,} runs, {found.steps:,} steps"]
    if found.seconds_a_run is not None:
        seconds = found.seconds_a_run * runs / workers
        source = "a few seconds of training" if found.measured else f"{found.there:,} finished runs"
        lines += [
            f"Time:     {least}about {_duration(seconds)} with {workers} worker{'s' if workers > 1 else ''} "
            f"({found.seconds_a_run:.3g} s a run, from {source})",
            f"Disk:     {least}about {readable(found.bytes_a_run * runs)} more "
            f"({readable(found.bytes_a_run)} a run); {readable(found.free)} are free",
        ]
    else:
        lines.append("Time:     known once a run is finished")
    return lines


def _duration(seconds: float) -> str:
    for unit, length in (("days", 86400), ("hours", 3600), ("minutes", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.1f} {unit}"
    return f"{seconds:.0f} seconds"
