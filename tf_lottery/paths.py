"""The only place that names the files of a study.

saved_models/<study>/
    study.yaml                  the study, as validated
    tickets.png                 the paper's two pictures
    winning_ticket.npz          the sparsest matching ticket
    report.html                 the study as a page, once `tf-lottery report` has made it
    report/<figure>.svg, .png   its figures
    connectivity.json           the errors between its runs, once they are measured
    tensorboard/runs/...        step curves, one directory a run
    tensorboard/rounds/...      round curves, one directory an arm and replicate
    tensorboard/figures-<digest>/...  the papers' figures; the digest is of what they show
    study.log                   what happened and when: lost workers, files set aside
    worker_<n>.log              what worker n printed
    locks/                      the process that holds a run's lock trains it
    damaged/                    damaged runs and checkpoints, set aside
    runs/<key>/                 one run, finished once it has a record.json
        record.json             spec, results, digests, environment
        curves.json             validation and training curves
        masks.npz               packed masks
        weights_last.npz        all variables after the last step
        weights_early_stop.npz  all variables at the minimum of the validation loss
        optimizer_last.npz      the optimizer after the last step (storage.keep: all)
        rewind/<step>it.npz     every variable at a rewind point (dense runs)
        checkpoint.npz          of an unfinished run: the state that it resumes from
        progress.json           of an unfinished run: how far it is, for observers
        failed.json             of a run that failed and will not be retried: the reason
"""

import os
import re
from dataclasses import dataclass
from pathlib import Path

from tf_lottery.atomic import is_temporary
from tf_lottery.errors import LotteryError

OUTPUT = Path("saved_models")
RUN_NAME = re.compile(r"[0-9a-f]{16}")
"""The name of a run's directory: the first digits of its key."""
ARTEFACT = re.compile(r"masks|curves|weights_last|weights_early_stop|optimizer_last|rewind/\d{1,15}it")
"""The names of a run's files in its record."""
FIGURE = re.compile(
    r"((test_accuracy|test_loss|early_stop)(_\d{1,3})?|learning|learning_loss|layers|first_layer|line|barrier)"
    r"\.(svg|png)"
)
"""The names of a report's figures."""
FIGURES = re.compile(r"figures-[0-9a-f]{16}|\.figures-[0-9a-f]{16}\.[a-z0-9_]{8}\.tf_lottery")
"""The names of directories with figures for TensorBoard, and of those that are being written."""


def rewind_point(directory: Path, step: int) -> Path:
    """Return the file of a rewind point in a directory of rewind points."""
    return directory / f"{step}it.npz"


@dataclass(frozen=True)
class RunPaths:
    """The files of one run."""

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
        """Return the file with a name that a record's digests use: `masks`, `curves`, `rewind/0it`, ...

        Raises:
            ValueError: For any other name. A stranger's record could otherwise lead to other files.
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
        """Return the file of one rewind point."""
        return rewind_point(self.rewind, step)


@dataclass(frozen=True)
class StudyPaths:
    """The files of one study."""

    root: Path

    @property
    def study(self) -> Path:
        return self.root / "study.yaml"

    @property
    def log(self) -> Path:
        return self.root / "study.log"

    def worker_log(self, number: int) -> Path:
        """Return the file with what a local worker printed."""
        return self.root / f"worker_{number}.log"

    @property
    def locks(self) -> Path:
        return self.root / "locks"

    @property
    def tensorboard_lock(self) -> Path:
        """The lock of the process that writes the round curves."""
        return self.locks / "tensorboard"

    @property
    def figures_lock(self) -> Path:
        """The lock of the process that writes the papers' figures for TensorBoard."""
        return self.locks / "figures"

    def run_lock(self, key: str) -> Path:
        """Return the lock of a run; the process that holds it trains the run."""
        return self.locks / key[:16]

    def shard_lock(self, shard: str) -> Path:
        """Return the lock that a process holds as long as it drives the shard `i/n`."""
        return self.locks / f"shard_{shard.replace('/', '_of_')}"

    @property
    def damaged(self) -> Path:
        return self.root / "damaged"

    def is_ours(self, name: str) -> bool:
        """Return whether a study that was started here may have left something with this name."""
        known: tuple[Path, ...] = (
            self.log,
            self.connectivity,
            self.locks,
            self.damaged,
            self.runs,
            self.tensorboard,
        )
        known += (self.report, self.figures)
        is_worker_log = bool(re.fullmatch(r"worker_\d+\.log", name))
        return is_worker_log or name in {path.name for path in known} or is_temporary(self.root / name)

    @property
    def picture(self) -> Path:
        return self.root / "tickets.png"

    @property
    def ticket(self) -> Path:
        return self.root / "winning_ticket.npz"

    @property
    def connectivity(self) -> Path:
        return self.root / "connectivity.json"

    @property
    def report(self) -> Path:
        return self.root / "report.html"

    @property
    def figures(self) -> Path:
        return self.root / "report"

    @property
    def runs(self) -> Path:
        return self.root / "runs"

    @property
    def tensorboard(self) -> Path:
        return self.root / "tensorboard"

    def run(self, key: str) -> RunPaths:
        """Return the files of the run with this key."""
        return RunPaths(self.runs / key[:16])

    def tensorboard_run(self, arm: str, replicate: int, round: int, trial: int) -> Path:
        """Return the directory of the event files with one run's step curves."""
        name = f"round{round:02d}" + (f"_trial{trial}" if trial else "")
        return self.tensorboard / "runs" / f"{arm}_replicate{replicate}" / name

    def tensorboard_arm(self, arm: str, replicate: int, trial: int) -> Path:
        """Return the directory of the event files with one arm's round curves."""
        name = f"{arm}_replicate{replicate}" + (f"_trial{trial}" if trial else "")
        return self.tensorboard / "rounds" / name

    def tensorboard_figures(self, digest: str) -> Path:
        """Return the directory of the event files with the papers' figures."""
        return self.tensorboard / f"figures-{digest[:16]}"


def find_study(name: str) -> StudyPaths | None:
    """Return the study that the user named, None if there is none.

    Args:
        name: The study's name under `saved_models/`, or its directory.

    Raises:
        LotteryError: If there is a study of this name under `saved_models/` and another in the current
            directory.
    """
    roots = [Path(name)] if os.sep in name else [OUTPUT / name, Path(name)]
    studies = [root for root in roots if StudyPaths(root).study.exists()]
    if len(studies) > 1 and not studies[0].samefile(studies[1]):
        raise LotteryError(
            f"There are two studies called {name!r}. "
            f"Say which one you mean: {studies[0]}, or .{os.sep}{studies[1]}."
        )
    return StudyPaths(studies[0]) if studies else None


def data_cache() -> Path:
    """Return the directory of verified data sets: `TF_LOTTERY_DATA`, or one in the user's cache directory."""
    return _cache("TF_LOTTERY_DATA", "tf_lottery")


def kernel_cache() -> Path:
    """Return the directory of compiled kernels: `TF_LOTTERY_KERNELS`, or one in the user's cache."""
    return _cache("TF_LOTTERY_KERNELS", "tf_lottery/kernels")


def _cache(variable: str, name: str) -> Path:
    if chosen := os.environ.get(variable):
        return Path(chosen).expanduser()
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base).expanduser() / name
