"""What `tf-lottery tune` does around a tuning: it shows progress and reports the answer."""

import sys
from pathlib import Path

from rich.console import Console

from tf_lottery import atomic, terminal
from tf_lottery.cli.tune_live import TuneLive
from tf_lottery.config_tune import Tuning
from tf_lottery.drivers.execution import Execution
from tf_lottery.drivers.run_study import SERIAL
from tf_lottery.live import say
from tf_lottery.paths import OUTPUT
from tf_lottery.store.upkeep import readable, sizes
from tf_lottery.tuning.answer import answer, best_study, best_text, front, row, savings
from tf_lottery.tuning.paths import TuningPaths
from tf_lottery.tuning.tuned import Tuned
from tf_lottery.tuning.tuner import run_tuning

INTERRUPTED = 130
"""The exit code after Ctrl-C, as in shells."""


@terminal.unwound()
@terminal.unheard()
def tune_and_report(
    tuning: Tuning, output: Path | None = None, execution: Execution = SERIAL, quiet: bool = False
) -> int:
    """Run a tuning with a live table, then print the answer and write the picture and the best setting.

    Args:
        tuning: The tuning.
        output: Its directory. Default: `saved_models/<name>`.
        execution: How and where runs are trained. Default: in this process, one after the other.
        quiet: Whether to print only failures, on standard error, and where the result is.

    Returns:
        The exit code: 0; 1 if no candidate has a ticket; 130 after Ctrl-C, 143 after `kill`.
    """
    console, paths = Console(file=sys.stdout, quiet=quiet), TuningPaths(output or OUTPUT / tuning.study.name)
    say(console, f"Tuning {tuning.study.name} in {paths.root}")
    live = TuneLive(tuning, console)
    try:
        with live:
            tuned = run_tuning(tuning, paths.root, live, execution)
    except (KeyboardInterrupt, terminal.Ended) as end:
        print(f"Interrupted. Finished runs are kept in {paths.root}. Repeat the command to go on.")
        return end.code if isinstance(end, terminal.Ended) else INTERRUPTED
    _report(tuned, console)
    if quiet:
        for each in tuned.tried:
            if each.failure:
                print(f"candidate {each.candidate.number} failed: {each.failure}", file=sys.stderr)
        if tuned.best is None:
            print(answer(tuned)[0], file=sys.stderr)
        print(f"Result: {paths.root if tuned.best is None else paths.best}")
    return 0 if tuned.best is not None else 1


def _report(tuned: Tuned, console: Console) -> None:
    from tf_lottery.tuning.hparams import write_hparams
    from tf_lottery.tuning.picture import draw_front

    paths, tune = tuned.paths, tuned.tuning.tune
    console.print()
    for line in answer(tuned):
        say(console, line)
    console.print()
    for line in front(tuned):
        say(console, line)
    console.print()
    say(console, savings(tuned))
    say(console, f"Ended, since {tuned.ended}.")
    atomic.write_json(paths.table, [row(each, tune) for each in tuned.tried])
    console.print()
    if any(each.outcome and each.outcome.cost is not None for each in tuned.tried):
        draw_front(tuned, paths.front)
        say(console, f"Picture:        {paths.front}")
    if (study := best_study(tuned)) is not None:
        atomic.write_text(paths.best, f"# tf-lottery run {paths.best}\n{best_text(study)}")
        say(console, f"Best setting:   tf-lottery run {paths.best}")
    write_hparams(tuned, paths)
    say(console, f"Candidates:     {paths.table}, each as a study under {paths.candidates}")
    say(console, f"HParams:        tf-lottery tensorboard {paths.root}")
    say(console, f"Kept:           {readable(sum(sizes(paths).values()))}")
