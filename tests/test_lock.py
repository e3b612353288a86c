import subprocess
import sys

import pytest

from tf_lottery.errors import StudyError
from tf_lottery.lock import held

HOLD = "import sys, time; from pathlib import Path; from tf_lottery.lock import held\n"


def other_process(path):
    script = HOLD + "with held(Path(sys.argv[1])) as mine: print(mine, flush=True); time.sleep(3600)"
    process = subprocess.Popen([sys.executable, "-c", script, str(path)], stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "True\n"
    return process


def test_one_holder_at_a_time(tmp_path):
    path = tmp_path / "locks" / "run"
    with held(path) as mine:
        assert mine
        with held(path) as second:
            assert not second
    with held(path) as mine:
        assert mine


def test_a_killed_process_holds_nothing(tmp_path):
    process = other_process(tmp_path / "run")
    with held(tmp_path / "run") as mine:
        assert not mine
    process.kill()
    process.wait()
    with held(tmp_path / "run") as mine:
        assert mine


def test_a_place_that_cannot_hold_a_lock_is_one_line(tmp_path):
    (tmp_path / "run").mkdir()
    with pytest.raises(StudyError, match="run can't be created"), held(tmp_path / "run"):
        pass
