"""Driving a whole study: ask the planner, execute, until nothing is left."""

import shutil
from collections.abc import Iterable
from pathlib import Path

from tf_lottery import config_file
from tf_lottery.config import StudyConfig
from tf_lottery.data import sources
from tf_lottery.errors import LotteryError
from tf_lottery.experiment.arms import ARMS
from tf_lottery.experiment.follower import FollowerStore
from tf_lottery.experiment.observe import StudyObserver
from tf_lottery.experiment.plan import collect, plan
from tf_lottery.experiment.spec import Record
from tf_lottery.experiment.store import Store
from tf_lottery.lock import locked
from tf_lottery.paths import OUTPUT, StudyPaths
from tf_lottery.pruning.criteria import CRITERIA
from tf_lottery.workers import this_worker


def run_study(
    study: StudyConfig | str | Path,
    directory: str | Path | None = None,
    overrides: Iterable[str] = (),
    observer: StudyObserver | None = None,
) -> list[Record]:
    """Run a study to its end, one run after the other, going on where it stopped.

    With `training.strategy: multi_worker` all workers call it; the chief alone writes.

    Args:
        study: a config, the name of a shipped one, or a YAML file.
        directory: of the study. Default: `saved_models/<name>`.
        overrides: `a.b=value` each, if `study` is a name or a file.
        observer: hears how it goes.

    Returns:
        The records of all its runs, by replicate, round, arm and trial.

    Raises:
        LotteryError: bad settings, data that can't be had, a directory that holds another
            study, a training that diverges.
    """
    if not isinstance(study, StudyConfig):
        study = config_file.load_config(study, overrides)
    paths = StudyPaths(Path(directory) if directory else OUTPUT / study.name)
    if not this_worker(study.training.strategy).chief:
        return _follow(study, paths, observer or StudyObserver())
    new = not paths.root.exists()
    try:
        with locked(paths.lock):
            return _run(study, paths, observer or StudyObserver())
    except LotteryError:
        if new and not paths.study.exists():  # refused before it began: leave nothing behind
            shutil.rmtree(paths.root, ignore_errors=True)
        raise


def _run(study: StudyConfig, paths: StudyPaths, observer: StudyObserver) -> list[Record]:
    return _train(prepare(study, paths), Store(paths), observer)


def _follow(study: StudyConfig, paths: StudyPaths, observer: StudyObserver) -> list[Record]:
    """What a worker that isn't the chief does: the same trainings, beside the chief's."""
    _check_names(study)
    if paths.study.exists():  # what the chief refuses is refused here, too
        study = _go_on(study, paths)
    return _train(_with_digest(study), FollowerStore(paths), observer)


def _train(study: StudyConfig, store: Store, observer: StudyObserver) -> list[Record]:
    records = store.records()
    waiting = plan(study, records)
    observer.planned(collect(study, records), waiting)
    if waiting:  # a finished study needs no TensorFlow
        from tf_lottery.experiment.bench import Bench
        from tf_lottery.experiment.check import check_fit
        from tf_lottery.experiment.execute import execute
        from tf_lottery.training.replicas import one_line_if_another_ends

        bench = Bench()
        with one_line_if_another_ends():
            check_fit(study, bench.dataset(study.data), bench.trainer(waiting[0]), collect(study, records))
            store.write_study(config_file.dump(study))
            while waiting:
                records.append(execute(waiting[0], store, bench, observer))
                waiting = plan(study, records)
                observer.planned(collect(study, records), waiting)
    else:
        store.write_study(config_file.dump(study))
    return collect(study, records)


def prepare(study: StudyConfig, paths: StudyPaths) -> StudyConfig:
    """Make the study's directory and return the study with its data's digest filled in.

    Raises:
        LotteryError: if the study names a criterion, an arm or data that there isn't, or the
            directory holds another study or can't be written.
    """
    _check_names(study)
    if paths.study.exists():
        study = _go_on(study, paths)
    elif others := [path.name for path in paths.root.iterdir() if not path.name.startswith(".")]:
        raise LotteryError(
            f"Expected {paths.root} to be new, empty or a study's directory. Received: one that holds "
            f"{', '.join(sorted(others)[:3])}. Use --output for another one."
        )
    return _with_digest(study)


def _check_names(study: StudyConfig) -> None:
    for arm in study.arms:
        if arm not in ARMS:
            raise LotteryError(f"Expected arms of {', '.join(ARMS)}. Received: {arm!r}")
    if study.pruning.criterion not in CRITERIA:
        raise LotteryError(
            f"Expected pruning.criterion of {', '.join(CRITERIA)}. Received: {study.pruning.criterion!r}"
        )


def _with_digest(study: StudyConfig) -> StudyConfig:
    data = study.data.model_copy(update={"digest": sources.load(study.data).digest})
    return study.model_copy(update={"data": data})


def _go_on(study: StudyConfig, paths: StudyPaths) -> StudyConfig:
    """Return the study with the digest of the data that its finished runs were trained on."""
    present = load(paths)
    if present.data.digest is None:
        raise LotteryError(
            f"Expected {paths.study} to be written by a study. Received: a config of your own, which "
            "would be overwritten. Use --output for another directory."
        )
    if not any(paths.runs.glob("*/record.json")):
        return study
    if not present.same_runs_as(study):
        raise LotteryError(
            f"Expected {paths.root} to be new or to hold this study. Received: one that differs in "
            f"{', '.join(_differences(present, study))}. Use --output for a study of its own."
        )
    digest = study.data.digest or present.data.digest
    return study.model_copy(update={"data": study.data.model_copy(update={"digest": digest})})


def load(paths: StudyPaths) -> StudyConfig:
    """Return the study that a directory holds.

    Raises:
        LotteryError: if there is none, or its file is damaged.
    """
    if not paths.study.exists():
        raise LotteryError(
            f"Expected a study's directory. Received: {paths.root}, without {paths.study.name}"
        )
    try:
        return config_file.load_config(paths.study)
    except LotteryError as error:
        raise LotteryError(
            f"The study's own file is damaged: {error} Restore it, or use --output."
        ) from error


def _differences(first: StudyConfig, second: StudyConfig) -> list[str]:
    def flat(value, prefix=""):
        for key, inner in value.items():
            if isinstance(inner, dict):
                yield from flat(inner, f"{prefix}{key}.")
            else:
                yield prefix + key, inner

    before, after = dict(flat(first.determinants())), dict(flat(second.determinants()))
    return [key for key in before | after if before.get(key) != after.get(key)]
