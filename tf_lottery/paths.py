"""The one place that names the files of a study.

saved_models/<study>/
    study.yaml                  the study, as validated
    tickets.png                 the paper's two pictures
    winning_ticket.npz          the sparsest matching ticket
    tensorboard/runs/...        step curves, one directory a run
    tensorboard/rounds/...      round curves, one directory an arm and replicate
    study.log                   what happened and when: workers lost, files set aside
    worker_<n>.log              what worker n printed
    locks/                      who holds a run's lock trains it
    damaged/                    what wasn't as it was written, set aside
    runs/<key>/                 one run; without record.json it isn't finished
        record.json             spec, results, digests, environment
        curves.json             validation and training curves
        masks.npz               packed masks
        weights_last.npz        all variables after the last step
        weights_early_stop.npz  all variables at the minimum of the validation loss
        optimizer_last.npz      the optimizer after the last step (storage.keep: all)
        rewind/<step>it.npz     every variable at a rewind point (dense runs)
        checkpoint.npz          an unfinished run: where it goes on
        progress.json           an unfinished run: how far it is, for who watches
        failed.json             a run that failed for cause, and the cause
"""

import os
import re
from dataclasses import dataclass
from pathlib import Path

from tf_lottery.atomic import is_temporary
from tf_lottery.errors import LotteryError

OUTPUT = Path("saved_models")
RUN_NAME = re.compile(r"[0-9a-f]{16}")
"""Of a run's directory: the first digits of its key."""
ARTEFACT = re.compile(r"masks|curves|weights_last|weights_early_stop|optimizer_last|rewind/\d{1,15}it")
"""What a record calls a run's files."""


def rewind_point(directory: Path, step: int) -> Path:
    """File of a rewind point."""
    return directory / f"{step}it.npz"


@dataclass(frozen=True)
class RunPaths:
    """Files of one run."""

    root: Path

    @property
    def record(self) -> Path:
        return self.root / "record.json"

    @property
    def curves(self) -> Path:
        return self.root / "curves.json"

    @property
    def masks(self) -> Path:
        return self.root / "masks.npz"

    @property
    def weights_last(self) -> Path:
        return self.root / "weights_last.npz"

    @property
    def weights_early_stop(self) -> Path:
        return self.root / "weights_early_stop.npz"

    def artefact(self, name: str) -> Path:
        """File of what a record's digests call `name`: `masks`, `curves`, `rewind/0it`, ...

        Raises:
            ValueError: another name. Records may be a stranger's, and lead elsewhere.
        """
        if not ARTEFACT.fullmatch(name):
            raise ValueError(f"expected the name of a run's file, received {name!r:.60}")
        return self.root / f"{name}.{'json' if name == 'curves' else 'npz'}"

    @property
    def optimizer_last(self) -> Path:
        return self.root / "optimizer_last.npz"

    @property
    def checkpoint(self) -> Path:
        return self.root / "checkpoint.npz"

    @property
    def progress(self) -> Path:
        return self.root / "progress.json"

    @property
    def failed(self) -> Path:
        return self.root / "failed.json"

    @property
    def rewind(self) -> Path:
        return self.root / "rewind"

    def rewind_point(self, step: int) -> Path:
        """File of one rewind point."""
        return rewind_point(self.rewind, step)


@dataclass(frozen=True)
class StudyPaths:
    """Files of one study."""

    root: Path

    @property
    def study(self) -> Path:
        return self.root / "study.yaml"

    @property
    def log(self) -> Path:
        return self.root / "study.log"

    def worker_log(self, number: int) -> Path:
        """What a local worker printed."""
        return self.root / f"worker_{number}.log"

    @property
    def locks(self) -> Path:
        return self.root / "locks"

    @property
    def tensorboard_lock(self) -> Path:
        """Of the round curves, which one process writes."""
        return self.locks / "tensorboard"

    def run_lock(self, key: str) -> Path:
        """Of the run with this key: who holds it trains it."""
        return self.locks / key[:16]

    def shard_lock(self, shard: str) -> Path:
        """Of whoever drives a shard `i/n`, as long as it does."""
        return self.locks / f"shard_{shard.replace('/', '_of_')}"

    @property
    def damaged(self) -> Path:
        return self.root / "damaged"

    def is_ours(self, name: str) -> bool:
        """Return whether a study begun there would leave something of this name."""
        ours = (self.log, self.locks, self.damaged, self.runs, self.tensorboard)
        worker = re.fullmatch(r"worker_\d+\.log", name)
        return bool(worker) or name in {path.name for path in ours} or is_temporary(self.root / name)

    @property
    def picture(self) -> Path:
        return self.root / "tickets.png"

    @property
    def ticket(self) -> Path:
        return self.root / "winning_ticket.npz"

    @property
    def runs(self) -> Path:
        return self.root / "runs"

    @property
    def tensorboard(self) -> Path:
        return self.root / "tensorboard"

    def run(self, key: str) -> RunPaths:
        """Files of the run with this key."""
        return RunPaths(self.runs / key[:16])

    def tensorboard_run(self, arm: str, replicate: int, round: int, trial: int) -> Path:
        """Event files of one run's step curves."""
        name = f"round{round:02d}" + (f"_trial{trial}" if trial else "")
        return self.tensorboard / "runs" / f"{arm}_replicate{replicate}" / name

    def tensorboard_arm(self, arm: str, replicate: int, trial: int) -> Path:
        """Event files of one arm's round curves."""
        name = f"{arm}_replicate{replicate}" + (f"_trial{trial}" if trial else "")
        return self.tensorboard / "rounds" / name


def find_study(name: str) -> StudyPaths | None:
    """Return the study of a name under `saved_models/`, or of a directory; None if there is none.

    Raises:
        LotteryError: if a name is that of both.
    """
    roots = [Path(name)] if os.sep in name else [OUTPUT / name, Path(name)]
    found = [root for root in roots if StudyPaths(root).study.exists()]
    if len(found) > 1 and not found[0].samefile(found[1]):
        raise LotteryError(
            f"Expected one study of that name. Received: {name!r}, of which there are two. "
            f"Say which: {found[0]}, or .{os.sep}{found[1]}."
        )
    return StudyPaths(found[0]) if found else None


def data_cache() -> Path:
    """Where verified data sets are kept: `TF_LOTTERY_DATA` or the user's cache directory."""
    if chosen := os.environ.get("TF_LOTTERY_DATA"):
        return Path(chosen).expanduser()
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base).expanduser() / "tf_lottery"
