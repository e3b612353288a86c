"""How an attempt at a run ended."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from tf_lottery.errors import DamagedError


@dataclass(frozen=True)
class Outcome:
    """How an attempt at a run ended.

    Attributes:
        key: The run's key.
        kind: `finished`; `busy` (another process trains the run); `failed` (and will not be retried);
            `damaged` (a file of the earlier run `damaged_key` is); `lost` (the process that trained the run
            has ended); `ended` (the study can't continue).
        detail: The reason, in one line.
        damaged_key: The key of the damaged run, as in `DamagedError`.
        damaged_path: The path of the damaged file, as in `DamagedError`.
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
        """Return the outcome as JSON, as it is passed between processes."""
        return asdict(self)
