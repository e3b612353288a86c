"""Runs on a local Ray cluster: the same bits as here, whichever of its nodes is lost."""

import contextlib
import json
import os
import re
import signal
import socket
import sys
import threading
import time
from pathlib import Path

import pytest

from tests.drivers.test_run_study import SETTINGS, results, study
from tf_lottery.drivers import ray_task
from tf_lottery.drivers.execution import Execution
from tf_lottery.drivers.ray_cluster import Cluster
from tf_lottery.drivers.run_study import run_study
from tf_lottery.errors import DamagedError, LotteryError
from tf_lottery.paths import StudyPaths
from tf_lottery.runs.observe import StudyObserver
from tf_lottery.store.store import Store

pytestmark = pytest.mark.slow

RAY = Execution(executor="ray")
LONG = {
    "training": {**SETTINGS["training"], "steps": "2000it", "evaluate_every": "500it"},
    "storage": {"checkpoint_every": "500it"},
    "replicates": 2,
    "pruning__rounds": 1,
    "arms": {"ticket": {}, "random_reinit": {}},
}


class Watching(StudyObserver):
    def __init__(self):
        self.notes, self.progress = [], []

    def noted(self, text):
        self.notes.append(text)

    def running(self, runs):
        self.progress += runs


@pytest.fixture(scope="module")
def here(tmp_path_factory):
    """Trained in this process."""
    directory = tmp_path_factory.mktemp("here") / "study"
    run_study(study(**LONG), directory)
    return directory


@pytest.fixture
def begun():
    """Ray as a user's own program has begun it."""
    ray = pytest.importorskip("ray")
    ray.init("local", num_cpus=1, include_dashboard=False, log_to_driver=False)
    yield ray
    ray.shutdown()


def test_a_local_cluster_gives_the_same_bits(here, tmp_path):
    ray, watching = pytest.importorskip("ray"), Watching()
    records = run_study(study(**LONG), tmp_path / "study", observer=watching, execution=RAY)
    assert len(records) == 6
    assert results(tmp_path / "study") == results(here)
    assert watching.notes == []
    assert all(0 <= run.first <= run.step <= run.last == 2000 for run in watching.progress)
    assert not ray.is_initialized()


def first_step(study, run):
    """Where a run begins or goes on."""
    try:
        return json.loads((study / "runs" / run / "progress.json").read_text())[0]
    except FileNotFoundError:
        return 0


def trained_by(processes, study):
    """The run in the middle of which one of some processes is: it holds the lock, there is a checkpoint."""
    for pid in processes:
        for link in Path(f"/proc/{pid}/fd").glob("*"):
            with contextlib.suppress(OSError):
                lock = Path(os.readlink(link))
                files = study / "runs" / lock.name
                if lock.parent == study / "locks" and (files / "checkpoint.npz").exists():
                    return None if (files / "record.json").exists() else lock.name
    return None


def send(processes, number):
    for pid in processes:
        with contextlib.suppress(ProcessLookupError):  # it has ended meanwhile
            os.kill(pid, number)


def kill_in_mid_run(cluster, node, study, found):
    """Kill a node's processes, stopped in mid-run; find which run, and where it goes on elsewhere."""
    raylet = Path(f"/proc/{node.all_processes['raylet'][0].process.pid}")
    while not found:
        time.sleep(0.005)
        if not list(study.glob("runs/*/checkpoint.npz")):
            continue
        processes = [int(p) for each in raylet.glob("task/*/children") for p in each.read_text().split()]
        send(processes, signal.SIGSTOP)
        run = trained_by(processes, study)
        if run is None:
            send(processes, signal.SIGCONT)
        else:
            cluster.remove_node(node, allow_graceful=False)
            send(processes, signal.SIGKILL)  # they would notice a second later
            found["run"] = run
    while not found.get("first"):
        time.sleep(0.005)
        found["first"] = first_step(study, run)


def test_a_node_killed_in_mid_run_changes_nothing(here, tmp_path):
    pytest.importorskip("ray")
    from ray.cluster_utils import Cluster as Nodes

    nodes, watching, found = Nodes(), Watching(), {}
    try:
        quick = {"health_check_period_ms": 500, "health_check_failure_threshold": 2}  # not 15 s
        nodes.add_node(num_cpus=1, include_dashboard=False, _system_config=quick)  # the driver's
        node = nodes.add_node(num_cpus=1)
        arguments = nodes, node, tmp_path / "study", found
        threading.Thread(target=kill_in_mid_run, args=arguments, daemon=True).start()
        execution = Execution(executor="ray", address=nodes.address)
        records = run_study(study(**LONG), tmp_path / "study", observer=watching, execution=execution)
    finally:
        nodes.shutdown()
    assert len(records) == 6
    assert results(tmp_path / "study") == results(here)
    assert found["first"] % 500 == 0
    assert found["first"] > 0
    assert found["run"] in {record.key[:16] for record in records}
    (note,) = watching.notes
    assert re.fullmatch(r"node \S+ [0-9a-f]{8} is lost; its runs continue on other nodes", note)


class Interrupting(StudyObserver):
    def running(self, runs):
        self.run = runs[0] if runs else None
        if runs and runs[0].step > 1000:
            raise KeyboardInterrupt


def test_what_is_wrong_is_said_and_ctrl_c_ends_what_runs(begun, tmp_path):
    endless = study(**LONG | {"training": LONG["training"] | {"steps": "10000000it"}})
    broken = study(model={"build": "tests.training.networks:broken"})
    with pytest.raises(LotteryError, match="no network today") as raised:
        run_study(broken, tmp_path / "broken" / "study", execution=RAY)
    assert "\n" not in str(raised.value)

    run_study(study(pruning__rounds=1), tmp_path / "small")
    store = Store(StudyPaths(tmp_path / "small"))
    store.paths.run(store.records()[0].key).record.write_text("{}")
    cluster = Cluster(study(), store, StudyObserver(), RAY)
    with pytest.raises(DamagedError):
        cluster.check(study())

    directory, interrupting = tmp_path / "interrupted" / "study", Interrupting()
    with pytest.raises(KeyboardInterrupt):
        run_study(endless, directory, observer=interrupting, execution=RAY)
    store = Store(StudyPaths(directory))
    free = False
    while not free:
        with store.claim(interrupting.run.spec.key) as free:
            time.sleep(0.1)
    assert begun.is_initialized()  # it isn't ours to end


def test_without_ray_one_line_says_how_to_install_it(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(
        LotteryError, match=r"^--executor ray needs Ray.*pip install 'tf_lottery\[cluster\]'$"
    ):
        run_study(study(), tmp_path / "study", execution=RAY)
    assert not (tmp_path / "study").exists()


def test_an_address_where_nothing_listens(tmp_path):
    pytest.importorskip("ray")
    with socket.socket() as silent:  # its port is ours, and nothing listens
        silent.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{silent.getsockname()[1]}"
        with pytest.raises(LotteryError, match=rf"^Expected a Ray cluster at {address}. .*refused.*$"):
            run_study(study(), tmp_path / "study", execution=Execution(executor="ray", address=address))


@pytest.mark.parametrize(
    ("gpus", "strategy", "expected"),
    [(1.5, "one_device", "--gpus of 0.01 to 1, or a whole number"), (None, "multi_worker", "multi_worker")],
)
def test_what_ray_does_not_have_is_refused(gpus, strategy, expected, tmp_path):
    settings = study(training={**SETTINGS["training"], "strategy": strategy})
    with pytest.raises(LotteryError, match=re.escape(expected)):
        Cluster(settings, Store(StudyPaths(tmp_path)), StudyObserver(), Execution(executor="ray", gpus=gpus))


def test_a_node_that_does_not_see_the_directory_says_so(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    settings = ray_task.task_settings(Store(StudyPaths(Path("elsewhere"))), False, False)
    outcome, notes = ray_task.task(settings, study=study().model_dump(mode="json"))
    assert outcome["kind"] == "ended"
    assert socket.gethostname() in outcome["detail"]
    assert str(tmp_path / "elsewhere") in outcome["detail"]
    assert notes == []
