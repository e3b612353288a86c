"""`run_study`: a whole study, from its config to its records."""

import shutil
from collections.abc import Iterable
from pathlib import Path

from tf_lottery import config_file
from tf_lottery.config import StudyConfig
from tf_lottery.drivers.driver import Driver
from tf_lottery.drivers.execution import Execution, local_workers
from tf_lottery.drivers.executor import Executor
from tf_lottery.drivers.follower import FollowerStore
from tf_lottery.drivers.in_process import InProcess
from tf_lottery.drivers.processes import Workers
from tf_lottery.errors import LotteryError
from tf_lottery.importing import import_modules, imported
from tf_lottery.method.plan import collect
from tf_lottery.method.spec import Record
from tf_lottery.paths import OUTPUT, StudyPaths
from tf_lottery.runs.log import Log
from tf_lottery.runs.observe import Guarded, Several, StudyObserver
from tf_lottery.store.environment import check_same
from tf_lottery.store.store import Store
from tf_lottery.store.study_file import follow, prepare, written
from tf_lottery.workers import this_worker

SERIAL = Execution(workers=1)
BEGUN_DENSE = (
    "This study was begun with training.engine dense, so it goes on with that and keeps its runs. "
    "Use --output to begin another one."
)


def run_study(
    study: StudyConfig | str | Path,
    directory: str | Path | None = None,
    overrides: Iterable[str] = (),
    observer: StudyObserver | None = None,
    execution: Execution = SERIAL,
) -> list[Record]:
    """Run a study to its end, as `tf_lottery.run_study` says, and return its records as a plain list."""
    if not isinstance(study, StudyConfig):
        study = config_file.load_config(study, overrides)
    import_modules(study.imports)
    paths = StudyPaths(Path(directory) if directory else OUTPUT / study.name)
    execution.chains(study)  # refuses a shard that doesn't fit, before anything is written
    chief = this_worker(study.training.strategy).chief
    if observer is not None:
        observer = Guarded(observer, Log(paths).noted if chief else lambda message: None)
    observer = observer or StudyObserver()
    if not chief:
        return _drive(follow(study, paths), FollowerStore(paths), observer, execution)
    return run_in(Store(paths, study.storage), study, observer, execution)


def run_in(store: Store, study: StudyConfig, observer: StudyObserver, execution: Execution) -> list[Record]:
    """Run a study as `run_study` does, in a store that the caller goes on using."""
    paths = store.paths
    new = not paths.root.exists()
    try:
        prepared, observer = prepare(study, paths), Several(observer, Log(paths))
        if prepared.training.engine != study.training.engine:
            observer.noted(BEGUN_DENSE)
        return _drive(prepared, store, observer, execution)
    except LotteryError:
        if new and not paths.study.exists():  # refused before it began: leave nothing behind
            shutil.rmtree(paths.root, ignore_errors=True)
        raise


def _drive(study: StudyConfig, store: Store, observer: StudyObserver, execution: Execution) -> list[Record]:
    executor = make_executor(study, store, observer, execution)
    driver = Driver(study, store, executor, observer, execution)
    records = driver.run()
    if execution.strict_environment:
        check_same(records)
    if driver.failed and not records:
        raise LotteryError(next(iter(driver.failed.values())).reason)
    store.write_study(written(study))
    return collect(study, records)


def make_executor(
    study: StudyConfig, store: Store, observer: StudyObserver, execution: Execution
) -> Executor:
    """Return what trains the runs of a store.

    Args:
        study: The study whose runs are trained, or one that is trained in the same way.
        store: The store that holds the runs.
        observer: The observer that hears of their progress.
        execution: Where and how many at once.
    """
    strict = execution.strict_environment
    if execution.executor == "ray":
        from tf_lottery.drivers.ray_cluster import Cluster

        return Cluster(study, store, observer, execution)
    workers = local_workers(study, execution.workers)
    if workers == 1:
        return InProcess(store, observer, strict)
    return Workers(store, workers, observer, strict, imported())
