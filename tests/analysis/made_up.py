"""A study of all arms that claims are about, and made-up findings in which everything is known.

In `GOOD` every claim holds. Each replicate has an offset that all of its runs share, and half of the arms
have noise of their own, so that paired differences vary by 0.05 points: an interval of three replicates is
0.12 points wide to either side.
"""

from functools import cache

import numpy as np

from tests.fakes import all_at_once, fake_study
from tf_lottery.analysis.claims import judge
from tf_lottery.analysis.connectivity import Connection
from tf_lottery.analysis.findings import Findings
from tf_lottery.analysis.forks import pairs
from tf_lottery.analysis.statistics import interval
from tf_lottery.method.plan import collect
from tf_lottery.paths import StudyPaths
from tf_lottery.store.store import Store
from tf_lottery.store.study_file import written

ARMS = {
    "ticket": {},
    "random_reinit": {},
    "keep_signs": {},
    "shuffled": {},
    "inverted": {},
    "one_shot": {},
    "smart_ratio": {},
    "static": {},
    "set": {},
    "rigl": {},
    "dense_longer": {},
    "small_dense": {},
    "drawn": {"like": "ticket", "pruning": {"criterion": "random"}},
    "late": {"like": "ticket", "rewind": {"to": "100it"}},
    "lr_rewound": {"like": "ticket", "rewind": {"weights": "trained"}},
    "snip": {"like": "at_init", "pruning": {"criterion": "snip"}},
    "snip_shuffled": {"like": "shuffled", "on": "snip"},
    "fork": {},
}
DENSITIES = {0: 1.0, 1: 0.5, 2: 0.21, 3: 0.135, 4: 0.012}
"""The densities that claims name, by round."""
STEADY = {"ticket", "final", "kept", "snip_shuffled"}
"""The arms whose pruned runs have no noise of their own, since others are compared with them."""
ACCURACY = 95.0
"""The dense network's, on validation and test data, in percent."""
CURVES = {name: [None] for name in ("train_loss", "train_accuracy")}
CURVES |= {"step": [0], "validation_loss": [2.5], "validation_accuracy": [0.125]}
GOOD = {"ticket": 1.0, "late": 2.0, "lr_rewound": 1.0, "keep_signs": 1.0}
"""By how many points pruned runs of arms are more accurate than the dense network. Others are as accurate."""


def remaining(spec):
    """Weights left: 1,024 in all."""
    return round(1024 * DENSITIES[spec.round])


@cache
def runs(replicates):
    """The study, and the records of all its runs, before anything is made up."""
    study = fake_study(pruning={"rounds": 4}, arms=ARMS, replicates=replicates)
    return study, all_at_once(study, remaining)


def noise(arm, spec):
    """Noise of a run's own, which no other run has: normal, with a deviation of 1."""
    return np.random.default_rng([*arm.encode(), spec.round, spec.replicate, spec.trial]).normal()


def results(spec, test=GOOD, validation=GOOD, steps=-200, spread=0.05, jitter=0.0):
    """What a run gave.

    Args:
        spec: The run.
        test: Arm -> points of test accuracy above the dense network, or by (arm, round).
        validation: The same for validation accuracy.
        steps: How many steps later than the dense network tickets stop.
        spread: How far noise goes.
        jitter: How far noise of each run's own goes, in points. Without it many differences are equal.
    """
    arm = spec.arm if spec.round else "dense"
    way = spec.replicate % 3 - 1  # -1, 0, 1: a deviation of 1
    alone = jitter * noise(arm, spec) if jitter else 0.0
    own = 0.3 * spec.replicate + (0 if arm in STEADY else spread * way) + alone
    of_test, of_validation = (each.get((arm, spec.round), each.get(arm, 0.0)) for each in (test, validation))
    return {
        "early_stop_test_accuracy": (ACCURACY + own + of_test) / 100,
        "early_stop_validation_accuracy": (ACCURACY + own + of_validation) / 100,
        "early_stop_iteration": (600 + 10 * way if arm == "dense" else 600 + steps) + round(500 * alone),
        "steps_per_second": 100.0,
        "resolved": {"engine": "dense" if arm == "dense" else "sparse"},
    }


def connections(study, records, barrier, spread=0.05, jitter=0.0):
    """What lies between a study's forks and what they fork: barriers of so many points on test data."""
    found = []
    for pair in pairs(study, records):
        spec, height = pair.second, barrier + spread * (pair.second.replicate % 3 - 1)
        height += jitter * noise("connection", spec)
        errors = {"validation": (5.0, 50.0, 5.0), "test": (5.0, 5.0 + height, 5.0)}
        place = pair.arm, pair.on, spec.replicate, spec.round, pair.density
        found.append(Connection(*place, "0it", pair.names, errors))
    return found


def made_up(
    replicates=3,
    keep=lambda spec: True,
    arms=ARMS,
    tolerance=0.0,
    barrier=0.5,
    estimate=interval,
    **truth,
):
    """The findings of a study in which things are as `truth` says, the arguments of `results`.

    Args:
        replicates: How many.
        keep: A function that says whether a run is finished.
        arms: The arms of the study.
        tolerance: Its tolerance.
        barrier: The error barrier between forks and what they fork, in points.
        estimate: What is said of paired differences.
        truth: What is so.
    """
    study, records = runs(replicates)
    own = {name: study.arms[name] for name in arms}
    study = study.model_copy(update={"arms": own, "tolerance": tolerance})
    finished = collect(study, [record for record in records if keep(record.spec)])
    measured = connections(study, finished, barrier, truth.get("spread", 0.05), truth.get("jitter", 0.0))
    changed = [record.model_copy(update=results(record.spec, **truth)) for record in finished]
    return Findings(study, changed, measured, estimate)


def answers(*arguments, **truth):
    """Claim -> its answer, of made-up findings."""
    return {told.name: told.answer.answer for told in judge(made_up(*arguments, **truth))}


def validated(points, round=None):
    """Validation accuracies in which the ticket is so many points above dense, in all rounds or in one."""
    return {"validation": GOOD | {("ticket", round) if round else "ticket": points}}


def compared(arm, points):
    """Test accuracies in which an arm is so many points above dense."""
    return {"test": GOOD | {arm: points}}


def on_disk(findings, directory):
    """Write made-up findings as a study's directory, without masks and weights; return its paths."""
    store = Store(StudyPaths(directory))
    for record in findings.records:
        store.write_curves(store.begin(record.key), CURVES)
        store.finish(record)
    store.write_study(written(findings.study))
    return store.paths
