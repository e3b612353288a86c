"""`method/` and `store/` work without TensorFlow, which is refused: late imports hide from who reads them."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tf_lottery.training.checkpoint import Checkpoint
from tf_lottery.training.observe import Passed

PACKAGE = Path(__file__).parent.parent / "tf_lottery"
MODULES = [
    ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(".__init__")
    for room in ("method", "store")
    for path in sorted((PACKAGE / room).glob("*.py"))
]
REFUSING = """
import importlib.abc, json, sys


class Refuse(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("tensorflow", "keras", "tf_keras"):
            raise AssertionError(f"{name} is imported")


sys.meta_path.insert(0, Refuse())
"""
USING = """
from pathlib import Path

from tf_lottery.cli.app import app
from tf_lottery.method.plan import collect, expected_runs, foreseen, plan, spent
from tf_lottery.method.results import Results
from tf_lottery.paths import StudyPaths
from tf_lottery.store import adopt, environment, failures, study_file, tickets, upkeep
from tf_lottery.store.store import Store
import tf_lottery.cli

paths = StudyPaths(Path("saved_models/study"))
study, store = study_file.load(paths), Store(paths)
records = collect(study, store.records())
assert plan(study, records) == []
assert len(records) == expected_runs(study) == len(foreseen(study)) == 4
results = Results(records)
for record in records:
    assert store.complete(record) and store.curves(record.key)["step"][0] == record.first_step
ticket = tickets.make_ticket(study, store, results.rounds()[2])
ticket.save("ticket.npz")
assert spent(study, records) and upkeep.rubbish(study, store) == [] and sum(upkeep.sizes(paths).values())
environment.described(records)
assert failures.find(paths, records[0].key) is None
assert not adopt.Elsewhere(store).has(records[0].spec)
study_file.prepare(study, paths, make=False)
checkpoint = store.checkpoint("unfinished", print)
assert (checkpoint.step, checkpoint.kept["points"]) == (30, [])
for command in ("list", "show study", "ledger study", "verify study", "gc study --dry-run"):
    app(command.split(), standalone_mode=False)
print("without TensorFlow")
"""


def run(script, cwd=None):
    ran = subprocess.run([sys.executable, "-c", REFUSING + script], capture_output=True, text=True, cwd=cwd)
    assert ran.returncode == 0, ran.stderr[-2000:]
    return ran.stdout


def test_every_module_is_imported_without_tensorflow():
    assert "tf_lottery.method.plan" in MODULES
    assert "tf_lottery.store.tickets" in MODULES
    run(f"import importlib\nfor name in {json.dumps(MODULES)}: importlib.import_module(name)")


def test_what_they_are_for_works_without_tensorflow(tmp_path):
    shutil.unpack_archive(Path(__file__).with_name("version_0_1.zip"), tmp_path / "saved_models")
    kept = {"points": [], "rewind_digests": {}}
    checkpoint = Checkpoint(30, {"model/a": np.ones(2)}, Passed(), kept, {}, {})
    run_directory = tmp_path / "saved_models/study/runs/unfinished"
    run_directory.mkdir()
    checkpoint.save(run_directory / "checkpoint.npz")
    assert run(USING, tmp_path).splitlines()[-1] == "without TensorFlow"


@pytest.mark.parametrize("name", ["keras", "tensorflow"])
def test_the_refusal_refuses(name):
    with pytest.raises(AssertionError, match=f"{name} is imported"):
        run(f"import {name}")
