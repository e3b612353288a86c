"""Who hears of what a process trains."""

from tf_lottery.runs.observe import Several, StudyObserver
from tf_lottery.runs.progress import Heartbeat
from tf_lottery.store.store import Store


def training_observer(store: Store, observer: StudyObserver) -> StudyObserver:
    """Return who watches what this process trains: `observer`, the run's progress, its curves.

    Only the process that writes the store tells.
    """
    from tf_lottery.runs.curves import RunCurves

    if not store.writes:
        return observer
    return Several(observer, Heartbeat(store.paths), RunCurves(store.paths))
