"""How an attempt at a run ended."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from tf_lottery.errors import DamagedError


@dataclass(frozen=True)
class Outcome:
    """How an attempt ended.

    Attributes:
        key: The run's key.
        kind: `finished`; `busy` (another process trains it); `failed` (and not to be retried); `damaged` (a
            file of an earlier run, `damaged_key`, is); `lost` (the process that trained it is gone); `ended`
            (the study can't go on).
        detail: The reason, in one line.
        damaged_key: As of `DamagedError`.
        damaged_path: As of `DamagedError`.
    """

    key: str
    kind: Literal["finished", "busy", "failed", "damaged", "lost", "ended"]
    detail: str = ""
    damaged_key: str = ""
    damaged_path: str = ""

    def damage(self) -> DamagedError:
        """Return the error that names what is damaged."""
        return DamagedError(self.detail, self.damaged_key, Path(self.damaged_path))

    def as_json(self) -> dict[str, str]:
        """Return it as it travels between processes."""
        return asdict(self)
