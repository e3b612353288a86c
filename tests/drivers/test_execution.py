import pytest

from tests.fakes import fake_spec, fake_study
from tf_lottery.drivers import execution
from tf_lottery.drivers.execution import Execution, local_workers, visible_gpus
from tf_lottery.errors import LotteryError


def with_strategy(strategy, threads=1):
    return fake_study(training={"strategy": strategy, "threads": threads})


def test_one_worker_a_core_unless_a_run_has_several_threads(monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    monkeypatch.setattr(execution, "cores", lambda: 8)
    assert local_workers(with_strategy("auto"), None) == 8
    assert local_workers(with_strategy("auto", threads=3), None) == 2
    assert local_workers(with_strategy("auto", threads=16), None) == 1
    assert local_workers(with_strategy("auto"), 3) == 3


def test_a_worker_a_gpu_where_each_run_takes_one(monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,2")
    assert visible_gpus() == ["0", "2"]
    assert local_workers(with_strategy("one_device"), None) == 2
    assert local_workers(with_strategy("one_device"), 6) == 6
    assert local_workers(with_strategy("auto"), None) == 1, "auto trains one run on both"
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "-1")
    assert visible_gpus() == []


@pytest.mark.parametrize("strategy", ["mirrored", "multi_worker", "tpu"])
def test_runs_that_take_all_devices_come_one_after_the_other(strategy):
    assert local_workers(with_strategy(strategy), None) == 1
    with pytest.raises(LotteryError, match=f"Expected one worker.*{strategy}.*Received: 2"):
        local_workers(with_strategy(strategy), 2)


@pytest.mark.parametrize("shard", ["0/2", "3/2", "1", "a/b", "1/0", "-1/2", "1/2/3"])
def test_a_shard_that_is_none(shard):
    with pytest.raises(LotteryError, match=f"Expected --shard i/n.*'{shard}'"):
        Execution(shard=shard)


def test_a_shard_without_chains_is_refused():
    with pytest.raises(LotteryError, match="up to 2, the number of the study's replicates. Received: 3/4"):
        Execution(shard="3/4").chains(fake_study(replicates=2))


def test_every_chain_belongs_to_one_shard():
    for count in (1, 2, 3, 5):
        shards = [Execution(shard=f"{index}/{count}") for index in range(1, count + 1)]
        for replicate in range(7):
            assert sum(shard.ours(fake_spec(replicate=replicate)) for shard in shards) == 1


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"workers": 0}, "at least one worker. Received: 0"),
        ({"workers": -3}, "Received: -3"),
        ({"address": "host:1"}, "with --executor ray"),
        ({"executor": "ray", "gpus": -1.0}, "Received: -1.0"),
        ({"executor": "ray", "gpus": float("nan")}, "Received: nan"),
    ],
)
def test_bad_settings_are_one_line(wrong, said):
    with pytest.raises(LotteryError, match=said):
        Execution(**wrong)


@pytest.mark.parametrize(("executor", "workers"), [("local", 1025), ("ray", 10**12)])
def test_more_workers_than_any_machine_has_are_refused(executor, workers):
    with pytest.raises(LotteryError, match=f"at most .* workers .*{executor}.* Received: {workers:,}$"):
        Execution(executor, workers)
    assert Execution(executor, 1024).workers == 1024
