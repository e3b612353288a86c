"""The loop of a tuning: ask for candidates, have them trained, tell what came of it.

What is asked next follows from records alone. So a tuning goes on after any interruption by doing everything
again, where what is finished takes no time; and several commands may share one.
"""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from tf_lottery.config import StudyConfig
from tf_lottery.config_tune import Tuning
from tf_lottery.drivers.driver import Driver
from tf_lottery.drivers.execution import Execution
from tf_lottery.drivers.kept import Kept
from tf_lottery.drivers.run_study import SERIAL, make_executor
from tf_lottery.errors import DamagedError, LotteryError, StudyError
from tf_lottery.method.ledger import Spending, spent_by
from tf_lottery.method.plan import collect
from tf_lottery.method.spec import Record, RunSpec
from tf_lottery.paths import OUTPUT
from tf_lottery.runs.log import Log
from tf_lottery.runs.observe import Several
from tf_lottery.seeding import derive
from tf_lottery.store import failures
from tf_lottery.store.store import Store
from tf_lottery.store.study_file import follow
from tf_lottery.tuning.batch import Batch
from tf_lottery.tuning.candidate import Candidate, make_candidate, most_steps
from tf_lottery.tuning.check import check_budget, check_tuning, count_examples
from tf_lottery.tuning.journal import Asked, agree, asked, open_tuning
from tf_lottery.tuning.keep import drop_weights, keep_candidate
from tf_lottery.tuning.observe import TuningObserver
from tf_lottery.tuning.oracle import Asker
from tf_lottery.tuning.outcome import Front
from tf_lottery.tuning.paths import TuningPaths
from tf_lottery.tuning.space import drawn_from, settings_from
from tf_lottery.tuning.tuned import Tried, Tuned, finalists, recommended

DUPLICATES = 20
"""How many proposals in a row may be known already before the ranges count as exhausted."""


def run_tuning(
    tuning: Tuning,
    directory: str | Path | None = None,
    observer: TuningObserver | None = None,
    execution: Execution = SERIAL,
) -> Tuned:
    """Run a tuning to its end, or go on where it stopped. Several processes may run the same tuning at once.

    Args:
        tuning: The tuning, as `load_tuning` returns it.
        directory: Its directory. Default: `saved_models/<name>`.
        observer: The observer that hears of its progress. Default: none.
        execution: How and where runs are trained. Default: in this process, one after the other.

    Raises:
        LotteryError: If ranges or the budget make no sense, the study doesn't fit its data or its network,
            the directory holds something else, or nothing can be written.
    """
    check_tuning(tuning, execution)
    examples = count_examples()
    reserved = check_budget(tuning, examples)
    paths = TuningPaths(Path(directory) if directory else OUTPUT / tuning.study.name)
    new = not paths.root.exists()
    try:
        tuning = open_tuning(tuning, paths)
        return _Run(tuning, paths, observer or TuningObserver(), execution, examples).to_the_end(reserved)
    except LotteryError:
        if new and not paths.runs.exists():  # refused before it began: leave nothing behind
            shutil.rmtree(paths.root, ignore_errors=True)
        raise


class _Run:
    """One run of a tuning, from its first candidate to its end."""

    def __init__(
        self,
        tuning: Tuning,
        paths: TuningPaths,
        observer: TuningObserver,
        execution: Execution,
        examples: Callable[[StudyConfig], int],
    ):
        self.tuning, self.paths, self.observer, self.execution = tuning, paths, observer, execution
        self.examples = examples
        self.store = Store(paths, tuning.study.storage)
        self.all = Several(observer, Log(paths))
        self.result = Tuned(tuning, paths, [], Front(tuning.tune))
        self._executor: Kept | None = None
        self._known: dict[str, Tried] = {}
        self._keys: dict[str, int] = {}
        self._after = 0
        """The steps that the confirmation of the dearest candidate so far may take."""

    def to_the_end(self, reserved: int) -> Tuned:
        """Try candidates until nothing is left to try, and confirm the best one.

        Args:
            reserved: The steps of the budget that the confirmation may take.
        """
        asker = Asker(self.tuning.tune)
        try:
            own = self._candidate(0, {})
            self._train([own], {})
            number = 0
            while batch := self._ask(asker, number, reserved):
                self._train([candidate for _, candidate in batch], self._references())
                for name, candidate in batch:
                    asker.tell(name, self._score(candidate))
                number += 1
            self._confirm()
            drop_weights(self.store, self.store.records())
        finally:
            asker.close()
            if self._executor is not None:
                self._executor.end()
        return self.result

    def _candidate(
        self, number: int, values: dict[str, Any], share: float = 1.0, seed: int | None = None
    ) -> Candidate:
        try:
            candidate = make_candidate(self.tuning, number, values, share, seed)
            return replace(candidate, study=follow(candidate.study, self.paths))
        except (DamagedError, StudyError):
            raise
        except LotteryError as error:  # each value is one by itself, but they don't go together
            if not values:
                raise
            own = self._candidate(number, {}, share, seed)
            return replace(own, values=dict(values), refused=str(error))

    def _most_steps(self, candidate: Candidate) -> int:
        if self.tuning.tune.budget_steps is None or candidate.refused:
            return 0
        try:
            return most_steps(candidate, self.examples)
        except LotteryError:
            return 0  # it doesn't fit its data, which is found out before it is trained

    def _ask(self, asker: Asker, number: int, reserved: int) -> list[tuple[str, Candidate]]:
        """Return the next batch, with the names of the proposals; empty if nothing more is to be tried."""
        tune, first, self.result.ended = self.tuning.tune, len(self.result.tried), ""
        room = min(tune.at_once, tune.candidates - first)
        before = asked(self.paths)
        if number < len(before):  # the last one may have been smaller than it would be now
            room = min(room, len(before[number]))
        names, batch, planned, repeated = [], [], 0, 0
        while len(batch) < room and repeated < DUPLICATES:
            proposal = asker.ask()
            if proposal is None:
                self.result.ended = "the ranges hold no more candidates"
                break
            name, drawn, share = proposal
            values = settings_from(tune.ranges, drawn)
            known = self._known.get(_identity(values, share))
            if known is not None or any(
                _identity(e.values, e.share) == _identity(values, share) for e in batch
            ):
                asker.tell(name, known.outcome.score(tune) if known and known.outcome else None)
                repeated += 1
                continue
            repeated, entry = 0, Asked(number=first + len(batch), values=values, share=share)
            candidate = self._candidate(entry.number, values, share)
            steps = self._most_steps(candidate)
            after = max(self._after, tune.confirm * (steps // candidate.study.replicates))
            if not self._affords(planned + steps + reserved // 2 + after):
                self.result.ended = f"the budget of {tune.budget} holds no further candidate"
                break
            planned, self._after = planned + steps, after
            names.append(name)
            batch.append(entry)
        if repeated == DUPLICATES:
            self.result.ended = f"the last {DUPLICATES} proposals were known already"
        if not batch:
            self.result.ended = self.result.ended or f"{tune.candidates} candidates were tried"
            return []
        agreed = agree(self.paths, number, batch)
        for name, entry, other in zip(names, batch, agreed, strict=False):
            if entry.values != other.values:  # another kind of machine has proposed these
                asker.correct(name, drawn_from(tune.ranges, other.values))
        return [
            (name, self._candidate(each.number, each.values, each.share))
            for name, each in zip(names, agreed, strict=False)
        ]

    def _affords(self, steps: int) -> bool:
        """Return whether the budget holds this many more steps."""
        tune, result = self.tuning.tune, self.result
        if tune.budget_seconds is not None:
            seconds = result.spent.seconds if result.spent else 0.0
            return (seconds or 0.0) < tune.budget_seconds
        return tune.budget_steps is None or result.distinct + steps <= tune.budget_steps

    def _references(self) -> dict[int, float]:
        """Return the accuracy of the dense network of the study's own setting, by seed."""
        own = self.result.tried[0]
        return {own.candidate.study.seed: own.outcome.dense.accuracy} if own.outcome else {}

    def _train(self, candidates: list[Candidate], references: dict[int, float]) -> list[Tried]:
        """Train candidates side by side, and add what they came to."""
        self.observer.proposed(candidates)
        tried = self._driven(candidates, references, self.result.front)
        for each in tried:
            self.result.tried.append(each)
            self._known[_identity(each.candidate.values, each.candidate.share)] = each
            if each.outcome is not None:
                self.result.front.add(each.candidate, each.outcome)
            self.observer.tried(each, self.result)
        return tried

    def _driven(self, candidates: list[Candidate], references: dict[int, float], front: Front) -> list[Tried]:
        work = Batch(candidates, self.tuning.tune, front, references)
        if self._executor is None:
            made = make_executor(self.tuning.study, self.store, self.all, self.execution)
            self._executor = Kept(made)
        driver = Driver(work, self.store, self._executor, self.all, self.execution)
        records = driver.run()
        tried = [self._result_of(each, work, records) for each in candidates]
        for each in tried:
            own = collect(each.candidate.study, records) if not _refused(each, work) else []
            self._keys |= {record.key: int(Spending.of(record).steps or 0) for record in own}
            if not each.candidate.refused:
                keep_candidate(each.candidate, each.outcome, self.store, self.paths, own)
        self.result.distinct = sum(self._keys.values())
        mine = [record for record in records if record.key in self._keys]
        self.result.spent = spent_by(mine)
        return tried

    def _result_of(self, candidate: Candidate, work: Batch, records: list[Record]) -> Tried:
        if reason := work.refused.get((candidate.number, candidate.study.seed)):
            return Tried(candidate, None, reason, 0)
        at = work.stage(candidate, records)
        own = {record.key: record for record in collect(candidate.study, records)}
        steps = int(sum(Spending.of(record).steps or 0 for record in own.values()))
        failure = next(filter(None, map(self._failed, at.coming)), "")
        if not failure and at.outcome is None:
            failure = "no ticket of it was trained"
        return Tried(candidate, None if failure else at.outcome, failure, steps)

    def _failed(self, spec: RunSpec) -> str:
        failure = failures.find(self.paths, spec.key)
        return failure.describe() if failure else ""

    def _score(self, candidate: Candidate) -> float | None:
        tried = self._known[_identity(candidate.values, candidate.share)]
        return tried.outcome.score(self.tuning.tune) if tried.outcome else None

    def _confirm(self) -> None:
        """Try the study's own setting and the finalists on seeds that no candidate has seen."""
        tune, result = self.tuning.tune, self.result
        among, distinct = self._affordable(finalists(result.tried, tune)), result.distinct
        if among and tune.confirm and self._own_has_ticket():
            seeds = [derive(self.tuning.study.seed, each, "confirm") for each in range(tune.confirm)]
            own = [self._candidate(0, {}, seed=seed) for seed in seeds]
            self.observer.proposed(own)
            first = self._driven(own, {}, Front(tune))
            dense = {e.candidate.study.seed: e.outcome.dense.accuracy for e in first if e.outcome}
            trials = [
                self._candidate(each.candidate.number, each.candidate.values, seed=seed)
                for each in among
                for seed in seeds
            ]
            second = self._driven(trials, dense, Front(tune))
            for place, each in enumerate(among):
                own_part = second[place * len(seeds) : (place + 1) * len(seeds)]
                result.confirmed[each.candidate.number] = list(zip(first, own_part, strict=True))
        result.distinct, result.best = distinct, recommended(result)

    def _affordable(self, among: list[Tried]) -> list[Tried]:
        """Return the finalists that the budget holds, from the cheapest on: at least one of them."""
        tune, planned, held = self.tuning.tune, 0, list[Tried]()
        seeds = tune.confirm
        if among and tune.budget_steps is not None:
            own = self.result.tried[0].candidate
            planned = seeds * (self._most_steps(own) // own.study.replicates)
        for each in among:
            planned += seeds * (self._most_steps(each.candidate) // each.candidate.study.replicates)
            if held and not self._affords(planned):
                break
            held.append(each)
        return held

    def _own_has_ticket(self) -> bool:
        own = self.result.tried[0]
        return own.outcome is not None and own.outcome.ticket is not None


def _refused(tried: Tried, work: Batch) -> bool:
    return (tried.candidate.number, tried.candidate.study.seed) in work.refused


def _identity(values: dict[str, Any], share: float) -> str:
    return json.dumps([values, share], sort_keys=True)
