"""Starting a study's directory, resuming it, and reading the study that it holds."""

import hashlib
from pathlib import Path
from typing import Any

from tf_lottery import arrays, atomic, config_file
from tf_lottery.config import DataConfig, StudyConfig
from tf_lottery.data import sources
from tf_lottery.errors import LotteryError
from tf_lottery.method.check import check_arms
from tf_lottery.paths import StudyPaths

_SEAL = "# What this study is, written by tf_lottery. sha256 of what follows: "


def prepare(study: StudyConfig, paths: StudyPaths, make: bool = True) -> StudyConfig:
    """Make the study's directory and return the study with its data's digest filled in.

    Args:
        study: The study to start or resume there.
        paths: The paths of the study.
        make: Whether to make the directory. If not, nothing is written.

    Raises:
        LotteryError: If the study names an unknown criterion, arm or data set, or the
            directory holds another study or can't be written.
    """
    check_arms(study)
    if make:
        atomic.make_directory(paths.root)
    present = [path.name for path in paths.root.iterdir()] if paths.root.is_dir() else []
    if paths.study.exists():
        study = _resume(study, paths)
    elif others := [name for name in present if not paths.is_ours(name)]:
        raise LotteryError(
            f"{paths.root} isn't a study's directory: it holds {', '.join(sorted(others)[:3])}. "
            "Use --output for another one."
        )
    return _with_digest(study)


def follow(study: StudyConfig, paths: StudyPaths) -> StudyConfig:
    """Return what `prepare` returns, in a worker that isn't the chief: nothing is made or written."""
    check_arms(study)
    if paths.study.exists():  # refuse what the chief refuses
        study = _resume(study, paths)
    return _with_digest(study)


def _with_digest(study: StudyConfig) -> StudyConfig:
    study = study.with_digests(_digest)
    if study.pretrain is None or study.pretrain.file is None:
        return study
    path = Path(study.pretrain.file)
    if not path.is_file():
        raise LotteryError(f"Expected pretrain.file as a file. Received: {path}, which doesn't exist")
    digest = arrays.file_digest(path)
    if study.pretrain.digest not in (None, digest):
        raise LotteryError(
            f"{path} isn't the file that the study was started with. Restore it, or use another --output."
        )
    return study.model_copy(update={"pretrain": study.pretrain.model_copy(update={"digest": digest})})


def _digest(data: DataConfig) -> str:
    if data.digest and data.name not in sources.OWN:  # the process that trains checks it
        return data.digest
    return sources.load(data).digest


def _resume(study: StudyConfig, paths: StudyPaths) -> StudyConfig:
    """Return the study with the digest of the data of its finished runs, and with their engine."""
    present = load(paths)
    if present.data.digest is None:
        raise LotteryError(
            f"{paths.study} is a config of your own, which the study would overwrite. "
            "Use --output for another directory."
        )
    if not any(paths.runs.glob("[!.]*/record.json")):
        return study
    if (present.training.engine, study.training.engine) == ("dense", "auto"):  # shipped configs had no engine
        study = study.model_copy(update={"training": study.training.model_copy(update={"engine": "dense"})})
    if not present.same_runs_as(study):
        raise LotteryError(
            f"{paths.root} holds another study, which differs in {', '.join(_differences(present, study))}. "
            "Use --output for a study of its own."
        )
    digest = study.data.digest or present.data.digest
    changed: dict[str, Any] = {"data": study.data.model_copy(update={"digest": digest})}
    if study.pretrain is not None and study.pretrain.file:
        digest = study.pretrain.digest or present.pretrain.digest
        changed["pretrain"] = study.pretrain.model_copy(update={"digest": digest})
    return study.model_copy(update=changed)


def written(study: StudyConfig) -> str:
    """Return the text of a study's own file: YAML, with a digest in its first line."""
    text = config_file.dump(study)
    return f"{_SEAL}{hashlib.sha256(text.encode()).hexdigest()}\n{text}"


def is_sealed(paths: StudyPaths) -> bool:
    """Return whether tf_lottery wrote a directory's study file, and it passes its checksum."""
    try:
        first, _, text = paths.study.read_bytes().decode("utf-8").partition("\n")
        return first == _SEAL + hashlib.sha256(text.encode()).hexdigest()
    except (OSError, UnicodeDecodeError):
        return False


def load(paths: StudyPaths) -> StudyConfig:
    """Return the study that a directory holds.

    Raises:
        LotteryError: If there is none, or its file is damaged.
    """
    if not paths.study.exists():
        raise LotteryError(f"{paths.root} isn't a study's directory: it has no {paths.study.name}.")
    try:
        study = config_file.load_config(paths.study)
        first, _, text = paths.study.read_text(encoding="utf-8").partition("\n")
        if first.startswith("#") and first != _SEAL + hashlib.sha256(text.encode()).hexdigest():
            raise LotteryError(f"{paths.study} fails its checksum.")
    except (LotteryError, OSError, UnicodeDecodeError) as error:
        raise LotteryError(
            f"The study's own file is damaged: {error} Restore it, or delete it and run the study's config "
            "again; finished runs are kept."
        ) from error
    return study


def _differences(first: StudyConfig, second: StudyConfig) -> list[str]:
    def flat(value, prefix=""):
        for key, inner in value.items():
            if isinstance(inner, dict):
                yield from flat(inner, f"{prefix}{key}.")
            else:
                yield prefix + key, inner

    before, after = dict(flat(first.determinants())), dict(flat(second.determinants()))
    return [key for key in before | after if before.get(key) != after.get(key)]
