"""Two real worker processes over loopback run the same study as one device."""

import contextlib
import json
import os
import random
import socket
import time

import numpy as np
import pytest

from tests import fresh
from tests.drivers.test_run_study import SETTINGS, results
from tf_lottery import config_file
from tf_lottery.drivers.run_study import run_study
from tf_lottery.errors import LotteryError
from tf_lottery.paths import StudyPaths
from tf_lottery.store.store import Store
from tf_lottery.store.study_file import load
from tf_lottery.training.checkpoint import Checkpoint

STUDY = {
    **SETTINGS,
    "training": {
        "steps": "100it",
        "evaluate_every": "50it",
        "optimizer": "sgd",
        "learning_rate": 0.02,
        "optimizer_options": {"momentum": 0.9},
        "weight_decay": 0.001,
        "xla": False,
    },
    "pruning": {"rate": 0.3, "rounds": 1},
    "arms": {"ticket": {}},
}


def ports(count):
    """Free ports of this machine, below those that it gives to whoever asks for any."""
    found = []
    for port in random.sample(range(20000, 32000), 1000):
        with socket.socket() as tried, contextlib.suppress(OSError):
            tried.bind(("localhost", port))
            found.append(port)
        if len(found) == count:
            return found
    raise RuntimeError("no port is free")


def start(index, workers, study, directory):
    task = {"cluster": {"worker": workers}, "task": {"type": "worker", "index": index}}
    command = ["run", study, "--output", directory, "--set", "training.strategy=multi_worker"]
    environment = {**os.environ, "TF_CONFIG": json.dumps(task)}
    return fresh.Fresh(*command, module="tf_lottery", env=environment, joined=True)


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    """The study on one device, and on two workers."""
    directory = tmp_path_factory.mktemp("workers")
    file = directory / "study.yaml"
    file.write_text(json.dumps(STUDY))
    workers = [f"localhost:{port}" for port in ports(2)]
    processes = [start(index, workers, file, directory / "two") for index in (0, 1)]
    run_study(config_file.load_config(file), directory / "one")
    outputs = [process.communicate()[0] for process in processes]
    assert [process.returncode for process in processes] == [0, 0], outputs
    return directory, outputs


def test_two_workers_train_as_one_device_does(both):
    directory, _ = both
    stores = [Store(StudyPaths(directory / name)) for name in ("one", "two")]
    one, two = (sorted(store.records(), key=lambda record: record.spec.round) for store in stores)
    assert [record.spec.round for record in two] == [0, 1]
    for first, second in zip(one, two, strict=True):
        assert (first.resolved["replicas"], second.resolved["replicas"]) == (1, 2)
        masks = [store.masks(record.key) for store, record in zip(stores, (first, second), strict=True)]
        for path, mask in masks[0].items():
            assert (mask == masks[1][path]).mean() > 0.999, path
        weights = [store.weights(record.key) for store, record in zip(stores, (first, second), strict=True)]
        for name, value in weights[0].items():
            distance = np.linalg.norm(weights[1][name] - value) / max(np.linalg.norm(value), 1)
            assert distance < 1e-5, (name, distance)


def test_only_the_chief_writes_and_shows(both):
    directory, (chief, other) = both
    assert "Dense network" in chief
    assert other.startswith("Worker 1 of 2")
    assert "Dense network" not in other
    assert load(StudyPaths(directory / "two")).training.strategy == "multi_worker"


@pytest.mark.parametrize("setting", [None, "junk", '{"cluster": {"worker": ["a:1"]}}'])
def test_without_a_cluster_the_study_is_refused(monkeypatch, tmp_path, setting):
    if setting is None:
        monkeypatch.delenv("TF_CONFIG", raising=False)
    else:
        monkeypatch.setenv("TF_CONFIG", setting)
    study = config_file.validate({**STUDY, "training": {"strategy": "multi_worker"}})
    with pytest.raises(LotteryError, match="Expected TF_CONFIG=.*Received: "):
        run_study(study, tmp_path / "study")
    assert not (tmp_path / "study").exists()


def written(directory):
    """When a checkpoint was last written; 0 without one."""
    with contextlib.suppress(FileNotFoundError):  # it goes as the run ends
        return max((path.stat().st_mtime_ns for path in directory.glob("runs/*/checkpoint.npz")), default=0)
    return 0


def left_at(directory):
    """The step of the checkpoint of the one run that isn't finished."""
    (checkpoint,) = directory.glob("runs/*/checkpoint.npz")
    return Checkpoint.load(checkpoint).step


def run_both(directory, victim=None):
    """Run a longer dense training on two workers; kill one of them once there is a new checkpoint."""
    training = {**STUDY["training"], "steps": "600it", "evaluate_every": "300it"}
    storage = {"checkpoint_every": "100it"}
    settings = STUDY | {"training": training, "storage": storage, "pruning": {"rate": 0.3, "rounds": 0}}
    file = directory.parent / "study.yaml"
    file.write_text(json.dumps(settings))
    workers = [f"localhost:{port}" for port in ports(2)]
    processes = [start(index, workers, file, directory) for index in (0, 1)]
    if victim is not None:
        before = written(directory)
        while written(directory) <= before:
            assert processes[victim].returncode is None, processes[victim].communicate()
            time.sleep(0.01)
        processes[victim].kill()
    outputs = [process.communicate()[0] for process in processes]
    return [process.returncode for process in processes], outputs


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """What comes of it when nobody is killed."""
    directory = tmp_path_factory.mktemp("whole") / "study"
    codes, outputs = run_both(directory)
    assert codes == [0, 0], outputs
    return results(directory)


@pytest.mark.slow
def test_interrupted_workers_go_on_together_from_the_same_step(whole, tmp_path):
    """Of the chief first, and then of the other."""
    directory, left_off = tmp_path / "study", 0
    for victim in (0, 1):
        codes, outputs = run_both(directory, victim)
        assert codes[victim] == -9
        assert codes[1 - victim] not in (0, -9)
        assert "Traceback" not in outputs[1 - victim]
        assert left_off < left_at(directory) < 600
        left_off = left_at(directory)
    codes, outputs = run_both(directory)
    assert codes == [0, 0], outputs
    assert results(directory) == whole
