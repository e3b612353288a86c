"""The directory of a `LotteryTuner`: what is tuned, what was proposed, and a directory for each candidate."""

import contextlib
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from tf_lottery import atomic
from tf_lottery.config_training import Strict
from tf_lottery.errors import StudyError
from tf_lottery.lock import held
from tf_lottery.search.directory import FILE

_OURS = re.compile(r"tuning\.json|candidates\.json|candidate_\d{3,}|\.lock")
_RANGES = "ranges"


class Proposed(Strict):
    """A candidate that was proposed.

    Attributes:
        values: Name -> value, as the oracle proposed them.
        failure: Why its search failed; None if it didn't, or isn't finished.
        space: What it had asked `hp` for when it failed: its functions aren't called again.
    """

    values: dict[str, Any]
    failure: str | None = None
    space: list[Any] | None = None


class SearchFiles:
    """The directory of a tuning.

    Args:
        root: The directory.

    Attributes:
        proposed: The candidates that were proposed so far, by an earlier process or this one.
    """

    def __init__(self, root: Path):
        self.root, self.proposed = root, list[Proposed]()

    def candidate(self, number: int) -> Path:
        """Return the directory of a candidate's search."""
        return self.root / f"candidate_{number:03}"

    @contextlib.contextmanager
    def held(self, described: dict[str, Any], space: list[Any]) -> Iterator[None]:
        """Hold the directory, and make it or check that it holds this tuning.

        Args:
            described: The settings of the tuning that decide what is proposed.
            space: What `hp` is asked for by default.

        Raises:
            StudyError: If it holds something else, another process holds it, or it can't be written.
        """
        self._check_names()
        with held(self.root / ".lock") as acquired:
            if not acquired:
                raise StudyError(f"{self.root} is in use by another tuning. Stop that tuning first.")
            content = json.loads(json.dumps({**described, _RANGES: space}))
            if any(self.root.glob(f"candidate_*/{FILE}")):  # otherwise nothing is trained yet
                self._check_same(content)
                self.proposed = self._read()
            else:
                self.proposed = []
                self._write()
            atomic.write_json(self.root / "tuning.json", content)
            yield

    def propose(self, number: int, values: dict[str, Any]) -> Proposed:
        """Write down a candidate's values, unless an earlier process has; return what counts."""
        if number == len(self.proposed):
            self.proposed.append(Proposed(values=values))
            self._write()
        return self.proposed[number]

    def fail(self, number: int, failure: str, hyperparameters: dict[str, Any]) -> None:
        """Write down that a candidate has failed.

        Args:
            number: Its number.
            failure: The reason.
            hyperparameters: The configuration of its hyperparameters.
        """
        self.proposed[number] = Proposed(failure=failure, **hyperparameters)
        self._write()

    def _check_names(self) -> None:
        names = [path.name for path in self.root.iterdir()] if self.root.is_dir() else []
        others = [name for name in names if not _OURS.fullmatch(name) and not self._is_left(name)]
        if others:
            raise StudyError(
                f"{self.root} isn't a LotteryTuner's directory: it holds {', '.join(sorted(others)[:3])}. "
                "Use a new or empty directory, or that of this tuning."
            )

    def _is_left(self, name: str) -> bool:
        return atomic.is_temporary(self.root / name)

    def _check_same(self, content: dict[str, Any]) -> None:
        before = self._load("tuning.json")
        if not isinstance(before, dict):
            raise self._damaged("tuning.json")
        if differing := [key for key in content | before if content.get(key) != before.get(key)]:
            raise StudyError(
                f"{self.root} holds another tuning, which differs in {', '.join(differing)}. Use another "
                "directory."
            )

    def _read(self) -> list[Proposed]:
        try:
            return TypeAdapter(list[Proposed]).validate_python(self._load("candidates.json"))
        except ValidationError as error:
            raise self._damaged("candidates.json") from error

    def _load(self, name: str) -> Any:
        try:
            return json.loads((self.root / name).read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise self._damaged(name) from error

    def _damaged(self, name: str) -> StudyError:
        return StudyError(f"{self.root / name} is missing or damaged. Restore it, or use another directory.")

    def _write(self) -> None:
        entries = [each.model_dump(exclude_none=True) for each in self.proposed]
        atomic.write_json(self.root / "candidates.json", entries)
