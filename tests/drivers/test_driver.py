"""The driver with executors that train nothing: who gets which run, and what becomes of mishaps."""

import os
import threading
import time

import pytest

from tests.fakes import fake_record, fake_study
from tf_lottery.drivers import driver as driver_module
from tf_lottery.drivers.driver import Driver
from tf_lottery.drivers.execution import Execution
from tf_lottery.errors import LotteryError
from tf_lottery.paths import StudyPaths
from tf_lottery.runs.observe import StudyObserver
from tf_lottery.runs.outcome import Outcome
from tf_lottery.store import failures
from tf_lottery.store.store import Store


@pytest.fixture(autouse=True)
def _quickly(monkeypatch):
    monkeypatch.setattr(driver_module, "POLL_SECONDS", 0.01)
    monkeypatch.setattr(driver_module, "BUSY_SECONDS", 0.02)
    monkeypatch.setattr(driver_module, "SCAN_SECONDS", 0.02)


class Fake:
    """Finishes what it is given, unless `mishaps` says otherwise: key -> outcomes to come first."""

    here = True

    def __init__(self, store, slots=1, mishaps=None):
        self.store, self.slots, self.mishaps = store, slots, mishaps or {}
        self.order, self.running, self.checks, self.closed = [], [], 0, False

    def check(self, study):
        self.checks += 1

    def submit(self, spec):
        assert len(self.running) < self.slots
        self.running.append(spec)

    def wait(self, seconds):
        outcomes = []
        for spec in self.running:
            self.order.append((spec.arm, spec.replicate, spec.round))
            coming = self.mishaps.get((spec.arm, spec.replicate, spec.round))
            if coming:
                kind, detail = coming.pop(0)
                if kind == "failed":
                    self.store.fail(spec, detail)
                outcomes.append(Outcome(spec.key, kind, detail))
            else:
                self.store.begin(spec.key)
                self.store.finish(fake_record(spec))
                outcomes.append(Outcome(spec.key, "finished"))
        self.running = []
        return outcomes

    def close(self):
        self.closed = True


class Heard(StudyObserver):
    def __init__(self):
        self.notes, self.failures, self.done = [], [], 0

    def noted(self, text):
        self.notes.append(text)

    def failed(self, failure):
        self.failures.append(failure)

    def finished(self, record):
        self.done += 1


@pytest.fixture
def store(tmp_path):
    return Store(StudyPaths(tmp_path / "study"))


def drive(store, study, execution=None, heard=None, **settings):
    executor = Fake(store, **settings)
    driver = Driver(study, store, executor, heard or Heard(), execution or Execution())
    return executor, driver, driver.run()


def test_all_runs_are_trained_once_and_checked_before(store):
    heard = Heard()
    executor, _, records = drive(store, fake_study(replicates=2), heard=heard)
    assert len(executor.order) == len(set(executor.order)) == heard.done == len(records) == 14
    assert executor.checks == 1
    assert executor.closed
    assert store.paths.study.exists()
    again, _, _ = drive(store, fake_study(replicates=2))
    assert (again.order, again.checks) == ([], 0)


def test_several_slots_take_tickets_first_since_others_wait_for_them(store):
    executor, _, _ = drive(store, fake_study(replicates=2), slots=2)
    arms = [arm for arm, _, _ in executor.order]
    assert arms == ["ticket"] * 8 + ["random_reinit"] * 6


def test_a_lost_run_is_tried_again_and_in_the_end_recorded_as_failed(store):
    heard = Heard()
    lost = [("lost", f"worker {n} was ended by SIGKILL") for n in (1, 2)]
    executor, _, records = drive(store, fake_study(), heard=heard, mishaps={("ticket", 0, 1): lost})
    assert executor.order.count(("ticket", 0, 1)) == 3
    assert [f"worker {n} was ended by SIGKILL; it is tried again" in heard.notes[n - 1] for n in (1, 2)] == [
        True,
        True,
    ]
    assert len(records) == 7
    assert heard.failures == []


def test_a_run_that_is_lost_three_times_has_failed(store):
    heard = Heard()
    mishaps = {("ticket", 0, 1): [("lost", "worker was ended by SIGKILL")] * 3}
    executor, _, records = drive(store, fake_study(), heard=heard, mishaps=mishaps)
    assert executor.order.count(("ticket", 0, 1)) == 3
    (failure,) = heard.failures
    assert "SIGKILL" in failure.reason
    assert len(records) == 2, "the dense network and round 1's control"


def test_a_run_that_gets_further_each_time_is_tried_on(store):
    class Further(Fake):
        def wait(self, seconds):
            for spec in self.running:
                if (spec.arm, spec.round) == ("ticket", 1):
                    checkpoint = self.store.begin(spec.key).checkpoint
                    checkpoint.write_text("c")
                    os.utime(checkpoint, ns=(0, len(self.order)))
            return super().wait(seconds)

    mishaps = {("ticket", 0, 1): [("lost", "the node is gone")] * 6}
    heard = Heard()
    Driver(fake_study(), store, Further(store, mishaps=mishaps), heard, Execution()).run()
    assert heard.failures == []
    assert len(heard.notes) == 6


def test_a_failed_run_sinks_no_other_chain_and_is_tried_again_on_request_only(store):
    heard = Heard()
    failing = {("ticket", 0, 1): [("failed", "Expected a finite loss.")]}
    study = fake_study(replicates=2)
    _, driver, records = drive(store, study, heard=heard, mishaps=failing)
    assert len(records) == 2 + 7
    assert [failure.spec.round for failure in heard.failures] == [1]
    assert failures.find(store.paths, heard.failures[0].spec.key).reason == "Expected a finite loss."
    executor, _, _ = drive(store, study)
    assert executor.order == []
    executor, driver, records = drive(store, study, Execution(retry_failed=True))
    assert len(records) == 14
    assert driver.failed == {}


def test_a_busy_run_is_waited_for(store):
    """Another process trains it; here it comes free and is trained by us."""
    busy = [("busy", "")] * 2
    executor, _, records = drive(store, fake_study(), mishaps={("ticket", 0, 2): busy})
    assert executor.order.count(("ticket", 0, 2)) == 3
    assert len(records) == 7


def test_what_ends_the_study_is_raised_and_the_executor_closed(store):
    executor = Fake(store, mishaps={("ticket", 0, 1): [("ended", "Expected to write. Received: full disk.")]})
    with pytest.raises(LotteryError, match="full disk"):
        Driver(fake_study(), store, executor, Heard(), Execution()).run()
    assert executor.closed


def test_shards_train_their_own_replicates_and_together_all(store):
    study = fake_study(replicates=3)
    first, _, _ = drive(store, study, Execution(shard="1/2"))
    assert {replicate for _, replicate, _ in first.order} == {0, 2}
    second, _, records = drive(store, study, Execution(shard="2/2"))
    assert {replicate for _, replicate, _ in second.order} == {1}
    assert len(records) == 21


def test_a_shard_that_is_alone_does_not_wait_for_others(store):
    study = fake_study(replicates=2, pruning={"rounds": 2, "max_accuracy_drop": 0.5})
    executor, _, _ = drive(store, study, Execution(shard="1/2"))
    assert executor.order == [("ticket", 0, 0)], "round 1 waits for the other's dense network"


@pytest.mark.parametrize("count", [2, 3])
def test_shards_wait_for_each_other_while_they_are_at_work(store, count):
    study = fake_study(replicates=count, pruning={"rounds": 6, "max_accuracy_drop": 0.5}, arms={"ticket": {}})
    all_at_work = threading.Barrier(count)
    executors = [Slow(Store(store.paths), index, all_at_work) for index in range(count)]
    threads = []
    for index, executor in enumerate(executors):
        shard = Execution(shard=f"{index + 1}/{count}")
        driver = Driver(study, executor.store, executor, Heard(), shard)
        threads.append(threading.Thread(target=driver.run))
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [len(executor.order) for executor in executors] == [7] * count


class Slow(Fake):
    """Each shard at a pace of its own."""

    def __init__(self, store, index, all_at_work):
        super().__init__(store)
        self.pace, self.all_at_work = 0.02 + 0.03 * index, all_at_work

    def wait(self, seconds):
        if not self.order:
            self.all_at_work.wait()
        time.sleep(self.pace)
        return super().wait(seconds)
