"""Compiled kernels are kept on disk, in a directory of their own; damaged ones are named in one line."""

import subprocess
import sys

import pytest

from tests.training.sparse.engines import sparse
from tf_lottery.errors import LotteryError

CALLED = """
import numpy as np
from tf_lottery.training.sparse.kernels import cache
from tf_lottery.training.sparse.kernels.update import descend
values = np.zeros(16, np.float32)
descend(values, np.ones(16, np.float32), np.array([16]), np.array([[0, 0, 1, 1, 0]], np.float32), 0.5)
print(values[0], cache.DIRECTORY, sum(descend.stats.cache_hits.values()))
"""


def called(directory, monkeypatch):
    monkeypatch.setenv("TF_LOTTERY_KERNELS", str(directory))
    run = subprocess.run([sys.executable, "-c", CALLED], capture_output=True, text=True, check=True)
    return run.stdout.split()


def test_a_second_process_loads_what_the_first_compiled(tmp_path, monkeypatch):
    first, second = (called(tmp_path / "kernels", monkeypatch) for _ in range(2))
    assert (first[0], first[2], second[2]) == ("-0.5", "0", "1")
    assert first[:2] == second[:2]
    assert (tmp_path / "kernels").samefile(first[1].rpartition("/")[0])


def test_where_nothing_can_be_written_kernels_are_compiled_each_time(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    assert called(tmp_path / "file/kernels", monkeypatch) == ["-0.5", "None", "0"]


def test_damaged_kernels_are_named_in_one_line(digits, monkeypatch):
    def damaged(*arguments):
        raise EOFError("Ran out of input")

    monkeypatch.setattr("tf_lottery.training.sparse.engine.fill", damaged)
    with pytest.raises(
        LotteryError, match="damaged kernels .Ran out of input.. Delete it, and repeat"
    ) as error:
        sparse(digits)
    assert "\n" not in str(error.value)
