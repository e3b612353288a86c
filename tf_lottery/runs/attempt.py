"""One attempt at one run, wherever it happens: in this process, in a worker, or on a cluster's node."""

from tf_lottery.config import StudyConfig
from tf_lottery.errors import DamagedError, LotteryError, StudyError
from tf_lottery.method.plan import collect, plan
from tf_lottery.method.spec import RunSpec
from tf_lottery.runs.check import check_fit
from tf_lottery.runs.execute import execute
from tf_lottery.runs.observe import StudyObserver
from tf_lottery.runs.outcome import Outcome
from tf_lottery.runs.trainers import Trainers
from tf_lottery.store import failures
from tf_lottery.store.environment import check_same
from tf_lottery.store.store import Store
from tf_lottery.terminal import check_signals
from tf_lottery.training.replicas import one_line_if_another_ends


def attempt(
    spec: RunSpec, store: Store, trainers: Trainers, observer: StudyObserver, strict_environment: bool = False
) -> Outcome:
    """Train a run, unless another process is training it.

    Args:
        spec: The run's spec.
        store: The store that holds the study's runs.
        trainers: Compiled networks, which later runs use again.
        observer: The observer that hears of the run's progress.
        strict_environment: Whether to refuse to build on runs of another environment.

    Returns:
        How the attempt ended. A failure that will not be retried is recorded in the store.
    """
    try:
        with store.claim(spec.key) as claimed, one_line_if_another_ends(spec.training.strategy):
            if not claimed:
                return Outcome(spec.key, "busy")
            return _train(spec, store, trainers, observer, strict_environment)
    except DamagedError as error:
        return Outcome(spec.key, "damaged", str(error), error.key, str(error.path))
    except LotteryError as error:
        return Outcome(spec.key, "ended", str(error))


def _train(spec: RunSpec, store: Store, trainers: Trainers, observer: StudyObserver, strict: bool) -> Outcome:
    record = store.find(spec.key)
    if record is not None and set(spec.snapshots) <= set(record.spec.snapshots):
        return Outcome(spec.key, "finished", "by another process, since it was planned")
    links = (spec.pretrained, spec.root, spec.parent, spec.masks_of)
    before = [store.record(key) for key in links if key] if strict else []
    check_same(before)
    if store.writes and (failure := failures.find(store.paths, spec.key)):
        return Outcome(spec.key, "failed", failure.reason)  # another process was faster
    trainer = trainers.trainer(spec)  # outside `try`: an error here concerns all runs and ends the study
    if strict:
        check_same(before, trainer.resolved["device"])
    try:
        with one_line_if_another_ends(spec.training.strategy):
            execute(spec, store, trainers, observer)
    except (StudyError, DamagedError):
        raise
    except Exception as error:  # whatever a training, or a user's own function, raises
        check_signals()  # a network that Keras stopped building, say
        return Outcome(spec.key, "failed", store.fail(spec, error).reason)
    return Outcome(spec.key, "finished")


def check(study: StudyConfig, store: Store, trainers: Trainers) -> str | None:
    """Check a study before any of its runs is trained.

    Args:
        study: The study to check.
        store: The store that holds the study's runs.
        trainers: Compiled networks, which later runs use again.

    Returns:
        One line that says what is wrong; None if nothing is.

    Raises:
        DamagedError: If a record fails its checksum.
    """
    records = store.records()
    waiting = plan(study, records)
    if not waiting:
        return None  # another process has finished it
    try:
        with one_line_if_another_ends(study.training.strategy):
            check_fit(study, waiting[0], trainers, collect(study, records))
    except DamagedError:
        raise
    except LotteryError as error:
        return str(error)
    return None
