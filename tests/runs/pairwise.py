"""A pairwise covering design over the method: arms, criteria, scopes, rewinds and controls, as one study.

Every allowed pair of two values is in at least one row. A row is a pruned arm with its settings and, on it, a
control. All rows are arms of one study, so they share the dense run and the compiled network.
"""

from itertools import combinations, product
from typing import NamedTuple

import numpy as np
from sklearn.datasets import load_digits

from tf_lottery import config_file
from tf_lottery.config import StudyConfig
from tf_lottery.method.plan import collect, plan
from tf_lottery.paths import StudyPaths
from tf_lottery.runs.execute import execute
from tf_lottery.runs.observe import StudyObserver
from tf_lottery.runs.trainers import Trainers
from tf_lottery.store.store import Store
from tf_lottery.store.study_file import prepare
from tf_lottery.training import state

STEPS, LATE, TUNED, RATE, OUTPUT_RATE, ROUNDS = 20, 6, 8, 0.3, 0.1, 2

CRITERIA = (
    *("magnitude", "random", "large_init", "small_init", "small_final", "large_init_large_final"),
    *("small_init_small_final", "magnitude_increase", "movement", "snip", "grasp", "synflow"),
)
UNTRAINED = ("magnitude", "random", "snip", "grasp", "synflow")
"""What is said to be for pruning before any training; others look at how weights have changed."""
SCOPES = ("layer", "global", "erk", "smart_ratio")
REWINDS = {
    "to 0": {},
    "late": {"to": f"{LATE}it"},
    "late, restored": {"to": f"{LATE}it", "optimizer": "restore"},
    "rate": {"weights": "trained", "to": "0it"},
    "rate, restored": {"weights": "trained", "to": "0it", "optimizer": "restore"},
    "tuned": {"weights": "trained", "to": "end", "steps": f"{TUNED}it"},
}
REDRAWN = ("random_reinit", "keep_signs", "constant_sign", "reshuffle")
CONTROLS = ("none", *REDRAWN, "shuffled", "inverted", "fork", "transfer")
BASES = ("ticket", "one_shot", "at_init", "smart_ratio")


class Row(NamedTuple):
    base: str
    criterion: str
    scope: str
    rewind: str
    control: str = "none"

    @property
    def trained(self):
        return REWINDS[self.rewind].get("weights") == "trained"

    @property
    def first(self):
        return {"late": LATE, "late, restored": LATE, "tuned": STEPS}.get(self.rewind, 0)

    @property
    def last(self):
        return STEPS + TUNED if self.rewind == "tuned" else STEPS


def allowed(row):
    """Whether the method knows such a run."""
    if row.base == "smart_ratio" and (row.criterion, row.scope) != ("random", "smart_ratio"):
        return False
    if row.base in ("at_init", "smart_ratio") and row.rewind != "to 0":
        return False
    if row.base == "at_init" and row.criterion not in UNTRAINED:
        return False
    return not (row.trained and row.control in ("shuffled", "transfer"))


APART = {frozenset({1, 3}), frozenset({1, 4})}
"""Criteria choose masks, rewinds and controls take them: pairs of these that a smaller design leaves out."""


def design(apart=APART):
    """Rows that have every allowed pair; greedily, the next one has the most pairs that are missing yet.

    Pairs of the fields in `apart`, by number, aren't asked for.
    """
    rows = [
        row for row in map(Row._make, product(BASES, CRITERIA, SCOPES, REWINDS, CONTROLS)) if allowed(row)
    ]
    numbers, pairs = {}, []
    for row in rows:
        of_row = [p for p in combinations(enumerate(row), 2) if {p[0][0], p[1][0]} not in apart]
        pairs.append(sum(1 << numbers.setdefault(pair, len(numbers)) for pair in of_row))
    missing, chosen = (1 << len(numbers)) - 1, []
    while missing:
        best = max(range(len(rows)), key=lambda i: (pairs[i] & missing).bit_count())
        missing &= ~pairs[best]
        chosen.append(rows[best])
    return chosen


def ones(rows):
    """Rows of a design that have every value, not every pair, chosen greedily."""
    missing, chosen = {pair for row in rows for pair in enumerate(row)}, []
    while missing:
        best = max(rows, key=lambda row: len(missing & set(enumerate(row))))
        missing -= set(enumerate(best))
        chosen.append(best)
    return chosen


def seven_digits():
    """The digits 0 to 6 of scikit-learn's: other data with another number of classes."""
    digits = load_digits()
    few = digits.target < 7
    x, y = (digits.images[few] * 15).astype(np.uint8)[..., None], digits.target[few]
    return {"x_train": x[:900], "y_train": y[:900], "x_test": x[900:], "y_test": y[900:]}


OTHER = {"load": "tests.runs.pairwise:seven_digits"}


def base_arm(row):
    arm = {"like": row.base}
    if row.base != "smart_ratio":
        rates = {"layer_rates": {} if row.scope != "layer" else {"output": OUTPUT_RATE}}
        own = rates if row.base == "ticket" else {}
        arm["pruning"] = {"criterion": row.criterion, "scope": row.scope, **own}
    if row.base in ("ticket", "one_shot"):
        arm["rewind"] = REWINDS[row.rewind]
    return arm if row.base == "ticket" else arm | {"rounds": [ROUNDS]}


def study_of(rows):
    """A study with two arms a row, `b3` and its control `c4`, and the row of each arm. Rows share bases."""
    names, arms = {}, {"ticket": {}}
    for row in rows:
        base = row._replace(control="none")
        if base not in names:
            names[base] = f"b{len(names)}"
            arms[names[base]] = base_arm(base)
        if row.control != "none":
            names[row] = f"c{len(names)}"
            own = {"data": OTHER} if row.control == "transfer" else {}
            arms[names[row]] = {"like": row.control, "on": names[base], "rounds": [ROUNDS], **own}
    study = {
        "name": "pairs",
        "data": {"name": "digits", "validation": 200},
        "model": {"build": "tests.training.networks:three_layers"},
        "training": {
            **{"steps": f"{STEPS}it", "evaluate_every": "5it", "learning_rate": 0.01, "batch_size": 30},
            "xla": False,
        },
        "pruning": {"rate": RATE, "layer_rates": {"output": OUTPUT_RATE}, "rounds": ROUNDS, "examples": 50},
        "arms": arms,
        "storage": {"keep": "all", "checkpoint_every": "never"},
    }
    return config_file.validate(study), {name: row for row, name in names.items()}


class Starts(StudyObserver):
    """Copies what each run starts from: weights and optimizer of the network that is about to be trained."""

    def __init__(self, trainers):
        self.trainers, self.weights, self.optimizers, self.spans = trainers, {}, {}, {}

    def started(self, spec, first, last):
        trainer = self.trainers.trainer(spec)
        self.weights[spec.key] = state.capture(state.model_variables(trainer.model))
        self.optimizers[spec.key] = state.capture(state.optimizer_variables(trainer.optimizer))
        self.spans[spec.key] = first, last


class Run(NamedTuple):
    row: Row
    record: object


class Trained:
    """A finished study, of a design or any other: its store, its runs by arm and round, and their starts."""

    def __init__(self, rows, directory, backwards=False):
        config, self.rows = (rows, {}) if isinstance(rows, StudyConfig) else study_of(rows)
        paths = StudyPaths(directory)
        self.study, trainers = prepare(config, paths), Trainers()
        self.store, self.starts = Store(paths, self.study.storage), Starts(trainers)
        records = []
        while waiting := plan(self.study, records):
            waiting = waiting[::-1] if backwards else waiting
            records += [execute(spec, self.store, trainers, self.starts) for spec in waiting]
        self.records = {(r.spec.arm, r.spec.round): r for r in collect(self.study, records)}
        self.dense = self.records["ticket", 0]
        self.keys = {r.key for r in records}
        self.names = {row: name for name, row in self.rows.items()}

    def runs(self, **fields):
        """The runs of a round 1 or more whose row has these fields; each with its row."""
        return [
            Run(self.rows[arm], record)
            for (arm, round), record in self.records.items()
            if round and arm in self.rows and fields.items() <= self.rows[arm]._asdict().items()
        ]

    def base(self, run):
        """The run that a control is on."""
        return Run(
            base := run.row._replace(control="none"), self.records[self.names[base], run.record.spec.round]
        )

    def masks(self, run):
        return self.store.masks(run.record.key)

    def began(self, run):
        return self.starts.weights[run.record.key]

    def parent(self, run):
        """The record of the run whose weights are scored: the dense one's, or the round before of a chain."""
        base = self.base(run)
        if base.row.base != "ticket" or base.record.spec.round == 1:
            return self.dense
        return self.records[self.names[base.row], base.record.spec.round - 1]
