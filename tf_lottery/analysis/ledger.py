"""The ledger of a study as tables and in words: what was spent, search and final training apart, and what
was reached for all of it."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import Any

from tf_lottery.analysis.amounts import FLOPS, TIMES, Column, in_words, laid_out, number, percent, scaled
from tf_lottery.analysis.reached import Reached, reached
from tf_lottery.method.ledger import Entry, Line, Spending, ledger, lines, spent_by
from tf_lottery.method.matching import main_arm
from tf_lottery.method.spec import Record


def describe(records: Iterable[Record]) -> list[str]:
    """Return the ledger of a study: a line for each arm and round, then what each reached for all that it
    cost, then the study's total in words.

    Numbers are means over replicates. `own` is a run's own training; `search` is that of all other runs which
    its masks and weights build on; `all` is both. FLOPs are those of the weights that remain, and multiples
    are of the dense network's one training.

    Args:
        records: The study's finished runs, as `collect` returns them.
    """
    records = list(records)
    entries = ledger(records)
    if not entries:
        return ["No run is finished yet."]
    return [*_table(lines(entries)), "", *_reached(reached(records)), "", *totals(records, entries)]


def rows(records: Iterable[Record]) -> dict[str, Any]:
    """Return the ledger as `tf-lottery ledger --json` prints it.

    Args:
        records: The study's finished runs, as `collect` returns them.

    Returns:
        `rounds`, a list with a flat object for each arm and round, in which `own_`, `search_` and `all_`
        stand before what a run, its search and both cost; and `study`, what all runs cost together. Fields
        without these prefixes are those of `Line` and `Reached`. None stands for what isn't known.
    """
    records = list(records)
    rounds = []
    for each in reached(records):
        line = each.line
        row = {name: value for name, value in vars(line).items() if not isinstance(value, Spending)}
        for part in ("own", "search", "all"):
            row |= {f"{part}_{name}": value for name, value in asdict(getattr(line, part)).items()}
        rounds.append(row | {name: value for name, value in vars(each).items() if name != "line"})
    return {"rounds": rounds, "study": asdict(spent_by(records))}


def _table(found: Sequence[Line]) -> list[str]:
    costs = [cost for line in found for cost in (line.own, line.search)]
    flops, unit = scaled([cost.flops_remaining for cost in costs], FLOPS)
    seconds, time_unit = scaled([cost.seconds for cost in costs], TIMES)
    return laid_out(
        [
            Column(("", "arm"), [line.arm for line in found], is_text=True),
            Column(("", "round"), [str(line.round) for line in found]),
            Column(("den-", "sity"), [percent(line.density) for line in found]),
            Column(("effec-", "tive"), [percent(line.effective_density) for line in found]),
            Column(("own", "steps"), [number(line.own.steps) for line in found]),
            Column(("search", "steps"), [number(line.search.steps) for line in found]),
            Column(("own", unit), [flops(line.own.flops_remaining) for line in found]),
            Column(("search", unit), [flops(line.search.flops_remaining) for line in found]),
            Column(("own", time_unit), [seconds(line.own.seconds) for line in found]),
            Column(("search", time_unit), [seconds(line.search.seconds) for line in found]),
        ]
    )


def _reached(found: Sequence[Reached]) -> list[str]:
    flops, unit = scaled([each.line.all.flops_remaining for each in found], FLOPS)
    return laid_out(
        [
            Column(("", "arm"), [each.line.arm for each in found], is_text=True),
            Column(("", "round"), [str(each.line.round) for each in found]),
            Column(("", "weights"), [number(each.weights) for each in found]),
            Column(("test", "acc."), [number(100 * each.test_accuracy, 2) for each in found]),
            Column(("all", "steps"), [number(each.line.all.steps) for each in found]),
            Column(("times", "dense"), [number(each.times_steps, 2) for each in found]),
            Column(("all", unit), [flops(each.line.all.flops_remaining) for each in found]),
            Column(("times", "dense"), [number(each.times_flops, 2) for each in found]),
        ]
    )


def totals(records: Sequence[Record], entries: Sequence[Entry]) -> list[str]:
    """Return the study's total, and what the search for its sparsest ticket took, in sentences.

    Args:
        records: The study's finished runs, as `collect` returns them.
        entries: Their ledger.
    """
    total = spent_by(records)
    sentence = f"All {total.runs:,} runs" if total.runs > 1 else "1 run"
    sentence += f": {number(total.steps)} steps"
    if total.flops_dense is not None:
        sentence += (
            f", {in_words(total.flops_remaining, FLOPS)} of the weights that remain "
            f"({in_words(total.flops_dense, FLOPS)} with the pruned ones)"
        )
    if total.seconds is not None:
        sentence += f", {in_words(total.seconds, TIMES)} of training steps"
    main = main_arm(records)
    rounds = {line.round: line for line in lines(entries) if line.arm == main}
    dense, last = rounds.get(0), rounds[max(rounds)] if rounds else None
    if dense is None or not dense.own.steps:
        return [f"{sentence}."]
    sentence += f": {total.steps / dense.own.steps:.1f} times the dense network's steps."
    told = [sentence, *_spared(records)]
    return told if last is dense or last.search.steps is None else [*told, _search(last, dense.own)]


def _spared(records: Sequence[Record]) -> list[str]:
    """Return what Early-Bird stops spared, in a sentence; none if no run could end early."""
    runs = {record.key: record for record in records if "early_bird_steps_saved" in record.checks}.values()
    spared = [record.checks["early_bird_steps_saved"] for record in runs]
    if not spared:
        return []
    ended, steps = sum(steps > 0 for steps in spared), sum(spared)
    planned = steps + sum(record.last_step - record.first_step for record in runs)
    return [
        f"{ended} of {len(spared)} runs of the search ended early, once their next pruning had settled: "
        f"{steps:,} of {planned:,} steps were spared."
    ]


def _search(last: Line, dense: Spending) -> str:
    before, together = (cost.steps / dense.steps for cost in (last.search, last.all))
    sentence = (
        f"The search for round {last.round} of {last.arm} took {before:.1f} times the dense network's steps, "
        f"{together:.1f} times with its own training"
    )
    if last.all.flops_remaining is not None and dense.flops_dense:
        times = [cost.flops_remaining / dense.flops_dense for cost in (last.search, last.all)]
        sentence += f" ({times[0]:.1f} and {times[1]:.1f} times the FLOPs, if pruned weights cost nothing)"
    return f"{sentence}."
