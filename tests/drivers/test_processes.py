"""Real worker processes: the same bits as one, killed ones replaced, two commands that share a study."""

import contextlib
import json
import os
import queue
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from tests import fresh
from tests.drivers.test_run_study import SETTINGS, results, study
from tf_lottery.drivers import processes
from tf_lottery.drivers.execution import Execution
from tf_lottery.drivers.run_study import run_study
from tf_lottery.errors import LotteryError
from tf_lottery.paths import StudyPaths
from tf_lottery.runs.observe import StudyObserver
from tf_lottery.store import failures

TWO = Execution(workers=2)
SMALL = {"replicates": 2, "pruning__rounds": 1, "arms": {"ticket": {}, "random_reinit": {"rounds": [1]}}}
LONG = {"training": {**SETTINGS["training"], "steps": "1500it", "evaluate_every": "250it", "xla": "auto"}}


WILD = {"optimizer": "sgd", "learning_rate": 1e30, "xla": False}


class Notes(StudyObserver):
    def __init__(self):
        self.notes, self.progress = [], []

    def noted(self, text):
        self.notes.append(text)

    def running(self, runs):
        self.progress += runs


@pytest.fixture(scope="module")
def one(tmp_path_factory):
    """Trained by one process."""
    directory = tmp_path_factory.mktemp("one") / "study"
    run_study(study(**SMALL, **LONG), directory)
    return directory


def children(directory):
    """Pids of the workers of a study."""
    found = []
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                with open(f"/proc/{entry}/cmdline") as file:
                    command = file.read()
            except OSError:
                continue
            if "tf_lottery.drivers.worker" in command and str(directory) in command:
                found.append(int(entry))
    return found


def finished(directory):
    """How many runs have finished."""
    return len(list(directory.glob("runs/*/record.json")))


def in_mid_run(pid, directory, file):
    """Whether a process trains a run now (it holds the run's lock) that has a certain file already."""
    for link in Path(f"/proc/{pid}/fd").glob("*"):
        with contextlib.suppress(OSError):
            lock = Path(os.readlink(link))
            run = directory / "runs" / lock.name
            if lock.parent == directory / "locks" and (run / file).exists():
                return not (run / "record.json").exists()
    return False


@pytest.mark.slow
def test_two_workers_give_the_same_bits_and_a_killed_one_is_replaced(one, tmp_path):
    directory = tmp_path / "study"
    observer, killed, ended = Notes(), [], threading.Event()

    def kill():
        """Kill a worker that is stopped in the middle of a run, so that the run can't end meanwhile."""
        while not (killed or ended.is_set()):
            time.sleep(0.005)
            for pid in children(directory):
                with contextlib.suppress(ProcessLookupError):  # it has ended meanwhile
                    os.kill(pid, signal.SIGSTOP)
                    if in_mid_run(pid, directory, "checkpoint.npz"):
                        os.kill(pid, signal.SIGKILL)
                        killed.append(pid)
                        break
                    os.kill(pid, signal.SIGCONT)

    killer = threading.Thread(target=kill)
    killer.start()
    config = study(**SMALL, **LONG, storage={"checkpoint_every": "500it"})
    try:
        records = run_study(config, directory, observer=observer, execution=TWO)
    finally:
        ended.set()
        killer.join()
    assert len(records) == 6
    (note,) = observer.notes
    assert re.fullmatch(
        rf"\w+ replicate \d round \d: worker \d \(process {killed[0]}\) was ended by SIGKILL, perhaps for "
        "lack of memory; it is tried again",
        note,
    )
    assert note in StudyPaths(directory).log.read_text()
    assert results(directory) == results(one)
    assert children(directory) == []
    assert all(0 <= run.first <= run.step <= run.last == 1500 for run in observer.progress)
    assert {run.spec.key for run in observer.progress} <= {record.key for record in records}


@pytest.mark.slow
def test_two_commands_at_once_share_the_work(one, tmp_path):
    file = tmp_path / "small.yaml"
    file.write_text(json.dumps(study(**SMALL, **LONG).model_dump(mode="json")))
    command = ["run", file, "--output", tmp_path / "out/study", "--workers", "1"]
    first = fresh.Fresh(*command, module="tf_lottery")
    while not in_mid_run(first.pid, tmp_path / "out/study", "rewind/0it.npz"):
        assert first.returncode is None, first.communicate()
        time.sleep(0.005)
    first.send_signal(signal.SIGSTOP)  # until the second has trained something: both have their share
    there = finished(tmp_path / "out/study")
    second = fresh.Fresh(*command, module="tf_lottery")
    while finished(tmp_path / "out/study") == there:
        assert second.returncode is None, second.communicate()
        time.sleep(0.05)
    first.send_signal(signal.SIGCONT)
    both = [first, second]
    outputs = [process.communicate() for process in both]
    assert [process.returncode for process in both] == [0, 0], outputs
    trained = [int(re.search(r"Trained (\d+) runs", out).group(1)) for out, _ in outputs]
    assert sum(trained) == 6
    assert min(trained) >= 1
    for out, error in outputs:
        assert error == ""
        assert len(re.findall(r"^(?:ticket|random_reinit) ", out, re.M)) == 6
    log = StudyPaths(tmp_path / "out/study").log.read_text()
    assert len(re.findall(r"finished in", log)) == 6
    assert results(tmp_path / "out/study") == results(one)


@pytest.mark.slow
def test_a_run_that_diverges_in_a_worker_is_recorded_and_the_others_go_on(tmp_path):
    wild = study(
        training={**WILD, "steps": "60it", "evaluate_every": "5it"},
        replicates=2,
    )
    with pytest.raises(LotteryError, match="The training diverged: a loss is NaN or infinite.*learning_rate"):
        run_study(wild, tmp_path / "study", execution=TWO)
    paths = StudyPaths(tmp_path / "study")
    failed = [failures.find(paths, run.parent.name) for run in paths.runs.glob("*/failed.json")]
    assert sorted(failure.spec.replicate for failure in failed) == [0, 1]
    assert all("Traceback" in failure.trace for failure in failed)


def test_a_worker_that_dies_in_the_middle_of_a_line_is_lost_not_waited_for(tmp_path):
    worker, messages = object.__new__(processes._Worker), queue.Queue()
    half = 'import sys; sys.stdout.write(\'{"outcome": {"key": "ab\')'
    worker._process = subprocess.Popen([sys.executable, "-c", half], stdout=subprocess.PIPE, text=True)
    worker._listen(messages)
    assert messages.get_nowait() == (worker, None)
    worker._process.wait()


@pytest.mark.slow
def test_workers_that_do_not_start_end_the_study_and_blame_no_run(tmp_path, monkeypatch):
    directory = tmp_path / "study"

    class Breaks(StudyObserver):
        def finished(self, record):
            monkeypatch.setattr(sys, "executable", "/bin/false")
            for pid in children(directory):
                os.kill(pid, signal.SIGKILL)

    with pytest.raises(LotteryError, match=r"ended with code 1 before it could train; see .*worker_\d.log"):
        run_study(study(**SMALL), directory, observer=Breaks(), execution=TWO)
    assert not list(directory.glob("runs/*/failed.json"))


def test_a_wrong_setting_is_one_line_from_a_worker_too(tmp_path):
    with pytest.raises(LotteryError, match="hidden, output.*'fc'"):
        run_study(study(pruning__layer_rates={"fc": 0.1}), tmp_path / "study", execution=TWO)
    assert not (tmp_path / "study").exists()


@pytest.mark.slow
def test_a_builder_that_raises_is_named_with_its_log(tmp_path):
    broken = study(model={"build": "tests.drivers.test_processes:broken"})
    with pytest.raises(LotteryError, match="ZeroDivisionError|division by zero"):
        run_study(broken, tmp_path / "study", execution=TWO)


def broken(input_shape, classes):
    return 1 / 0
