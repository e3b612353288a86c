"""`tf-lottery tune`, as typed: bad input, a whole tuning, two commands at once, and one that is killed."""

import json
import os
import random
import re
import signal
import subprocess
import sys
import time

import pytest
import yaml

from tests import fresh
from tests.cli.test_cli import cli
from tests.drivers.test_run_study import results
from tests.tuning.test_tuner import STUDY, TUNE
from tf_lottery import config_file
from tf_lottery.paths import StudyPaths
from tf_lottery.store.store import Store
from tf_lottery.store.study_file import load
from tf_lottery.tuning.paths import TuningPaths

SERIAL = ["--workers", "1"]


@pytest.fixture
def written(tmp_path):
    """A tuning in a file, in a directory of its own."""
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump(STUDY | {"tune": TUNE}))
    return tmp_path


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A directory in which a tuning was run; what the command printed."""
    cwd = tmp_path_factory.mktemp("tune")
    (cwd / "mine.yaml").write_text(yaml.safe_dump(STUDY | {"tune": TUNE}))
    return cwd, cli("tune", "mine.yaml", *SERIAL, cwd=cwd)


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        (["tune.ranges={}"], "expected at least one setting with its values"),
        (["tune.ranges={pruning.rate: []}"], r"pruning\.rate: expected a list of values, or min and max"),
        (["tune.tolerance=null"], "expected a tolerance with objective sparsest_matching"),
        (["tune.budget=100it"], r"tune\.budget: expected at least [\d,]+ steps.*Received: 100it"),
        (["tune.ranges={pruning.rat: [0.1, 0.2]}"], r"unknown key 'pruning\.rat': did you mean 'rate'"),
        (["tune.ranges={updates.fraction: [0.1, 0.2]}"], "expected a setting that changes what is trained"),
        (
            ["tune.ranges={pruning.rate: {min: 0.6, max: 0.1}}"],
            "expected min below max, received 0.6 and 0.1",
        ),
        (["tune.ranges={search.steps: {min: 1ep, max: 90it}}"], "steps in one unit, received 1ep and 90it"),
        (["tune.ranges={pruning.rounds: [1, 2]}"], r"pruning\.rounds: expected a setting that can be tuned"),
        (["tune.ranges={pruning.rate: [0.5, 1.5]}"], r"pruning\.rate: .*less than 1\. Received: 1\.5"),
        (["tune.oracle=psychic"], "tune: oracle: .*Received: 'psychic'"),
        (["model.name=none"], r"Expected model\.name to be one of .*'none'"),
        (["data.name=none"], r"Expected data\.name as one of .*'none'"),
        (["tune=null"], "Expected a section tune in mine.yaml"),
        (["nonsense"], "Expected --set KEY.KEY=VALUE. Received: 'nonsense'"),
    ],
)
def test_bad_input_is_one_line_and_leaves_no_directory(overrides, said, written):
    sets = [part for override in overrides for part in ("--set", override)]
    code, _, err = cli("tune", "mine.yaml", *sets, *SERIAL, cwd=written)
    assert (code, err.count("\n")) == (2, 1), err
    assert re.match(rf"Error: .*{said}", err), err
    assert not (written / "saved_models/small").exists()


def test_what_isnt_a_tuning_is_one_line(written):
    code, _, err = cli("tune", "digits_quick", cwd=written)
    assert (code, err.count("\n")) == (2, 1)
    assert "Expected a section tune in" in err
    code, _, err = cli("run", "mine.yaml", cwd=written)
    assert (code, err.count("\n")) == (2, 1)
    assert re.search(r"mine\.yaml is a tuning.*tf-lottery tune", err)
    code, _, err = cli("tune", "nowhere.yaml", cwd=written)
    assert (code, err.count("\n")) == (2, 1)
    assert [path.name for path in written.iterdir()] == ["mine.yaml"]


def test_a_tuning_prints_a_row_for_each_candidate_and_where_its_files_are(finished):
    cwd, (code, out, err) = finished
    assert (code, err) == (0, "")
    assert [int(number) for number in re.findall(r"^ +(\d+) +(?:own|0\.\d)", out, re.M)] == [0, 1, 2, 3, 4]
    assert "\x1b" not in out
    paths = TuningPaths(cwd / "saved_models/small")
    for path in (paths.front, paths.best, paths.table):
        assert str(path.relative_to(cwd)) in out
        assert path.exists()
    assert paths.front.read_bytes().startswith(b"\x89PNG")
    assert list((paths.tensorboard / "hparams").glob("*/events*"))


def test_the_table_has_a_row_for_each_candidate(finished):
    cwd, _ = finished
    rows = json.loads(TuningPaths(cwd / "saved_models/small").table.read_text())
    assert [row["candidate"] for row in rows] == list(range(5))
    assert [row.get("pruning.rate") for row in rows] == [None, 0.5, 0.5, 0.7, 0.7]
    assert all(row["failure"] == "" and row["steps"] > 0 for row in rows)


def test_the_best_setting_is_a_study_that_runs(finished):
    cwd, _ = finished
    paths = TuningPaths(cwd / "saved_models/small")
    study = config_file.load_config(paths.best)
    rows = json.loads(paths.table.read_text())
    assert study.pruning.rate in {row.get("pruning.rate", 0.5) for row in rows}
    assert study.storage.keep == "weights"


def test_a_candidate_can_be_shown_as_a_study(finished):
    cwd, _ = finished
    candidate = "saved_models/small/candidates/002"
    assert load(StudyPaths(cwd / candidate)).name == "small_002"
    code, out, err = cli("show", candidate, cwd=cwd)
    assert (code, err) == (0, "")
    assert re.search(r"^final ", out, re.M)


def test_a_finished_tuning_is_only_reported(finished):
    cwd, (_, first, _) = finished
    before = results(cwd / "saved_models/small")
    code, out, err = cli("tune", "mine.yaml", *SERIAL, cwd=cwd)
    assert (code, err) == (0, "")
    assert results(cwd / "saved_models/small") == before

    def lasting(text):  # bytes on the disk may change with the log
        return [line for line in text.splitlines() if not line.startswith("Kept")]

    assert lasting(out) == lasting(first)


def test_a_tuning_in_which_nothing_matches_says_so_with_its_exit_code(written):
    sets = ["--set", "tune.tolerance=0", "--set", "search.steps=1it", "--set", "training.steps=40it"]
    sets += ["--set", "pruning.rate=0.95", "--set", "tune.candidates=1"]
    code, out, err = cli("tune", "mine.yaml", *sets, *SERIAL, cwd=written)
    assert (code, err) == (1, "")
    assert "matching ticket" in out
    assert not TuningPaths(written / "saved_models/small").best.exists()


LONG = {
    **STUDY,
    "training": {"steps": "2400it", "evaluate_every": "400it", "learning_rate": 0.01, "xla": False},
    "search": {"steps": "800it"},
    "storage": {"keep": "masks", "checkpoint_every": "400it"},
}
LONG_TUNE = {**TUNE, "ranges": {"pruning.rate": [0.5, 0.7], "search.steps": ["800it", "1600it"]}}


def long_tuning(directory):
    path = directory / "long.yaml"
    path.write_text(yaml.safe_dump(LONG | {"tune": LONG_TUNE}))
    return path


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """A tuning of longer runs that nothing disturbed."""
    cwd = tmp_path_factory.mktemp("undisturbed")
    code, _, err = cli("tune", long_tuning(cwd), "--output", cwd / "out/tuning", *SERIAL, cwd=cwd)
    assert (code, err) == (0, "")
    return TuningPaths(cwd / "out/tuning")


def trained(paths):
    """How often runs were finished, by the log that all commands write."""
    return re.findall(r"finished in .*\((\w+)\)", paths.log.read_text())


def same(paths, others):
    assert json.loads(paths.table.read_text()) == json.loads(others.table.read_text())
    assert paths.best.read_text().splitlines()[1:] == others.best.read_text().splitlines()[1:]
    assert paths.asked.read_text() == others.asked.read_text()
    assert results(paths.root) == results(others.root)


@pytest.mark.slow
def test_two_commands_at_once_share_a_tuning(undisturbed, tmp_path):
    paths = TuningPaths(tmp_path / "out/tuning")
    command = ["tune", long_tuning(tmp_path), "--output", paths.root, *SERIAL]
    both = [fresh.Fresh(*command, module="tf_lottery", cwd=tmp_path) for _ in range(2)]
    outputs = [process.communicate() for process in both]
    assert [process.returncode for process in both] == [0, 0], outputs
    assert [err for _, err in outputs] == ["", ""]
    finished = trained(paths)
    assert len(finished) == len(set(finished)) == len(Store(paths).records())
    rows = [re.findall(r"^ +\d+ +(?:own|0\.\d).*$", out, re.M) for out, _ in outputs]
    assert rows[0] == rows[1]
    assert len(rows[0]) == 5
    same(paths, undisturbed)
    for row in json.loads(paths.table.read_text()):
        own = Store(StudyPaths(paths.candidates / f"{row['candidate']:03}"))
        assert sum(record.spent.steps for record in own.records()) == row["steps"], "all runs were linked"


@pytest.mark.slow
def test_a_tuning_that_is_killed_again_and_again_comes_to_the_same(undisturbed, tmp_path):
    paths = TuningPaths(tmp_path / "out/tuning")
    command = [sys.executable, "-m", "tf_lottery", "tune", long_tuning(tmp_path), "--output", paths.root]
    command = [str(part) for part in (*command, "--workers", "2")]
    draw, kills = random.Random(), 0
    while kills < 4:
        there = len(trained(paths)) if paths.log.exists() else 0
        process = subprocess.Popen(command, cwd=tmp_path, start_new_session=True, stdout=subprocess.DEVNULL)
        while process.poll() is None and (len(trained(paths)) if paths.log.exists() else 0) <= there:
            time.sleep(0.02)
        time.sleep(draw.uniform(0, 1.5))
        if process.poll() is not None:
            break  # it was faster
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        kills += 1
    run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert (run.returncode, run.stderr) == (0, "")
    assert kills >= 2
    finished = trained(paths)
    assert len(finished) == len(set(finished)), "no run was finished twice"
    same(paths, undisturbed)


def test_a_dry_run_is_told_as_json(written):
    code, out, err = cli("tune", "mine.yaml", *SERIAL, "--dry-run", "--json", cwd=written)
    assert (code, err) == (0, "")
    found = json.loads(out)
    assert found["candidates"] == TUNE["candidates"]
    assert 0 < found["fewest"]["steps"] <= found["own_steps"] <= found["most"]["steps"]


def test_quiet_prints_the_best_setting_s_file_and_nothing_else(finished):
    cwd, _ = finished
    code, out, err = cli("tune", "mine.yaml", *SERIAL, "--quiet", cwd=cwd)
    assert (code, err) == (0, "")
    assert re.fullmatch(r"Result: saved_models/\w+/best\.yaml\n", out)
    assert (cwd / out.split()[1]).exists()
