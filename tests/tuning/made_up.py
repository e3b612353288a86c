"""Tunings and finished runs without training, for what is pure."""

import json

from tests.fakes import WEIGHTS, fake_record
from tf_lottery import config_file
from tf_lottery.config_tune import TuneConfig, Tuning
from tf_lottery.length import Length
from tf_lottery.method.plan import collect
from tf_lottery.method.spent import Spent
from tf_lottery.tuning.candidate import make_candidate
from tf_lottery.tuning.outcome import Front, Point
from tf_lottery.tuning.stages import stage

STUDY = {
    "name": "made_up",
    "data": {"name": "digits", "digest": "d" * 64, "validation": 200},
    "training": {"steps": "100it", "evaluate_every": "20it"},
    "search": {"steps": "20it"},
    "pruning": {"rate": 0.5, "rounds": 3},
    "arms": {"ticket": {}, "final": {}},
}
"""Each round takes half of 1024 weights, so densities are powers of two."""

TUNE = {"tolerance": 0.01, "down_to": 1 / 64, "ranges": {"pruning.rate": [0.25, 0.5, 0.75]}}

DENSE = 0.95
"""The accuracy of dense networks, and of all tickets that match."""


def settings(study=None, tune=None):
    """The settings of a tuning as a file has them; a setting that is None is left out."""
    whole = json.loads(json.dumps({**STUDY, **(study or {}), "tune": {**TUNE, **(tune or {})}}))
    return {name: value for name, value in whole.items() if value is not None}


def made_up(study=None, **tune):
    """A tuning of made-up runs: `study` replaces whole groups, the others settings of `tune`."""
    whole = settings(study, tune)
    section = config_file.validate(whole.pop("tune"), "the tuning", TuneConfig)
    return Tuning(config_file.validate(whole), section)


def candidate_of(tuning, number=0, share=1.0, seed=None, **values):
    """A candidate; `pruning__rate=0.5` is the value of `pruning.rate`."""
    named = {name.replace("__", "."): value for name, value in values.items()}
    return make_candidate(tuning, number, named, share, seed)


def left(spec):
    """Weights left after as many rounds at a spec's rate."""
    return round(WEIGHTS * (1 - spec.pruning.rate) ** spec.round) if spec.pruning else WEIGHTS


def finished(spec, accuracy=lambda spec: DENSE):
    """The record of a run, each of whose steps took two FLOPs a weight and a tenth of a second."""
    first, last = Length.of(spec.training, 1000).span(spec.rewind)
    steps, weights = last - first, left(spec)
    flops = {"flops_dense": 2 * WEIGHTS * steps, "flops_remaining": 2 * weights * steps}
    spent = Spent(steps=steps, **flops, seconds=steps / 10, seconds_total=steps)
    return fake_record(spec, accuracy(spec), weights, first_step=first, last_step=last, spent=spent)


def down_to(density, drop=0.05):
    """An accuracy by which tickets match down to a density, and none of fewer weights."""
    return lambda spec: DENSE if left(spec) >= density * WEIGHTS else DENSE - drop


def trained(candidate, tune, accuracy=lambda spec: DENSE, front=None, reference=None, at_once=False):
    """Train a candidate to its end: the records in the order of training, and the last stage.

    `at_once` says whether all runs that can start are trained before it is asked again; if not, only the last
    of them is.
    """
    records, front = [], front or Front(tune)
    while (at := stage(candidate, records, tune, front, reference)).coming:
        records += [finished(spec, accuracy) for spec in at.coming[0 if at_once else -1 :]]
        assert len(records) < 500, "the candidate does not end"
    return records, at


def finals(candidate, records):
    """The rounds whose tickets were trained in full, in order."""
    own = collect(candidate.study, records)
    keys = {r.key for r in own if r.spec.arm == candidate.arm and r.spec.round}
    return [record.spec.round for record in records if record.key in keys]


def searched(candidate, records):
    """How many rounds the search has trained, the dense network's included."""
    return sum(record.spec.arm == "ticket" for record in collect(candidate.study, records))


def point(round, density, accuracy=DENSE, cost=None, test=0.9):
    return Point(round, density, accuracy, test, cost)
