"""`sentences_small.json`: of each published file, the first 40 different sentences of either class."""

import hashlib
import io
import json
import stat
import sys
import tarfile
from pathlib import Path

import numpy as np
import pytest

from tf_lottery import paths
from tf_lottery.data import sentences
from tf_lottery.errors import LotteryError

SMALL = Path(__file__).parent / "sentences_small.json"
PUBLISHED = dict(sentences.SHA256)
CACHED = paths.data_cache() / "sentences"
UNLABELLED = {"text": "", "class": None}
FILES = {
    "amazon.json": [{"text": "Great phone!.", "class": 1}, {"text": "Don't buy.", "class": 0}, UNLABELLED],
    "imdb.json": [{"text": "A clich\x85 of a caf\u00e9.  ", "class": 0}, UNLABELLED],
    "yelp.json": [{"text": "I love this place.", "class": 1}, UNLABELLED],
}
TEXTS = ["Great phone!.", "Don't buy.", "A clich\x85 of a caf\u00e9.  ", "I love this place."]
CONTENT = {name: json.dumps(rows).encode() for name, rows in FILES.items()}
PACK = """
assert sys.argv[1:3] == ["pack", "sentiment@5.0.2"]
shutil.copy({archive!r}, ".")
"""


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """Nothing cached, no npm; a few sentences are 'the published content'."""
    tiny = {name: hashlib.sha256(content).hexdigest() for name, content in CONTENT.items()}
    monkeypatch.setattr(sentences, "SHA256", tiny)
    monkeypatch.setenv("TF_LOTTERY_DATA", str(tmp_path / "cache"))
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    return tmp_path / "cache" / "sentences"


@pytest.fixture
def npm(tmp_path):
    """Put a client called npm on the path that packs these files."""

    def install(**changes):
        archive = tmp_path / "sentiment-5.0.2.tgz"
        with tarfile.open(archive, "w:gz") as packed:
            for name, content in (CONTENT | changes).items():
                member = tarfile.TarInfo(f"package/test/fixtures/{name}")
                member.size = len(content)
                packed.addfile(member, io.BytesIO(content))
        client = tmp_path / "bin" / "npm"
        client.parent.mkdir()
        client.write_text(f"#!{sys.executable}\nimport shutil, sys\n{PACK.format(archive=str(archive))}")
        client.chmod(client.stat().st_mode | stat.S_IXUSR)
        return client

    return install


def write(directory):
    directory.mkdir(parents=True)
    for name, content in CONTENT.items():
        (directory / name).write_bytes(content)


def refused(path=None):
    with pytest.raises(
        LotteryError, match="^Expected .* Received: |can't be fetched|differs from the published file"
    ) as refusal:
        sentences.load_sentences(path)
    assert "\n" not in str(refusal.value)
    return str(refusal.value)


def test_sentences_come_file_by_file_as_written_without_the_unlabelled(npm):
    npm()
    texts, labels = sentences.load_sentences()
    assert texts == TEXTS
    assert labels.tolist() == [1, 0, 0, 1]
    assert labels.dtype == np.int32


def test_what_was_fetched_is_kept_byte_for_byte_and_npm_isnt_asked_again(npm, cache):
    client = npm()
    first, _ = sentences.load_sentences()
    assert {path.name: path.read_bytes() for path in cache.iterdir()} == CONTENT
    client.unlink()
    assert sentences.load_sentences()[0] == first
    assert sentences.published() == cache


def test_a_file_that_was_not_kept_is_fetched_again(npm, cache):
    write(cache)
    (cache / "imdb.json").unlink()
    npm()
    assert sentences.load_sentences()[0] == TEXTS


def test_a_damaged_cache_is_named(cache):
    write(cache)
    (cache / "imdb.json").write_bytes(CONTENT["imdb.json"][:-1])
    message = refused()
    assert f"{cache / 'imdb.json'} differs from the published file" in message
    assert "Delete it" in message


def test_what_only_looks_like_it_is_refused_and_not_kept(npm, cache, monkeypatch):
    monkeypatch.setattr(sentences, "SHA256", PUBLISHED)
    npm()
    assert "sentiment@5.0.2: amazon.json isn't the published content" in refused()
    assert not cache.exists()


def test_without_npm_the_error_says_so():
    assert "the npm package sentiment@5.0.2: npm isn't on the path" in refused()


def test_a_file_or_a_directory_of_ones_own_is_read(tmp_path):
    write(tmp_path / "mine")
    assert sentences.load_sentences(tmp_path / "mine")[0] == TEXTS
    texts, labels = sentences.load_sentences(str(tmp_path / "mine" / "amazon.json"))
    assert (texts, labels.tolist()) == (TEXTS[:2], [1, 0])


@pytest.mark.parametrize(
    "content",
    [
        "",
        "junk",
        "3",
        "{}",
        "[]",
        '["a"]',
        '[{"text": "a"}]',
        '[{"text": 1, "class": 1}]',
        '[{"text": "a", "class": 2}]',
        '[{"text": "a", "class": "1"}]',
        json.dumps([UNLABELLED]),
        "[" * 99999,
    ],
    ids=lambda content: content[:30] or "empty",
)
def test_another_file_is_refused_by_name(tmp_path, content):
    path = tmp_path / "mine.json"
    path.write_text(content)
    assert str(path) in refused(path)


def test_a_missing_file_and_an_empty_directory_are_refused(tmp_path):
    assert str(tmp_path / "none.json") in refused(tmp_path / "none.json")
    assert str(tmp_path) in refused(tmp_path)


def test_a_vocabulary_is_the_most_frequent_words_after_padding_and_the_unknown():
    words = sentences.vocabulary(["The cat, the DOG!", "the cat's cat", "A dog? the cat."], 5)
    assert words == ["", "[UNK]", "the", "cat", "dog"]
    assert sentences.vocabulary(["a b"], 100)[:2] == words[:2]
    assert len(sentences.vocabulary(["a b"], 100)) == 4


def test_words_become_their_places_cut_or_filled_up():
    words = ["", "[UNK]", "the", "cat", "dog"]
    found = sentences.encode(["The dog, the whale; the CAT...", "Cat", "?!"], words, 4)
    assert found.tolist() == [[2, 4, 2, 1], [3, 0, 0, 0], [0, 0, 0, 0]]
    assert found.dtype == np.int32


def test_the_same_texts_give_the_same_numbers_whatever_their_order():
    texts, _ = sentences.load_sentences(SMALL)
    words = sentences.vocabulary(texts, 300)
    assert sentences.vocabulary(texts[::-1], 300) == words
    rows = sentences.encode(texts, json.loads(json.dumps(words)), 24)
    assert np.array_equal(sentences.encode(texts[::-1], words, 24)[::-1], rows)
    assert rows.max() == len(words) - 1 == 299
    assert (rows[:, 0] > 0).all()  # no sentence is empty: a mask leaves something to average


def test_the_small_set_is_balanced():
    texts, labels = sentences.load_sentences(SMALL)
    assert len(set(texts)) == 240
    assert labels.reshape(3, 80).sum(axis=1).tolist() == [40, 40, 40]


def test_the_published_sentences(monkeypatch):
    if not all((CACHED / name).exists() for name in PUBLISHED):
        pytest.skip(f"the sentences aren't in {CACHED}; `tf-lottery data sentences` fetches them")
    monkeypatch.setattr(sentences, "SHA256", PUBLISHED)
    monkeypatch.setenv("TF_LOTTERY_DATA", str(CACHED.parent))
    texts, labels = sentences.load_sentences()
    assert len(texts) == 3000
    assert labels.reshape(3, 1000).sum(axis=1).tolist() == [500, 500, 500]
    assert texts[1000].startswith("A very, very, very slow-moving")
    where = {(text, label): place for place, (text, label) in enumerate(zip(texts, labels, strict=True))}
    small = [where[pair] // 1000 for pair in zip(*sentences.load_sentences(SMALL), strict=True)]
    assert np.bincount(small).tolist() == [80, 80, 80]
