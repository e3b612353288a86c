"""Keys never change: finished runs of older versions are found again by them.

`keys.json` was written by version 0.1 (b0c904d), for a later study when it was added: of all shipped
studies with two replicates, and of variants of one, the keys of some runs in full, and a digest over those of
every arm, round and trial.
"""

import hashlib
import json
from pathlib import Path

import pytest

from tf_lottery import config_file
from tf_lottery.method.plan import foreseen

BEFORE = json.loads(Path(__file__).with_name("keys.json").read_text())


def test_every_shipped_study_is_in_the_table():
    assert set(config_file.shipped()) <= set(BEFORE)


@pytest.mark.parametrize("name", BEFORE)
def test_keys_are_those_of_before(name):
    before = BEFORE[name]
    # The engine that was the only one, whatever a shipped config says today.
    given = ["training.engine=dense", "replicates=2", f"data.digest={'f' * 64}", *before["overrides"]]
    study = config_file.load_config(before["config"], given)
    now = [[spec.arm, spec.replicate, spec.round, spec.trial, spec.key] for spec in foreseen(study)]
    assert [run for run in now if run in before["sample"]] == before["sample"]
    assert len(now) == before["runs"]
    assert hashlib.sha256(json.dumps(now).encode()).hexdigest() == before["all"]


def test_a_dense_run_has_one_key_whatever_the_engine_that_auto_chooses():
    keys = {}
    for engine in ("dense", "auto", "sparse"):
        given = [f"data.digest={'f' * 64}", "replicates=2", f"training.engine={engine}"]
        specs = foreseen(config_file.load_config("digits_quick", given))
        keys[engine] = {(each.arm, each.replicate, each.round, each.trial): each.key for each in specs}
    same = {run for run, key in keys["dense"].items() if keys["auto"][run] == key}
    assert same == {run for run in keys["dense"] if run[2] == 0}
    assert not set(keys["sparse"].values()) & {*keys["dense"].values(), *keys["auto"].values()}
