import json

import pytest

from tf_lottery.errors import LotteryError
from tf_lottery.workers import MULTI_WORKER, Worker, this_worker

THREE = ["a:1", "b:2", "c:3"]


def cluster(index, workers=THREE, kind="worker", **others):
    return json.dumps({"cluster": {"worker": workers, **others}, "task": {"type": kind, "index": index}})


@pytest.mark.parametrize(("index", "chief"), [(0, True), (1, False), (2, False)])
def test_a_worker_is_the_one_that_tf_config_names(monkeypatch, index, chief):
    monkeypatch.setenv("TF_CONFIG", cluster(index))
    worker = this_worker(MULTI_WORKER)
    assert worker == Worker(index, 3)
    assert worker.chief is chief


@pytest.mark.parametrize("strategy", ["auto", "one_device", "mirrored"])
def test_with_another_strategy_a_process_is_alone_whatever_tf_config_says(monkeypatch, strategy):
    for setting in (cluster(2), "junk"):
        monkeypatch.setenv("TF_CONFIG", setting)
        assert this_worker(strategy) == Worker(0, 1)
        assert this_worker(strategy).chief


@pytest.mark.parametrize(
    "setting",
    [
        "",
        "junk",
        "[]",
        "1",
        "{}",
        cluster(3),
        cluster(0, workers=[]),
        cluster(0, kind="chief"),
        cluster(0, chief=["d:4"]),
        cluster(0, ps=["d:4"]),
        cluster("one"),
        cluster(None),
        cluster(-1),
        json.dumps({"cluster": {"worker": THREE}}),
        json.dumps({"cluster": {"worker": 3}, "task": {"type": "worker", "index": 0}}),
    ],
)
def test_what_names_no_worker_is_refused_with_an_example(monkeypatch, setting):
    monkeypatch.setenv("TF_CONFIG", setting)
    with pytest.raises(LotteryError, match="Expected TF_CONFIG='{.*Received: ") as refusal:
        this_worker(MULTI_WORKER)
    assert str(refusal.value).endswith(f"Received: {setting or 'none'}")


def test_without_tf_config_multi_worker_is_refused(monkeypatch):
    monkeypatch.delenv("TF_CONFIG", raising=False)
    with pytest.raises(LotteryError, match="Received: none"):
        this_worker(MULTI_WORKER)
