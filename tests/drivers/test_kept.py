"""An executor that outlives the drivers that use it."""

from tests.drivers.test_driver import Fake, Heard
from tests.fakes import fake_study
from tf_lottery.drivers.driver import Driver
from tf_lottery.drivers.execution import Execution
from tf_lottery.drivers.kept import Kept
from tf_lottery.paths import StudyPaths
from tf_lottery.store.store import Store


def test_one_executor_trains_for_several_drivers_and_is_closed_in_the_end(tmp_path):
    store = Store(StudyPaths(tmp_path / "study"))
    executor = Fake(store, slots=3)
    kept = Kept(executor)
    assert (kept.slots, kept.here) == (3, True)
    for rounds in (1, 2):
        study = fake_study(pruning={"rounds": rounds}, arms={"ticket": {}})
        assert len(Driver(study, store, kept, Heard(), Execution()).run()) == rounds + 1
        assert not executor.closed
    assert (len(executor.order), executor.checks) == (3, 2)
    kept.end()
    assert executor.closed
