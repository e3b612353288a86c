"""Whole tunings whose executor trains nothing: runs finish at once, with made-up accuracies."""

import json

from tests.tuning.made_up import DENSE, STUDY, TUNE, finished, left, made_up
from tf_lottery.drivers import driver
from tf_lottery.runs.outcome import Outcome
from tf_lottery.tuning import tuner
from tf_lottery.tuning.tuner import TuningObserver, run_tuning

_simulations = {}

WHOLE = {**TUNE, "oracle": "random", "candidates": 5, "at_once": 2, "confirm": 1, "down_to": 1 / 4}
RANGES = {"pruning.rate": {"min": 0.4, "max": 0.7}, "search.steps": {"min": "5it", "max": "60it"}}
RATES = {"pruning.rate": [0.4, 0.5, 0.75]}
STEPS = {"search.steps": {"min": "5it", "max": "60it"}}
FILES = ("masks", "curves", "weights_last", "weights_early_stop")


def knee(spec):
    """Tickets match down to a density that is lower for gentle rates."""
    rate = spec.pruning.rate if spec.pruning else 0.0
    return DENSE if left(spec) >= 1024 * (0.2 + 0.4 * rate) else DENSE - 0.04


class Simulated:
    """Trains nothing. `failing` says why a run fails, `ends_at` after how many runs a user presses Ctrl-C."""

    slots, here = 1, True

    def __init__(self, store, accuracy=knee, failing=None, ends_at=None, refuses=None):
        self.store, self.accuracy = store, accuracy
        self.failing, self.ends_at, self.refuses = failing or (lambda spec: ""), ends_at, refuses
        self.trained, self.checked, self.closed = [], [], 0
        self._spec = None

    def check(self, study):
        self.checked.append(study.name)
        if self.refuses:
            self.refuses(study)

    def submit(self, spec):
        self._spec = spec

    def wait(self, seconds):
        spec, self._spec = self._spec, None
        if spec is None:
            return []
        with self.store.claim(spec.key) as claimed:
            if not claimed:
                return [Outcome(spec.key, "busy")]
            if self.store.find(spec.key) is not None:
                return [Outcome(spec.key, "finished", "by another")]
            if len(self.trained) == self.ends_at:
                self.store.begin(spec.key).masks.write_text("half written")
                raise KeyboardInterrupt
            if reason := self.failing(spec):
                return [Outcome(spec.key, "failed", self.store.fail(spec, reason).reason)]
            run, names = self.store.begin(spec.key), (*FILES, *(("rewind/0it",) if not spec.round else ()))
            run.rewind.mkdir(exist_ok=True)
            for name in names:
                run.artefact(name).write_text(f"{name} of {spec.key}")
            record = finished(spec, self.accuracy)
            changes = {"digests": dict.fromkeys(names, "a" * 64), "seconds": {"train": 1.0, "total": 2.0}}
            self.store.finish(record.model_copy(update=changes))
            self.trained.append(spec)
            return [Outcome(spec.key, "finished")]

    def close(self):
        self.closed += 1


class Heard(TuningObserver):
    """What an observer hears."""

    def __init__(self):
        self.batches, self.numbers, self.done, self.failures = [], [], [], []

    def proposed(self, candidates):
        self.batches.append([each.name for each in candidates])

    def tried(self, tried, so_far):
        assert so_far.tried[-1] is tried
        self.numbers.append(tried.candidate.number)

    def finished(self, record):
        self.done.append(record.key)

    def failed(self, failure):
        self.failures.append(failure.reason)


class Simulation:
    """Runs tunings in one directory. `executors` are those of all its commands."""

    def __init__(self, directory):
        self.directory, self.executors, self._given = directory, [], {}
        _simulations[directory] = self

    def run(self, study=None, observer=None, executor=None, **tune):
        """Run a tuning to its end. `executor` are settings of a `Simulated`, `tune` of the section."""
        self._given = executor or {}
        data = {"data": {"name": "digits", "validation": 200}}
        tuning = made_up({**STUDY, **data, **(study or {})}, **{**WHOLE, "ranges": RANGES, **tune})
        return run_tuning(tuning, self.directory, observer)

    @property
    def trained(self):
        """The keys of all runs that were trained, by whichever command."""
        return [spec.key for executor in self.executors for spec in executor.trained]


def simulate(monkeypatch):
    """Have all tunings of `Simulation`s trained by them, and quickly."""

    def make(study, store, observer, execution):
        simulation = _simulations[store.paths.root]
        simulation.executors.append(Simulated(store, **simulation._given))
        return simulation.executors[-1]

    monkeypatch.setattr(tuner, "make_executor", make)
    monkeypatch.setattr(driver, "POLL_SECONDS", 0.001)
    monkeypatch.setattr(driver, "BUSY_SECONDS", 0.002)
    monkeypatch.setattr("os.fsync", lambda file: None)  # no power cut is simulated


def all_of(tuned):
    """All candidates of a tuning, those on fresh seeds included."""
    fresh = [one for pairs in tuned.confirmed.values() for pair in pairs for one in pair]
    return [*tuned.tried, *{each.candidate.name: each for each in fresh}.values()]


def table(tuned):
    """All that a tuning came to, to be compared."""
    rows = [
        (
            each.candidate.name,
            each.candidate.values,
            each.candidate.share,
            each.outcome,
            each.failure,
            each.steps,
        )
        for each in all_of(tuned)
    ]
    best = tuned.best and tuned.best.candidate.number
    front = [(loss, cost, candidate.number, at.round) for loss, cost, candidate, at in tuned.front.entries]
    return json.dumps(rows, default=repr), best, front, tuned.distinct, tuned.spent.steps, tuned.ended
