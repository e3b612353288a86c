"""What a study has come to so far, in a line each: the best ticket, what comes next, how long it takes."""

from collections.abc import Iterable, Sequence
from statistics import median

from tf_lottery.analysis.summary import summarize
from tf_lottery.method.results import Results
from tf_lottery.method.spec import Record, RunSpec

MOST_NAMES = 3
"""The most runs that a line names."""


def best_so_far(records: Iterable[Record], tolerance: float, replicates: int) -> str:
    """Return the sparsest matching ticket so far: `round 7, 21.1% of weights: 98.41% test (dense 97.93%)`.

    As at the end, the ticket is chosen by validation accuracy. Rounds count that are finished in all
    replicates that have a dense network.

    Args:
        records: The records of the study's finished runs.
        tolerance: The tolerance of the matching rule, as a fraction.
        replicates: How many replicates the study has.

    Returns:
        The line; empty as long as no dense network is finished.
    """
    results = Results(records)
    tickets = summarize(results.records).get(results.main, {})
    if 0 not in tickets:
        return ""
    dense, round = tickets[0], results.matching_round(tolerance)
    of = f", {dense.replicates} of {replicates} replicates" if dense.replicates < replicates else ""
    if round is None:
        return f"none matches yet (dense {100 * dense.test_accuracy.mean:.2f}% test{of})"
    ticket = tickets[round]
    return (
        f"round {round}, {100 * ticket.density:.1f}% of weights: {100 * ticket.test_accuracy.mean:.2f}% test "
        f"(dense {100 * dense.test_accuracy.mean:.2f}%{of})"
    )


def next_runs(specs: Sequence[RunSpec], replicates: int, width: int | None = None) -> str:
    """Return the names of the runs that come next, the first of them if there are many.

    Args:
        specs: The runs, in the order in which they come.
        replicates: How many replicates the study has; the only one isn't named.
        width: How many characters the line may have. The first name is never left out. Default: any number.
    """
    return listed([short_name(spec, replicates) for spec in specs[:MOST_NAMES]], len(specs), width)


def listed(names: Sequence[str], count: int, width: int | None = None) -> str:
    """Return names in a line, and how many more there are.

    Args:
        names: The first names.
        count: How many there are in all.
        width: How many characters the line may have. The first name is never left out. Default: any number.
    """
    names = list(names)
    while True:
        more = f", {count - len(names):,} more" if count > len(names) else ""
        line = ", ".join(names) + more
        if width is None or len(line) <= width or len(names) < 2:
            return line
        names.pop()


def short_name(spec: RunSpec, replicates: int) -> str:
    """Return a run's place in the study in words, without its replicate if there is only one."""
    return spec.describe() if replicates > 1 else spec.describe().replace(" replicate 0", "", 1)


def seconds_left(seconds: Iterable[float], runs: float, at_once: int) -> float | None:
    """Return about how many seconds a study still takes.

    Args:
        seconds: What each finished run took; their median counts, since a first one also compiles.
        runs: How many runs are left, those in progress as fractions.
        at_once: How many are trained at once.

    Returns:
        The seconds; None if nothing is known of a run yet.
    """
    known = [each for each in seconds if each > 0]
    return median(known) * runs / max(at_once, 1) if known else None


def duration(seconds: float) -> str:
    """Return a duration in words, in the largest unit of which there are at least two."""
    for unit, length in (("days", 86400), ("hours", 3600), ("minutes", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.1f} {unit}"
    return f"{seconds:.0f} seconds"
