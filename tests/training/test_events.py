import os
import subprocess
import sys
import textwrap
import time
from types import SimpleNamespace

import numpy as np
import pytest
import tensorflow as tf
from tensorboard.backend.event_processing.data_provider import MultiplexerDataProvider
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.backend.event_processing.plugin_event_multiplexer import EventMultiplexer
from tensorboard.context import RequestContext

from tf_lottery.training import tensorboard
from tf_lottery.training.events import EventFile
from tf_lottery.training.observe import Point
from tf_lottery.training.tensorboard import StepCurves

POINTS = [("loss", 0.1, 0), ("loss", 2, 7), ("loss", np.float64(1 / 3), 2**40), ("accuracy/a b", 1.0, 7)]


def read(directory):
    return EventAccumulator(str(directory), size_guidance={"tensors": 0}).Reload()


def curve(directory, tag):
    """Step -> value."""
    return {event.step: tf.make_ndarray(event.tensor_proto).item() for event in read(directory).Tensors(tag)}


def in_a_process(code, *arguments):
    """What a process of its own prints."""
    command = [sys.executable, "-c", textwrap.dedent(code), *map(str, arguments)]
    run = subprocess.run(command, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    assert run.stderr == ""
    return run.stdout.split()


def test_it_writes_what_tensorflow_writes(tmp_path):
    began = time.time()
    ours, writer = EventFile(tmp_path / "ours"), tf.summary.create_file_writer(str(tmp_path / "theirs"))
    for tag, value, step in POINTS:
        ours.scalar(tag, value, step)
        with writer.as_default():
            tf.summary.scalar(tag, value, step)
    ours.close()
    writer.close()
    ours, theirs = read(tmp_path / "ours"), read(tmp_path / "theirs")
    assert ours.Tags() == theirs.Tags()
    assert ours.file_version == theirs.file_version == 2.0
    for tag in ("loss", "accuracy/a b"):
        assert ours.SummaryMetadata(tag) == theirs.SummaryMetadata(tag)
        mine, other = ours.Tensors(tag), theirs.Tensors(tag)
        assert [event.step for event in mine] == [event.step for event in other]
        values = [tf.make_ndarray(event.tensor_proto) for event in mine]
        assert values == [tf.make_ndarray(event.tensor_proto) for event in other]
        assert {(value.dtype, value.shape) for value in values} == {(np.dtype(np.float32), ())}
        assert began <= mine[0].wall_time <= other[0].wall_time


def test_the_scalar_dashboard_shows_it(tmp_path):
    file = EventFile(tmp_path / "run")
    for tag, value, step in POINTS:
        file.scalar(tag, value, step)
    file.close()
    runs = EventMultiplexer().AddRunsFromDirectory(str(tmp_path)).Reload()
    provider = MultiplexerDataProvider(runs, str(tmp_path))
    shown = provider.list_scalars(RequestContext(), experiment_id="", plugin_name="scalars")
    assert {tag: series.max_step for tag, series in shown["run"].items()} == {
        "loss": 2**40,
        "accuracy/a b": 7,
    }


@pytest.mark.filterwarnings("error")
def test_values_that_are_no_numbers_stay_so(tmp_path):
    file = EventFile(tmp_path)
    for step, value in enumerate([float("nan"), float("inf"), -float("inf"), 1e300, 5.0]):
        file.scalar("loss", value, step)
    file.close()
    found = list(curve(tmp_path, "loss").values())
    assert np.isnan(found[0])
    assert found[1:] == [float("inf"), -float("inf"), float("inf"), 5.0]


def test_a_reader_sees_what_is_flushed(tmp_path):
    file = EventFile(tmp_path)
    file.scalar("loss", 1.0, 1)
    file.flush()
    file.scalar("loss", 2.0, 2)
    assert curve(tmp_path, "loss") == {1: 1.0}
    file.close()
    assert curve(tmp_path, "loss") == {1: 1.0, 2: 2.0}


def test_files_of_one_directory_have_names_of_their_own(tmp_path):
    files = [EventFile(tmp_path) for _ in range(3)]
    for step, file in enumerate(files):
        file.scalar("loss", float(step), step)
        file.close()
    assert len(list(tmp_path.glob("events.out.tfevents.*"))) == 3
    assert curve(tmp_path, "loss") == {0: 0.0, 1: 1.0, 2: 2.0}


def test_a_closed_file_stays_as_it_is(tmp_path):
    file = EventFile(tmp_path)
    file.close()
    [path] = tmp_path.iterdir()
    before = path.read_bytes()
    file.scalar("loss", 1.0, 1)
    file.flush()
    file.close()
    assert path.read_bytes() == before


def test_a_directory_that_cannot_be_made_is_silence(tmp_path):
    (tmp_path / "file").write_text("")
    file = EventFile(tmp_path / "file" / "run")
    file.scalar("loss", 1.0, 1)
    file.flush()
    file.close()
    assert (tmp_path / "file").read_text() == ""


def test_writing_takes_no_tensorflow(tmp_path):
    loaded = in_a_process(
        """
        import sys
        from pathlib import Path
        import tf_lottery.analysis.tensorboard.rounds
        from tf_lottery.training.observe import Point
        from tf_lottery.training.tensorboard import StepCurves

        curves = StepCurves(Path(sys.argv[1]))
        curves.evaluated(Point(3, 0.5, 0.5, 0.25, 0.75))
        curves.close()
        print(*{"tensorflow", "keras", "numpy"} & sys.modules.keys())
        """,
        tmp_path,
    )
    assert loaded == ["numpy"]
    assert curve(tmp_path, "validation/loss") == {3: 0.25}


@pytest.mark.skipif(sys.platform == "win32", reason="no RLIMIT_FSIZE")
@pytest.mark.parametrize("ends", ["write", "flush", "close"])
def test_a_full_disk_ends_in_silence(tmp_path, ends):
    """The limit is lifted again: silence is because of the first error, not of a second one."""
    opened, grown = in_a_process(
        """
        import os, resource, sys
        from pathlib import Path
        from tf_lottery.training.events import EventFile

        directory, ends = Path(sys.argv[1]), sys.argv[2]
        file = EventFile(directory)
        file.scalar("loss", 1.0, 1)
        file.flush()
        [path] = directory.iterdir()
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size + 10, hard))
        for step in range(2, 5000 if ends == "write" else 3):
            file.scalar("loss", 2.0, step)
        if ends != "write":
            getattr(file, ends)()
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

        status, full = os.stat(path), path.stat().st_size

        def is_ours(descriptor):
            try:
                return os.path.samestat(os.fstat(descriptor), status)
            except OSError:
                return False

        opened = sum(map(is_ours, range(256)))
        for step in range(5000):
            file.scalar("loss", 3.0, step)
        file.flush()
        file.close()
        print(opened, path.stat().st_size - full)
        """,
        tmp_path,
        ends,
    )
    assert (opened, grown) == ("0", "0")
    assert curve(tmp_path, "loss") == {1: 1.0}, "what was written before stays readable"


@pytest.fixture
def clock(monkeypatch):
    """Seconds, to be set; only for when curves are flushed."""
    now = [100.0]
    monkeypatch.setattr(tensorboard, "time", SimpleNamespace(monotonic=lambda: now[0]))
    return now


def test_step_curves_have_the_points_of_a_training(tmp_path):
    curves = StepCurves(tmp_path / "run")
    curves.evaluated(Point(0, None, None, 2.5, 0.125))
    curves.evaluated(Point(20, 1.5, 0.5, 1.25, 0.625))
    curves.close()
    assert curve(tmp_path / "run", "training/loss") == {20: 1.5}
    assert curve(tmp_path / "run", "training/accuracy") == {20: 0.5}
    assert curve(tmp_path / "run", "validation/loss") == {0: 2.5, 20: 1.25}
    assert curve(tmp_path / "run", "validation/accuracy") == {0: 0.125, 20: 0.625}


def test_step_curves_take_the_place_of_those_before(tmp_path):
    for loss in (1.0, 2.0):
        curves = StepCurves(tmp_path / "run")
        curves.evaluated(Point(int(loss), None, None, loss, 0.5))
        curves.close()
    assert curve(tmp_path / "run", "validation/loss") == {2: 2.0}
    assert len(os.listdir(tmp_path / "run")) == 1


def test_step_curves_are_flushed_once_a_second(tmp_path, clock):
    curves = StepCurves(tmp_path)
    seen = []
    for step, clock[0] in enumerate([100.0, 100.5, 100.9, 101.0, 101.9]):
        curves.evaluated(Point(step, None, None, 1.0, 0.5))
        seen.append(max(curve(tmp_path, "validation/loss")))
    assert seen == [0, 0, 0, 3, 3]
    curves.close()
    assert max(curve(tmp_path, "validation/loss")) == 4
