"""Who hears of what a process trains."""

from tf_lottery.runs.observe import Several, StudyObserver
from tf_lottery.runs.progress import Heartbeat
from tf_lottery.store.store import Store


def training_observer(store: Store, observer: StudyObserver) -> StudyObserver:
    """Return what watches a training of this process: an observer, the run's progress and its curves.

    Only the process that writes the store writes the latter two.
    """
    from tf_lottery.runs.curves import RunCurves

    if not store.writes:
        return observer
    return Several(observer, Heartbeat(store.paths), RunCurves(store.paths))
