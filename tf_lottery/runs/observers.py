"""The observers of what this process trains."""

from tf_lottery.runs.observe import Several, StudyObserver
from tf_lottery.runs.progress import Heartbeat
from tf_lottery.store.store import Store


def training_observer(store: Store, observer: StudyObserver) -> StudyObserver:
    """Return an observer of this process's trainings, which also writes the runs' progress and curves.

    Progress and curves are written only by a process that writes to the store.
    """
    from tf_lottery.runs.curves import RunCurves

    if not store.writes:
        return observer
    return Several(observer, Heartbeat(store.paths), RunCurves(store.paths))
