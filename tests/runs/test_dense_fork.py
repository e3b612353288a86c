"""A fork of the dense network differs from it in the order of the examples only."""

import pytest

from tests.drivers.test_run_study import study
from tf_lottery import arrays
from tf_lottery.method.plan import foreseen, plan
from tf_lottery.paths import StudyPaths
from tf_lottery.runs.execute import execute
from tf_lottery.runs.trainers import Trainers
from tf_lottery.store.store import Store
from tf_lottery.store.study_file import prepare


@pytest.mark.parametrize("to", ["0it", "20it"])
def test_in_the_same_order_it_is_the_dense_network_to_the_last_bit(tmp_path, to):
    """The network drops units and normalizes batches, and its optimizer has moments."""
    short = {"steps": "40it", "evaluate_every": "20it", "learning_rate": 0.01, "xla": False}
    arms = {"ticket": {}, "fork": {"rounds": [0]}}
    config = study(training=short, arms=arms, rewind={"to": to}, pruning__rounds=0)
    store, trainers = Store(StudyPaths(tmp_path / "study")), Trainers()
    config = prepare(config, store.paths)
    (spec,) = plan(config, [])
    dense = execute(spec, store, trainers)
    fork = next(each for each in foreseen(config) if each.arm == "fork")
    same = execute(fork.model_copy(update={"order_seed": spec.order_seed}), store, trainers)
    assert same.first_step == int(to.removesuffix("it"))
    assert same.digests["weights_last"] == dense.digests["weights_last"]
    other = execute(fork, store, trainers)
    assert other.density == 1.0
    assert other.last_step == dense.last_step
    assert arrays.digest(store.weights(other.key)) != dense.digests["weights_last"]
