"""What a tuning is and what was proposed, on the disk: how it goes on, and how several processes share it."""

import hashlib
import json
from pathlib import Path
from typing import Any

import yaml
from pydantic import ConfigDict, ValidationError

from tf_lottery import atomic, config_file
from tf_lottery.config_training import Strict
from tf_lottery.config_tune import Tuning, load_tuning
from tf_lottery.errors import LotteryError
from tf_lottery.lock import held
from tf_lottery.store.study_file import follow
from tf_lottery.tuning.candidate import make_candidate
from tf_lottery.tuning.paths import TuningPaths

_SEAL = "# What this tuning is, written by tf_lottery. sha256 of what follows: "
_FREE = {"candidates", "budget", "confirm", "finalists", "margin"}
"""Settings of a tuning that may be changed when it goes on."""


class Asked(Strict):
    """One candidate that was proposed."""

    model_config = ConfigDict(strict=False)

    number: int
    values: dict[str, Any]
    share: float = 1.0


def open_tuning(tuning: Tuning, paths: TuningPaths) -> Tuning:
    """Make a tuning's directory, or check that it holds the same one; fill in the digest of its data.

    Raises:
        LotteryError: If the directory holds something else, or can't be written.
    """
    atomic.make_directory(paths.root)
    present = [path.name for path in paths.root.iterdir()]
    study = tuning.study
    if paths.tuning.exists():
        before = load_tuning(_checked(paths.tuning))
        digest = study.data.digest or before.study.data.digest
        study = study.model_copy(update={"data": study.data.model_copy(update={"digest": digest})})
        if differing := _differences(before, Tuning(study, tuning.tune)):
            raise LotteryError(
                f"{paths.root} holds another tuning, which differs in {', '.join(differing)}. Use --output "
                "for a tuning of its own."
            )
    elif others := [name for name in present if not paths.is_ours(name)]:
        raise LotteryError(
            f"{paths.root} isn't a tuning's directory: it holds {', '.join(sorted(others)[:3])}. Use "
            "--output for another one."
        )
    own = follow(make_candidate(Tuning(study, tuning.tune), 0, {}).study, paths)
    tuning = Tuning(study.model_copy(update={"data": own.data, "pretrain": own.pretrain}), tuning.tune)
    text = config_file.dump(tuning.study) + yaml.safe_dump(
        {"tune": tuning.tune.model_dump(mode="json")}, sort_keys=False
    )
    atomic.write_text(paths.tuning, f"{_SEAL}{hashlib.sha256(text.encode()).hexdigest()}\n{text}")
    return tuning


def _checked(path: Path) -> Path:
    first, _, text = path.read_text(encoding="utf-8", errors="replace").partition("\n")
    if not first.startswith(_SEAL):
        raise LotteryError(
            f"{path} is a config of your own, which the tuning would overwrite. Use --output for another "
            "directory."
        )
    if first != _SEAL + hashlib.sha256(text.encode()).hexdigest():
        raise LotteryError(
            f"{path} is damaged, or was changed: it fails its checksum. Restore it, or delete it and repeat "
            "the command; finished runs are kept."
        )
    return path


def _differences(before: Tuning, after: Tuning) -> list[str]:
    def flat(value: dict[str, Any], prefix: str = "") -> dict[str, Any]:
        found = {}
        for key, inner in value.items():
            found |= flat(inner, f"{prefix}{key}.") if isinstance(inner, dict) else {prefix + key: inner}
        return found

    def settings(tuning: Tuning) -> dict[str, Any]:
        own = make_candidate(tuning, 0, {}).study
        study = flat(own.determinants()) | {"replicates": own.replicates}
        study |= flat(own.model_dump(mode="json", include={"arms"}))
        return study | flat(tuning.tune.model_dump(mode="json", exclude=_FREE), "tune.")

    first, second = settings(before), settings(after)
    return [key for key in first | second if first.get(key) != second.get(key)]


def asked(paths: TuningPaths) -> list[list[Asked]]:
    """Return the candidates that were proposed, by batches.

    Raises:
        LotteryError: If the file is damaged.
    """
    if not paths.asked.exists():
        return []
    try:
        batches = json.loads(paths.asked.read_text(encoding="utf-8"))
        return [[Asked.model_validate(each) for each in batch] for batch in batches]
    except (OSError, ValueError, TypeError, ValidationError) as error:
        raise LotteryError(
            f"{paths.asked} is damaged. Delete it and repeat the command: the same candidates are proposed "
            "again, and finished runs are kept."
        ) from error


def agree(paths: TuningPaths, number: int, batch: list[Asked]) -> list[Asked]:
    """Write down a batch that was proposed, unless another process has; return the one that counts.

    Args:
        paths: The tuning's files.
        number: The batch's number.
        batch: The batch as this process would have it.
    """
    with held(paths.lock, patience=60) as acquired:
        if not acquired:
            raise LotteryError(f"{paths.lock} is held by another process. Stop that process first.")
        before = asked(paths)
        if number < len(before):
            return before[number]
        atomic.write_json(paths.asked, [[each.model_dump() for each in b] for b in (*before, batch)])
    return batch
