from dataclasses import asdict

import numpy as np
import pytest

from tf_lottery.errors import LotteryError
from tf_lottery.training.checkpoint import Cadence, Checkpoint
from tf_lottery.training.observe import Passed, Point


def checkpoint():
    return Checkpoint(
        step=300,
        variables={
            "model/a/kernel": np.array([1.5, -0.0, 1e-30], np.float32),
            "optimizer/0000/i": np.int64(3),
        },
        arrays={"early_stop/model/a/kernel": np.zeros(3, np.float32)},
        since_stop=Passed(50, 0.1 + 0.7, 12.0, 0.5),
        kept={
            "points": [asdict(Point(250, 1 / 3, 0.5, 0.1 + 0.2, 0.7))],
            "rewind_digests": {"rewind/0it": "d" * 64},
            "seconds": {"train": 1.25, "evaluate": 0.5},
        },
        context={"resolved": {"input_shape": [8, 8, 1]}},
    )


def test_it_is_read_as_it_was_written(tmp_path):
    checkpoint().save(tmp_path / "checkpoint.npz")
    found, whole = Checkpoint.load(tmp_path / "checkpoint.npz"), checkpoint()
    assert {name: value.tobytes() for name, value in found.variables.items()} == {
        name: np.asarray(value).tobytes() for name, value in whole.variables.items()
    }
    assert found.arrays.keys() == whole.arrays.keys()
    for field in ("step", "since_stop", "kept", "rewind_digests", "context"):
        assert getattr(found, field) == getattr(whole, field), field


@pytest.mark.parametrize("at", [0.1, 0.5, 0.9])
def test_a_changed_byte_is_noticed(tmp_path, at):
    path = tmp_path / "checkpoint.npz"
    checkpoint().save(path)
    content = bytearray(path.read_bytes())
    content[int(at * len(content))] ^= 1
    path.write_bytes(content)
    try:
        found = Checkpoint.load(path)
    except LotteryError:
        return
    # A byte between the archive's members, which nobody reads.
    assert found.variables["model/a/kernel"].tobytes() == checkpoint().variables["model/a/kernel"].tobytes()
    assert found.kept == checkpoint().kept


def test_it_is_due_after_so_many_seconds():
    now = [100.0]
    cadence = Cadence("60s", 10, 0, clock=lambda: now[0])
    assert not cadence.due(1)
    now[0] += 60
    assert cadence.due(2)
    cadence.kept(2)
    assert not cadence.due(3)


@pytest.mark.parametrize(("every", "first_due"), [("25it", 35), ("3ep", 40), ("never", None)])
def test_it_is_due_after_so_many_steps(every, first_due):
    cadence = Cadence(every, steps_per_epoch=10, first=10, clock=lambda: 0.0)
    due = [step for step in range(10, 100) if cadence.due(step)]
    assert due[:1] == ([first_due] if first_due else [])
