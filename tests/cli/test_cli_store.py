"""The commands that look after a study's runs, as typed, and a disk that is full."""

import re
import shutil

import pytest

from tests import fresh
from tests.cli.test_cli import SMALL, cli, printed_without
from tests.drivers.test_run_study import results
from tests.store.test_damage import flip
from tf_lottery.paths import StudyPaths


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A directory in which digits_quick was run."""
    cwd = tmp_path_factory.mktemp("store")
    assert cli("run", "digits_quick", *SMALL, cwd=cwd)[0] == 0
    return cwd


@pytest.fixture
def copy(whole, tmp_path):
    """A copy of it, to damage: the working directory, and the study's paths."""
    shutil.copytree(whole / "saved_models", tmp_path / "saved_models")
    return tmp_path, StudyPaths(tmp_path / "saved_models/digits_quick")


def test_a_dry_run_says_what_would_be_trained_and_trains_nothing(tmp_path):
    code, out, err = cli("run", "digits_quick", *SMALL, "--dry-run", "--workers", "2", cwd=tmp_path)
    assert (code, err) == (0, "")
    assert "Finished: 0 runs" in out
    assert "Next:     ticket replicate 0 round 0" in out
    assert "To train: 4 runs, 240 steps" in out
    assert re.search(
        r"Time:     about \d+ seconds with 2 workers \(.* s a run, from a few seconds of training\)", out
    )
    assert re.search(r"Disk:     about .*B more \(.*B a run\); .*B are free", out)
    assert not (tmp_path / "saved_models").exists()


def test_a_dry_run_of_a_begun_study_reads_its_runs_without_tensorflow(copy):
    cwd, _ = copy
    command = ["run", "digits_quick", *SMALL, "--set", "pruning.rounds=5", "--dry-run"]
    (out,) = printed_without({"tensorflow", "keras"}, command, cwd=cwd)
    assert "Finished: 4 runs" in out
    assert "To train: 4 runs, 240 steps" in out, "rounds 3 to 5 and the control of round 4"
    assert "from 4 finished runs" in out


@pytest.mark.slow
def test_a_dry_run_knows_what_neighbours_have(copy):
    cwd, _ = copy
    changed = ["--set", "pruning.rate=0.5", "--output", "saved_models/other"]
    _, out, _ = cli("run", "digits_quick", *SMALL, *changed, "--dry-run", cwd=cwd)
    assert "Finished: 0 runs, 1 more in neighbouring studies" in out
    assert "To train: 3 runs" in out
    code, out, _ = cli("run", "digits_quick", *SMALL, *changed, cwd=cwd)
    assert code == 0
    assert re.search("ticket replicate 0 round 0: taken over from .*digits_quick", out)
    assert "Trained 3 runs" in out


def test_a_finished_study_has_nothing_next(copy):
    _, out, _ = cli("run", "digits_quick", *SMALL, "--dry-run", cwd=copy[0])
    assert "nothing, the study is finished" in out


@pytest.mark.slow
def test_verify_names_and_sets_aside_and_run_makes_it_again(whole, copy):
    cwd, paths = copy
    code, out, _ = cli("verify", "digits_quick", cwd=cwd)
    assert code == 0
    assert "4 runs are intact, 0 files are damaged." in out
    runs = sorted(paths.runs.iterdir())
    flip(runs[0] / "curves.json")
    flip(runs[1] / "record.json")
    code, out, _ = cli("verify", "digits_quick", cwd=cwd)
    assert code == 1
    assert "2 runs are intact" in out
    for path in (runs[0] / "curves.json", runs[1] / "record.json"):
        assert str(path.relative_to(cwd)) in out
    assert "2 files are damaged" in out
    assert len(list(paths.damaged.iterdir())) == 2
    code, out, _ = cli("run", "digits_quick", *SMALL, cwd=cwd)
    assert code == 0
    assert "Trained 2 runs" in out
    assert results(paths.root) == results(whole / "saved_models/digits_quick")


def test_gc_says_what_would_go_and_then_deletes_it(copy):
    cwd, paths = copy
    (paths.runs / "0123456789abcdef").mkdir()
    (paths.runs / "0123456789abcdef/weights_last.npz").write_bytes(b"w" * 2500)
    code, out, _ = cli("gc", "digits_quick", "--dry-run", cwd=cwd)
    assert code == 0
    assert "0123456789abcdef (not asked for, 2.5 kB)" in out
    assert "2.5 kB would be freed." in out
    assert (paths.runs / "0123456789abcdef").exists()
    _, out, _ = cli("gc", "digits_quick", cwd=cwd)
    assert "2.5 kB freed." in out
    assert len(list(paths.runs.iterdir())) == 4


def test_rm_asks_before_it_deletes(copy):
    cwd, paths = copy
    code, _, _ = cli("rm", "digits_quick", cwd=cwd)
    assert code == 1
    assert paths.study.exists()
    code, out, _ = cli("rm", "digits_quick", "--yes", cwd=cwd)
    assert code == 0
    assert re.search(r"Deleted saved_models/digits_quick: \d.*B\.", out)
    assert not paths.root.exists()


def test_list_and_show_print_bytes_and_environments(copy):
    cwd, paths = copy
    _, out, _ = cli("list", cwd=cwd)
    assert re.search(r"digits_quick +4 finished runs +\d+\.\d (kB|MB)", out)
    _, out, _ = cli("show", "digits_quick", cwd=cwd)
    assert re.search(r"On the disk: .*weights .*masks", out)
    assert "environments" not in out
    from tf_lottery.store.store import Store

    record = Store(paths).records()[0]
    record.environment["tensorflow"] = "2.18.1"
    Store(paths).finish(record)
    _, out, _ = cli("show", "digits_quick", cwd=cwd)
    assert "The runs come from 2 environments" in out
    assert "1 with tensorflow 2.18.1" in out
    code, _, err = cli("run", "digits_quick", *SMALL, "--strict-environment", cwd=cwd)
    assert code == 2
    assert "tensorflow 2.18.1, but here it is" in err
    assert err.count("\n") == 1


@pytest.mark.slow
def test_runs_that_fail_are_told_at_the_end(tmp_path):
    steps = "{like: fork, training: {optimizer: sgd, learning_rate: 1e30}}"
    wild = ["--set", f"arms={{ticket: {{}}, wild: {steps}}}"]
    code, out, _ = cli("run", "digits_quick", *SMALL, *wild, "--set", "pruning.rounds=1", cwd=tmp_path)
    assert code == 1
    assert re.search(r"wild replicate 0 round 1 failed: .*diverged", out)
    assert re.search(r"Failed: +1 of the runs .failed.json.*--retry-failed", out)
    _, out, _ = cli("show", "digits_quick", cwd=tmp_path)
    assert re.search(r"wild replicate 0 round 1 failed: .*diverged", out)


@pytest.mark.parametrize(
    "workers", [pytest.param("1", marks=pytest.mark.slow), pytest.param("2", marks=pytest.mark.exhaustive)]
)
def test_a_full_disk_is_one_line_and_the_command_goes_on_when_there_is_room(whole, tmp_path, workers):
    """A limit on the size of files, which weights reach and masks don't."""
    command = ["run", "digits_quick", *SMALL, "--workers", workers]
    script = (
        "import resource; from tf_lottery.__main__ import main\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, resource.RLIM_INFINITY))\n"
        "main()"
    )
    code, _, err = fresh.run(*command, script=script, cwd=tmp_path)
    assert code == 2
    assert err.count("\n") == 1
    assert re.search(r"Error: .*npz can't be written \(File too large\). Make room", err)
    assert not list(tmp_path.rglob(".*.npz.*"))
    assert fresh.run(*command, module="tf_lottery", cwd=tmp_path)[0] == 0
    assert results(tmp_path / "saved_models/digits_quick") == results(whole / "saved_models/digits_quick")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--workers", "0"], "at least one worker. Received: 0"),
        (["--shard", "3/2"], "--shard i/n.*'3/2'"),
        (["--shard", "2/2"], "up to 1, the number of the study's replicates. Received: 2/2"),
        (["--executor", "slurm"], "local or ray. Received: 'slurm'"),
        (["--address", "host:1"], "with --executor ray"),
        (["--set", "storage.checkpoint_every=0s"], "storage.checkpoint_every.*'0s'"),
        (["--set", "storage.keep=everything"], "storage.keep.*'everything'"),
    ],
)
def test_bad_options_are_one_line(options, said, tmp_path):
    code, out, err = cli("run", "digits_quick", *options, cwd=tmp_path)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert re.search(said, err), err
    assert not (tmp_path / "saved_models").exists()
