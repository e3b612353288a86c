"""One flipped byte in each kind of file: named, set aside, made again to the same bits; the rest stays."""

import re
import shutil

import pytest

from tests.drivers.test_run_study import results, study
from tests.runs.test_resume import Interrupted
from tf_lottery.cli import study_run
from tf_lottery.drivers.run_study import run_study
from tf_lottery.errors import DamagedError, LotteryError
from tf_lottery.paths import StudyPaths
from tf_lottery.runs.observe import StudyObserver
from tf_lottery.store.store import Store

SMALL = {"pruning__rounds": 2, "arms": {"ticket": {}, "random_reinit": {"rounds": [2]}}}


class Notes(StudyObserver):
    def __init__(self):
        self.notes, self.trained = [], []

    def noted(self, text):
        self.notes.append(text)

    def finished(self, record):
        self.trained.append(record.key)


def flip(path):
    """One byte in the middle."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0x10
    path.write_bytes(content)


def times(directory):
    return {path: path.stat().st_mtime_ns for path in directory.glob("runs/**/*") if path.is_file()}


@pytest.fixture(scope="module")
def begun(tmp_path_factory):
    """A study after one round, and what it comes to after two."""
    root = tmp_path_factory.mktemp("begun")
    one = run_study(study(pruning__rounds=1, arms={"ticket": {}}), root / "one" / "study")
    run_study(study(**SMALL), root / "two" / "study")
    return root, one


@pytest.mark.parametrize("file", ["record.json", "masks.npz", "weights_last.npz", "rewind/0it.npz"])
def test_what_a_further_round_uses_is_checked(begun, tmp_path, file):
    root, (dense, ticket) = begun
    shutil.copytree(root / "one", tmp_path / "one")
    directory = tmp_path / "one" / "study"
    damaged, other = (dense, ticket) if file.startswith("rewind") else (ticket, dense)
    paths = StudyPaths(directory)
    flip(paths.run(damaged.key).root / file)
    before, notes = times(directory), Notes()
    run_study(study(**SMALL), directory, observer=notes)
    (note,) = notes.notes
    assert str(paths.run(damaged.key).root / file) in note
    assert "Set aside as" in note
    assert notes.trained.count(damaged.key) == 1
    assert other.key not in notes.trained
    assert (paths.damaged / f"{damaged.key[:16]}-1" / file).exists()
    after = times(directory)
    kept = [path for path in before if path.parts[-2] == other.key[:16]]
    assert kept
    assert all(after[path] == before[path] for path in kept)
    assert results(directory) == results(root / "two" / "study")


def test_a_damaged_checkpoint_is_named_and_the_run_starts_again(tmp_path):
    settings = {"training": {"steps": "600it", "evaluate_every": "250it", "xla": False}, "pruning__rounds": 0}
    run_study(study(**settings), tmp_path / "whole" / "study")
    directory, notes = tmp_path / "damaged" / "study", Notes()
    often = study(**settings, storage={"checkpoint_every": "100it"})
    with pytest.raises(KeyboardInterrupt):
        run_study(often, directory, observer=Interrupted([450]))
    (checkpoint,) = directory.glob("runs/*/checkpoint.npz")
    flip(checkpoint)
    run_study(often, directory, observer=notes)
    (note,) = notes.notes
    assert str(checkpoint) in note
    assert "trained from its start" in note
    assert len(list(StudyPaths(directory).damaged.iterdir())) == 1
    assert results(directory) == results(tmp_path / "whole" / "study")


@pytest.mark.parametrize("file", ["masks.npz", "weights_early_stop.npz", "rewind/0it.npz", "curves.json"])
def test_what_the_report_uses_is_checked(begun, tmp_path, file, capsys):
    root, _ = begun
    shutil.copytree(root / "two", tmp_path / "two")
    directory = tmp_path / "two" / "study"
    paths, config = StudyPaths(directory), study(**SMALL, tolerance=1.0)
    study_run.run_and_report(config, directory)
    ticket = paths.ticket.read_bytes()
    winner = next(record for record in run_study(config, directory) if record.spec.round == 2)
    damaged = winner.spec.root if file.startswith("rewind") else winner.key
    flip(paths.run(damaged).root / file)
    shutil.rmtree(paths.tensorboard)  # written again, from the curves
    capsys.readouterr()
    assert study_run.run_and_report(config, directory) == 0
    out = capsys.readouterr().out
    assert str(paths.run(damaged).root / file) in out
    assert "Trained 1 runs" in out
    assert len(list(paths.damaged.iterdir())) == 1
    assert results(directory) == results(root / "two" / "study")
    assert paths.ticket.read_bytes() == ticket


def test_every_file_of_a_run_is_verified(begun, tmp_path):
    root, _ = begun
    shutil.copytree(root / "two", tmp_path / "two")
    store = Store(StudyPaths(tmp_path / "two" / "study"))
    records = store.records()
    assert [error for record in records for error in store.damaged(record)] == []
    for record in records:
        for name in record.digests:
            path = store.paths.run(record.key).artefact(name)
            content = path.read_bytes()
            flip(path)
            (error,) = store.damaged(record)
            assert (error.key, error.path) == (record.key, path)
            assert str(path) in str(error)
            path.write_bytes(content)
    assert {name for record in records for name in record.digests} == {
        *("masks", "weights_last", "weights_early_stop", "curves", "rewind/0it")
    }


def test_only_what_is_still_damaged_is_set_aside(begun, tmp_path):
    root, (dense, _) = begun
    shutil.copytree(root / "one", tmp_path / "one")
    store = Store(StudyPaths(tmp_path / "one" / "study"))
    path = store.paths.run(dense.key).masks
    error = DamagedError("damaged", dense.key, path)
    assert store.set_aside(error) is None, "another process has made it again"
    flip(path)
    with store.claim(dense.key):
        assert Store(store.paths).set_aside(error) is None, "another process is making it again"
    assert store.set_aside(error) == store.paths.damaged / f"{dense.key[:16]}-1"
    assert store.set_aside(error) is None


def test_a_damaged_study_file_is_named_and_refused(begun, tmp_path):
    root, _ = begun
    shutil.copytree(root / "one", tmp_path / "one")
    paths = StudyPaths(tmp_path / "one" / "study")
    text = paths.study.read_text()
    before = times(paths.root)
    for changed in ("rounds: [1", "rounds: 7"):
        paths.study.write_text(text.replace("rounds: 1", changed))
        with pytest.raises(LotteryError, match=f"damaged.*{re.escape(str(paths.study))}"):
            run_study(study(**SMALL), paths.root)
    assert times(paths.root) == before
    paths.study.unlink()
    notes = Notes()
    run_study(study(pruning__rounds=1, arms={"ticket": {}}), paths.root, observer=notes)
    assert notes.trained == []
