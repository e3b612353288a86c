"""What `tf-lottery run` does around a study: it shows progress, draws the study and reports the findings."""

import shlex
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

from rich.console import Console

from tf_lottery import terminal
from tf_lottery.analysis.connectivity import known
from tf_lottery.analysis.findings import Findings
from tf_lottery.analysis.plots import draw
from tf_lottery.analysis.tensorboard.rounds import StudyCurves
from tf_lottery.analysis.verdict import verdict
from tf_lottery.analysis.words import CLAIM, closing_lines
from tf_lottery.config import StudyConfig
from tf_lottery.drivers.execution import Execution, local_workers
from tf_lottery.drivers.run_study import SERIAL, run_in, run_study
from tf_lottery.errors import DamagedError
from tf_lottery.live import Live, say
from tf_lottery.method.plan import plan
from tf_lottery.method.results import Results
from tf_lottery.method.spec import Record, RunSpec
from tf_lottery.paths import OUTPUT, StudyPaths
from tf_lottery.runs.observe import Several, StudyObserver
from tf_lottery.store import failures
from tf_lottery.store.failures import Failure
from tf_lottery.store.store import Store
from tf_lottery.store.study_file import load
from tf_lottery.store.tickets import make_ticket
from tf_lottery.store.upkeep import readable, sizes, trim
from tf_lottery.training.quiet_start import start_quietly
from tf_lottery.workers import this_worker

INTERRUPTED = 130
"""The exit code after Ctrl-C, as in shells."""


@terminal.unwound()
@terminal.unheard()
def run_and_report(
    study: StudyConfig, output: Path | None = None, execution: Execution = SERIAL, quiet: bool = False
) -> int:
    """Run a study with a live table, then print the verdict and write the picture and the ticket file.

    Args:
        study: The study to run.
        output: The study's directory. Default: `saved_models/<name>`.
        execution: How and where runs are trained. Default: in this process, one after the other.
        quiet: Whether to print only failures, on standard error, and where the result is.

    Returns:
        The exit code: 0; 1 if runs failed; 130 after Ctrl-C, 143 after `kill`, 129 if the terminal closed.
    """
    console = Console(file=sys.stdout, quiet=quiet)
    worker = this_worker(study.training.strategy)
    if not worker.chief:
        say(
            console,
            f"Worker {worker.index} of {worker.count} takes part in the training. The chief, worker 0, shows "
            "progress and writes the results.",
        )
        try:
            run_study(study, output, observer=QuietStart(study), execution=execution)
        except (KeyboardInterrupt, terminal.Ended) as end:
            print("Interrupted, and so are all other workers. Repeat the command on all of them to go on.")
            return _code(end)
        return 0
    paths = StudyPaths(output or OUTPUT / study.name)
    say(console, f"Study {study.name} in {paths.root}")
    live, store = Live(study, console), Store(paths, study.storage)
    try:
        records = _run(study, store, execution, live)
        while (error := _report(study, store, records, console)) is not None:
            live.noted(f"{error} The run is trained again.")
            store.set_aside(error)
            records = _run(study, store, execution, live)
    except (KeyboardInterrupt, terminal.Ended) as end:
        print(f"Interrupted. Finished runs are kept in {paths.root}. Repeat the command to go on.")
        return _code(end)
    study = load(paths)  # with its data's digest
    waiting = plan(study, store.records())
    failed = [failure for spec in waiting if (failure := failures.find(paths, spec.key))]
    if not waiting:
        winner = Results(records).winner(study.tolerance)
        trim(study, store, records, winner=winner.key if winner else "")
    for line in _endings(live, paths, failed, len(waiting) - len(failed), study.storage.keep):
        say(console, line)
    if quiet:
        for failure in failed:
            print(failure.describe(), file=sys.stderr)
        print(f"Result: {paths.root}")
    return 1 if failed else 0


def _code(end: BaseException) -> int:
    return end.code if isinstance(end, terminal.Ended) else INTERRUPTED


def _run(study: StudyConfig, store: Store, execution: Execution, live: Live) -> list[Record]:
    curves = StudyCurves(store.paths, store)
    try:
        with live:
            return run_in(store, study, Several(QuietStart(study, execution), live, curves), execution)
    finally:
        curves.close()


class QuietStart(StudyObserver):
    """Starts TensorFlow without its start-up lines, if this process itself trains."""

    def __init__(self, study: StudyConfig, execution: Execution = SERIAL):
        self._here = execution.executor == "local" and local_workers(study, execution.workers) == 1

    def planned(self, finished: list[Record], waiting: list[RunSpec]) -> None:
        """Start TensorFlow if there is something to train."""
        if self._here and waiting:
            start_quietly()


def _command() -> str:
    """Return `tf-lottery` as it can be typed here, with its path if it isn't on the PATH."""
    beside = Path(sys.executable).with_name("tf-lottery")
    if shutil.which("tf-lottery") or not beside.exists():
        return "tf-lottery"
    return str(beside.relative_to(Path.cwd()) if beside.is_relative_to(Path.cwd()) else beside)


def _report(study: StudyConfig, store: Store, records: list[Record], console: Console) -> DamagedError | None:
    """Print the findings, draw them and write the ticket; return the error if a damaged file prevents it."""
    paths = store.paths
    lines = [f"Picture:        {paths.picture}"]
    winner = Results(records).winner(study.tolerance)
    if winner is None:
        paths.ticket.unlink(missing_ok=True)
    else:
        try:
            make_ticket(study, store, winner).save(paths.ticket)
        except DamagedError as error:
            return error
        lines.append(f"Ticket file:    {paths.ticket}")
    console.print()
    sentences = verdict(records, study.tolerance)
    for sentence in sentences:
        console.print(sentence, highlight=False)
    if claims := closing_lines(Findings(study, records, known(study, store, records)), sentences):
        console.print()
        for line in claims:
            say(console, line, CLAIM)
    replicates = f"{study.replicates} replicate{'s' if study.replicates > 1 else ''}"
    title = f"{study.name}: {replicates}, seed {study.seed}"
    draw(records, paths.picture, title, study.tolerance)
    lines += [
        f"{what}         {_command()} {command} {shlex.quote(str(paths.root))}"
        for what, command in (("Curves:", "tensorboard"), ("Report:", "report"))
    ]
    console.print()
    for line in lines:
        say(console, line)
    return None


def _endings(live: Live, paths: StudyPaths, failed: list[Failure], left: int, keep: str) -> Iterator[str]:
    """Yield the last lines of the report."""
    yield f"Kept:           {readable(sum(sizes(paths).values()))} (storage.keep: {keep})"
    if failed:
        yield (
            f"Failed:         {len(failed)} of the runs (failed.json in their directories under {paths.runs} "
            "says why). Use --retry-failed to train them again."
        )
    if left:
        yield f"Left:           {left} runs that can start now, for other shards."
    yield (
        f"Trained {live.trained} runs in {live.seconds:.0f} s."
        if live.trained
        else "All runs were finished before."
    )
