"""What `tf-lottery run` does around a study: shows it, draws it, says what it found."""

import shutil
import sys
from pathlib import Path

from rich.console import Console

from tf_lottery.analysis.plots import draw
from tf_lottery.analysis.tensorboard import StudyCurves
from tf_lottery.analysis.verdict import verdict
from tf_lottery.config import StudyConfig
from tf_lottery.experiment.executor import run_study
from tf_lottery.experiment.matching import matching_round
from tf_lottery.experiment.observe import Several, StudyObserver
from tf_lottery.experiment.spec import Record, RunSpec
from tf_lottery.experiment.store import Store
from tf_lottery.experiment.tickets import make_ticket
from tf_lottery.live import Live
from tf_lottery.native import quiet_stderr
from tf_lottery.paths import OUTPUT, StudyPaths
from tf_lottery.workers import this_worker

INTERRUPTED = 130
"""Exit code after Ctrl-C, as shells have it."""


def run_and_report(study: StudyConfig, output: Path | None = None) -> int:
    """Run a study with a live table; then the verdict, the picture, the ticket file.

    Args:
        study: what to run.
        output: the study's directory. Default: `saved_models/<name>`.

    Returns:
        The exit code: 0, or 130 after Ctrl-C.
    """
    console = Console(file=sys.stdout)
    worker = this_worker(study.training.strategy)
    if not worker.chief:
        print(
            f"Worker {worker.index} of {worker.count}: trains along; the chief, worker 0, shows and writes."
        )
        try:
            run_study(study, output, observer=QuietStart())
        except KeyboardInterrupt:
            print("Interrupted, and with it all workers: repeat the command on all to go on.")
            return INTERRUPTED
        return 0
    paths = StudyPaths(output or OUTPUT / study.name)
    console.print(f"Study {study.name} in {paths.root}", highlight=False, soft_wrap=True)
    try:
        with Live(study, console) as live:
            records = run_study(study, paths.root, observer=Several(QuietStart(), live, StudyCurves(paths)))
    except KeyboardInterrupt:
        print(f"Interrupted. What is finished is kept in {paths.root}: repeat the command to go on.")
        return INTERRUPTED
    _report(study, paths, records, console)
    trained = f"Trained {live.trained} runs in {live.seconds:.0f} s."
    console.print(trained if live.trained else "All runs were finished before.", highlight=False)
    return 0


class QuietStart(StudyObserver):
    """Starts TensorFlow without its start-up lines, once there is something to train."""

    def planned(self, finished: list[Record], waiting: list[RunSpec]) -> None:
        """Import TensorFlow and let it look for devices, which doesn't yet fix its threads."""
        if waiting and "tensorflow" not in sys.modules:
            with quiet_stderr():
                import tensorflow as tf

                tf.config.list_physical_devices()


def _tensorboard() -> str:
    """The command as it can be typed here: with its path if it isn't on the PATH."""
    beside = Path(sys.executable).with_name("tensorboard")
    if shutil.which("tensorboard") or not beside.exists():
        return "tensorboard"
    return str(beside.relative_to(Path.cwd()) if beside.is_relative_to(Path.cwd()) else beside)


def _report(study: StudyConfig, paths: StudyPaths, records: list[Record], console: Console) -> None:
    console.print()
    for sentence in verdict(records, study.tolerance):
        console.print(sentence, highlight=False)
    replicates = f"{study.replicates} replicate{'s' if study.replicates > 1 else ''}"
    title = f"{study.name}: {replicates}, seed {study.seed}"
    draw(records, paths.picture, title, study.tolerance)
    lines = [f"Picture:        {paths.picture}"]
    round = matching_round(records, study.tolerance)
    paths.ticket.unlink(missing_ok=True)
    if round is not None:
        winner = next(r for r in records if r.spec.arm == "ticket" and r.spec.round == round)
        make_ticket(study, Store(paths), winner).save(paths.ticket)
        lines.append(f"Winning ticket: {paths.ticket}")
    lines.append(f"Curves:         {_tensorboard()} --logdir {paths.tensorboard}")
    console.print()
    for line in lines:
        console.print(line, highlight=False, soft_wrap=True)
