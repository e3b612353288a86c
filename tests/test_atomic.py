import errno
import json

import pytest

from tf_lottery import atomic
from tf_lottery.errors import LotteryError


def fails_halfway(error):
    def writer(file):
        file.write(b"half of the n")
        raise error

    return writer


def test_a_file_is_created_with_its_directories(tmp_path):
    path = tmp_path / "a" / "b" / "file.txt"
    atomic.write_text(path, "ä\n")
    assert path.read_bytes() == "ä\n".encode()
    assert [entry.name for entry in path.parent.iterdir()] == ["file.txt"]


def test_a_file_is_replaced_whole(tmp_path):
    path = tmp_path / "file.txt"
    atomic.write_text(path, "something long")
    atomic.write_text(path, "short")
    assert path.read_text() == "short"


def test_a_reader_sees_the_old_content_until_all_is_written(tmp_path):
    path = tmp_path / "file.txt"
    atomic.write_text(path, "old")
    seen = []

    def writer(file):
        file.write(b"new")
        file.flush()
        seen.append(path.read_text())

    atomic.write(path, writer)
    assert seen == ["old"]
    assert path.read_text() == "new"


@pytest.mark.parametrize(
    ("error", "raised"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), LotteryError),
        (ValueError("not writable as JSON"), ValueError),
        (KeyboardInterrupt(), KeyboardInterrupt),
    ],
    ids=["disk full", "bug", "interrupt"],
)
def test_a_failing_writer_leaves_the_old_content_and_no_temporary(tmp_path, error, raised):
    path = tmp_path / "file.txt"
    atomic.write_text(path, "old")
    with pytest.raises(raised):
        atomic.write(path, fails_halfway(error))
    assert path.read_text() == "old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["file.txt"]


def test_a_full_disk_is_said_with_the_path(tmp_path):
    full = OSError(errno.ENOSPC, "No space left on device")
    with pytest.raises(LotteryError, match=r"file\.txt.*No space left on device"):
        atomic.write(tmp_path / "file.txt", fails_halfway(full))


@pytest.mark.parametrize("deeper", ["file.txt", "a/file.txt"])
def test_a_path_below_a_regular_file_is_refused(tmp_path, deeper):
    (tmp_path / "plain").write_text("not a directory")
    with pytest.raises(LotteryError, match="Choose another one"):
        atomic.write_text(tmp_path / "plain" / deeper, "text")
    assert (tmp_path / "plain").read_text() == "not a directory"


def test_a_directory_in_the_place_of_the_file_is_refused_and_kept(tmp_path):
    (tmp_path / "taken" / "inside").mkdir(parents=True)
    with pytest.raises(LotteryError, match="taken"):
        atomic.write_text(tmp_path / "taken", "text")
    assert [entry.name for entry in tmp_path.iterdir()] == ["taken"]
    assert (tmp_path / "taken" / "inside").is_dir()


def test_make_directory_returns_it_and_accepts_one_that_is_there(tmp_path):
    path = tmp_path / "a" / "b"
    assert atomic.make_directory(path) == path
    assert atomic.make_directory(path).is_dir()


def test_json_is_read_back(tmp_path):
    atomic.write_json(tmp_path / "a.json", {"density": 0.036, "rounds": [0, 1]})
    assert json.loads((tmp_path / "a.json").read_text()) == {"density": 0.036, "rounds": [0, 1]}


def test_json_with_nan_is_refused_before_anything_is_written(tmp_path):
    with pytest.raises(ValueError, match="JSON"):
        atomic.write_json(tmp_path / "a.json", {"loss": float("nan")})
    assert list(tmp_path.iterdir()) == []
