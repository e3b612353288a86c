import hashlib
import socket
import stat
import sys
from types import SimpleNamespace

import numpy as np
import pytest

from tf_lottery import arrays
from tf_lottery.data import fetch
from tf_lottery.data.fetch import SourceFailed
from tf_lottery.errors import LotteryError

RIGHT = {
    "x_train": np.arange(12, dtype=np.uint8).reshape(3, 2, 2),
    "y_train": np.array([0, 1, 0], np.uint8),
    "x_test": np.arange(8, dtype=np.uint8).reshape(2, 2, 2),
    "y_test": np.array([1, 0], np.uint8),
}
WRONG = RIGHT | {"y_test": np.array([1, 1], np.uint8)}
SHA256 = {name: hashlib.sha256(fetch.to_idx(array)).hexdigest() for name, array in RIGHT.items()}


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("TF_LOTTERY_DATA", str(tmp_path / "cache"))
    return tmp_path / "cache" / "shapes.npz"


def verify(fetched):
    fetch.verify_idx(fetched, SHA256)


class Source:
    """Gives arrays, or fails with a reason; counts how often it was asked."""

    def __init__(self, gives):
        self.gives, self.asked = gives, 0

    def __call__(self):
        self.asked += 1
        if isinstance(self.gives, str):
            raise SourceFailed(self.gives)
        return self.gives


def fetch_from(*gives):
    sources = [Source(given) for given in gives]
    named = {f"source {number}": source for number, source in enumerate(sources, 1)}
    return fetch.fetch("shapes", verify, named), [source.asked for source in sources]


def is_right(examples):
    return all(np.array_equal(getattr(examples, name), array) for name, array in RIGHT.items())


def test_the_first_source_that_works_is_the_last_asked(cache):
    examples, asked = fetch_from(RIGHT, RIGHT)
    assert is_right(examples)
    assert asked == [1, 0]
    assert examples.source == f"source 1; kept in {cache}"


def test_a_source_that_fails_or_gives_other_contents_falls_to_the_next():
    examples, asked = fetch_from("no network", WRONG, RIGHT)
    assert is_right(examples)
    assert asked == [1, 1, 1]
    assert examples.source.startswith("source 3")


def test_where_nothing_works_one_error_names_every_source_and_the_way_on(cache):
    with pytest.raises(LotteryError) as refusal:
        fetch_from("no network", WRONG, "no client")
    message = str(refusal.value)
    assert "source 1: no network; source 2: y_test isn't the published content" in message
    assert "source 3: no client" in message
    assert "--set data.name=digits" in message
    assert "\n" not in message
    assert not cache.exists()


def test_what_was_fetched_is_kept_and_nobody_is_asked_again(cache):
    fetch_from(RIGHT)
    assert [entry.name for entry in cache.parent.iterdir()] == ["shapes.npz"]
    examples, asked = fetch_from(RIGHT)
    assert is_right(examples)
    assert asked == [0]
    assert str(cache) in examples.source


def test_the_cache_is_written_whole_or_not_at_all(cache, monkeypatch):
    def fails_halfway(file, **named):
        file.write(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "savez_compressed", fails_halfway)
    with pytest.raises(LotteryError, match="No space left"):
        fetch_from(RIGHT)
    assert list(cache.parent.iterdir()) == []


@pytest.mark.parametrize("damage", ["truncated", "junk", "other contents", "empty", "flipped bit"])
def test_a_damaged_cache_is_named_and_nothing_is_fetched(cache, damage):
    fetch_from(RIGHT)
    whole = cache.read_bytes()
    if damage == "other contents":
        arrays.save(cache, WRONG)
    else:
        flipped = bytearray(whole)
        flipped[70] ^= 4  # in the first compressed array
        contents = {"truncated": whole[:-40], "junk": b"junk", "empty": b"", "flipped bit": bytes(flipped)}
        cache.write_bytes(contents[damage])
    source = Source(RIGHT)
    with pytest.raises(LotteryError, match=r"damaged file\. Delete it") as refusal:
        fetch.fetch("shapes", verify, {"source": source})
    assert str(cache) in str(refusal.value)
    assert source.asked == 0


def test_an_array_missing_from_the_cache_is_damage(cache):
    arrays.save(cache, {"x_train": RIGHT["x_train"]})
    with pytest.raises(LotteryError, match="damaged"):
        fetch_from(RIGHT)


def test_idx_is_written_and_read():
    for array in RIGHT.values():
        assert np.array_equal(fetch.from_idx(fetch.to_idx(array)), array)
    assert fetch.to_idx(RIGHT["y_train"]) == bytes([0, 0, 8, 1, 0, 0, 0, 3, 0, 1, 0])


@pytest.mark.parametrize(
    "other",
    [
        {"x_train": RIGHT["x_train"].reshape(3, 4)},
        {"x_train": RIGHT["x_train"].astype(np.int64)},
        {"x_train": RIGHT["x_train"][::-1]},
        {"y_test": None},
    ],
    ids=["shape", "type", "order", "missing"],
)
def test_verification_refuses_another(other):
    fetched = {name: array for name, array in (RIGHT | other).items() if array is not None}
    with pytest.raises(SourceFailed, match=next(iter(other))):
        verify(fetched)


def test_the_keras_cache_is_read_where_keras_home_says(tmp_path, monkeypatch):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    path = tmp_path / "datasets" / "mnist.npz"
    with pytest.raises(SourceFailed, match=r"no .*mnist\.npz"):
        fetch.keras_cache("mnist.npz")
    arrays.save(path, RIGHT)
    assert np.array_equal(fetch.keras_cache("mnist.npz")["x_test"], RIGHT["x_test"])
    path.write_bytes(b"junk")
    with pytest.raises(SourceFailed, match="damaged"):
        fetch.keras_cache("mnist.npz")


def fake_keras(monkeypatch, load_data):
    datasets = SimpleNamespace(shapes=SimpleNamespace(load_data=load_data))
    monkeypatch.setitem(sys.modules, "keras", SimpleNamespace(datasets=datasets))


def test_the_download_of_keras_is_taken_under_a_short_time_out_and_silently(monkeypatch, capfd):
    timeouts = []

    def load_data():
        timeouts.append(socket.getdefaulttimeout())
        print("Downloading data from afar")
        return (RIGHT["x_train"], RIGHT["y_train"]), (RIGHT["x_test"], RIGHT["y_test"])

    fake_keras(monkeypatch, load_data)
    found = fetch.keras_download("shapes")
    assert all(np.array_equal(found[name], array) for name, array in RIGHT.items())
    assert timeouts == [fetch.DOWNLOAD_TIMEOUT_SECONDS]
    assert socket.getdefaulttimeout() is None
    assert capfd.readouterr().out == ""


@pytest.mark.parametrize(
    ("error", "reason"), [(OSError("URL fetch\nfailure"), "URL fetch failure"), (ValueError(), "ValueError")]
)
def test_a_download_that_fails_says_why_in_one_line(monkeypatch, error, reason):
    def load_data():
        raise error

    fake_keras(monkeypatch, load_data)
    with pytest.raises(SourceFailed) as failure:
        fetch.keras_download("shapes")
    assert str(failure.value) == reason
    assert socket.getdefaulttimeout() is None


@pytest.fixture
def npm(tmp_path, monkeypatch):
    """Put a client called npm on the path that runs a few lines of Python."""

    def install(lines):
        client = tmp_path / "bin" / "npm"
        client.parent.mkdir()
        client.write_text(f"#!{sys.executable}\nimport io, sys, tarfile\n{lines}\n")
        client.chmod(client.stat().st_mode | stat.S_IXUSR)
        monkeypatch.setenv("PATH", str(client.parent))

    return install


PACK = """
assert sys.argv[1:3] == ["pack", "shapes@1.0.0"]
with tarfile.open("shapes-1.0.0.tgz", "w:gz") as archive:
    member = tarfile.TarInfo("package/data/file")
    member.size = 7
    archive.addfile(member, io.BytesIO(b"content"))
"""


def test_members_of_an_npm_package_are_read(npm):
    npm(PACK)
    assert fetch.npm_package("shapes@1.0.0", {"x": "package/data/file"}) == {"x": b"content"}


@pytest.mark.parametrize(
    ("lines", "reason"),
    [
        ("sys.exit('warning\\nno such package')", r"npm pack failed \(no such package\)"),
        ("sys.exit(1)", "no reason given"),
        ("", "npm pack failed"),
        (PACK, "contents aren't as expected"),
        ("open('shapes-1.0.0.tgz', 'w').write('junk')", "contents aren't as expected"),
    ],
    ids=["error", "silent error", "no package", "member missing", "junk"],
)
def test_an_npm_client_that_fails_says_why(npm, lines, reason):
    npm(lines)
    with pytest.raises(SourceFailed, match=reason):
        fetch.npm_package("shapes@1.0.0", {"x": "package/elsewhere"})


def test_an_npm_client_that_hangs_is_given_up(npm, monkeypatch):
    npm("import time; time.sleep(60)")
    monkeypatch.setattr(fetch, "NPM_TIMEOUT_SECONDS", 0.2)
    with pytest.raises(SourceFailed, match="no answer"):
        fetch.npm_package("shapes@1.0.0", {})


def test_a_missing_npm_client_is_a_reason(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SourceFailed, match="npm isn't on the path"):
        fetch.npm_package("shapes@1.0.0", {})
