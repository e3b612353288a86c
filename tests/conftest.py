"""Set up before anything imports TensorFlow: quiet, two logical CPUs, one thread."""

import json
import os
import subprocess
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("MPLBACKEND", "agg")

import pytest
import tensorflow as tf

tf.config.set_logical_device_configuration(
    tf.config.list_physical_devices("CPU")[0], [tf.config.LogicalDeviceConfiguration()] * 2
)
tf.config.threading.set_intra_op_parallelism_threads(1)
tf.config.threading.set_inter_op_parallelism_threads(1)

pytest_plugins = ["tests.balance"]


@pytest.fixture(scope="session")
def digits():
    """Real data: scikit-learn's digits, split."""
    from tf_lottery.config import DataConfig
    from tf_lottery.data import sources, split

    config = DataConfig(name="digits", validation=200)
    return split.split(sources.load(config), config)


@pytest.fixture(autouse=True, scope="session")
def compiled_once():
    """Studies of one process share their compiled networks."""
    from tests import compiled

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tf_lottery.experiment.bench.Trainer", compiled.trainer)
        yield


@pytest.fixture(autouse=True, scope="session")
def quick_exports():
    """Exports for TensorFlow are loaded in fresh processes that are forked, not begun from nothing."""
    from types import SimpleNamespace

    from tests import fresh
    from tf_lottery.exports import verify

    def run(command, **options):
        description = Path(command[-1])
        if json.loads(description.read_text())["runtime"] not in ("tensorflow", "keras"):
            return subprocess.run(command, **options)
        script = f"import runpy; runpy.run_path({str(verify.RUNNER)!r}, run_name='__main__')"
        code, out, err = fresh.run(description, script=script)
        return subprocess.CompletedProcess(command, code, out, err)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(verify, "subprocess", SimpleNamespace(run=run, TimeoutExpired=TimeoutError))
        patch.setattr("tf_lottery.exports.bench.SECONDS", 0.05)  # of timing, where its figures prove nothing
        yield
