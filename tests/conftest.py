"""What all tests share."""

import importlib
import json
import subprocess
from pathlib import Path

import pytest

pytest_plugins = ["tests.balance"]


def pytest_configure(config):
    if hasattr(config, "workerinput") or config.getoption("dist", "no") == "no":
        importlib.import_module("tests.devices")  # not in a process that only hands out tests


@pytest.fixture(scope="session")
def digits():
    """Real data: scikit-learn's digits, split."""
    from tf_lottery.config import DataConfig
    from tf_lottery.data import sources, split

    config = DataConfig(name="digits", validation=200)
    return split.split(sources.load(config), config)


@pytest.fixture(autouse=True)
def seeded():
    """Every test draws the same weights each time, so that none fails by chance."""
    from keras import utils

    utils.set_random_seed(1)


@pytest.fixture(autouse=True, scope="session")
def no_waiting_for_disks():
    """What is written need not have reached the disk: tests kill processes, but no machine."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("os.fsync", lambda descriptor: None)
        yield


@pytest.fixture(autouse=True, scope="session")
def compiled_once():
    """Studies of one process share their compiled networks."""
    from tests import compiled

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tf_lottery.runs.trainers.Trainer", compiled.trainer)
        yield


@pytest.fixture(autouse=True)
def compiled_alone(request):
    """A test that patches anything has compiled networks of its own."""
    from tests import compiled

    compiled.owner = request.node.nodeid if "monkeypatch" in request.fixturenames else None
    yield
    compiled.owner = None
    compiled.lent.clear()


@pytest.fixture(autouse=True, scope="session")
def quick_exports():
    """Exports for TensorFlow are loaded in fresh processes that are forked, not begun from nothing."""
    from types import SimpleNamespace

    from tests import fresh
    from tf_lottery.exports.verify import verify

    def run(command, **options):
        description = Path(command[-1])
        if json.loads(description.read_text())["runtime"] not in ("tensorflow", "keras"):
            return subprocess.run(command, **options)
        script = f"import runpy; runpy.run_path({str(verify.RUNNER)!r}, run_name='__main__')"
        code, out, err = fresh.run(description, script=script)
        return subprocess.CompletedProcess(command, code, out, err)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(verify, "subprocess", SimpleNamespace(run=run, TimeoutExpired=TimeoutError))
        patch.setattr(
            "tf_lottery.exports.measure.SECONDS", 0.05
        )  # of timing, where its figures prove nothing
        yield
