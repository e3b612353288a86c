"""How an attempt at a run ended."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from tf_lottery.errors import DamagedError


@dataclass(frozen=True)
class Outcome:
    """How an attempt ended.

    Attributes:
        key: of the run.
        kind: `finished`; `busy`: another process trains it; `failed` for cause; `damaged`: a file
            of an earlier run, `damaged_key`, is; `lost`: who trained it is gone; `ended`: the
            study can't go on.
        detail: the reason, in one line.
        damaged_key: as of `DamagedError`.
        damaged_path: as of `DamagedError`.
    """

    key: str
    kind: Literal["finished", "busy", "failed", "damaged", "lost", "ended"]
    detail: str = ""
    damaged_key: str = ""
    damaged_path: str = ""

    def damage(self) -> DamagedError:
        """Return what is damaged."""
        return DamagedError(self.detail, self.damaged_key, Path(self.damaged_path))

    def as_json(self) -> dict[str, str]:
        """Return it as it travels between processes."""
        return asdict(self)
