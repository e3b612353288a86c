"""Trains runs on a cluster, as tasks of Ray, on whichever nodes Ray chooses.

All nodes need this package and must see the study's directory under the same path. Ray restarts the
runs of a lost node on others, where they resume from their checkpoints.
"""

import functools
import logging
import os
import re
import socket
import time
from typing import Any

from tf_lottery.config import StudyConfig
from tf_lottery.drivers.execution import Execution, cores
from tf_lottery.drivers.ray_task import task, task_settings
from tf_lottery.errors import LotteryError
from tf_lottery.importing import imported
from tf_lottery.method.spec import RunSpec
from tf_lottery.native import quiet_stderr
from tf_lottery.runs.observe import StudyObserver
from tf_lottery.runs.outcome import Outcome
from tf_lottery.store.store import Store

RETRIES = 3
"""How often Ray restarts a run whose node or process is lost, before the driver is told."""
LOOK_SECONDS = 1.0
"""How long the cluster's size is cached."""
# If something other than Ray listens at the address: half a minute instead of a quarter of an hour.
_PATIENCE = {"RAY_NUM_REDIS_GET_RETRIES": "2", "RAY_py_gcs_connect_timeout_s": "5"}


class Cluster:
    """Trains on a Ray cluster.

    Args:
        study: The study whose runs are trained.
        store: The store that holds the study's runs.
        observer: The observer that hears the tasks' messages, and which nodes are lost.
        execution: The cluster's address, the GPUs of a run, and the number of runs at once.

    Raises:
        LotteryError: If Ray isn't installed, or no cluster with room for a run can be reached.
    """

    here = False

    def __init__(self, study: StudyConfig, store: Store, observer: StudyObserver, execution: Execution):
        if (strategy := study.training.strategy) in ("multi_worker", "tpu"):
            raise LotteryError(f"Expected training.strategy=one_device with Ray. Received: {strategy}")
        if execution.gpus and execution.gpus % 1 and not 0.01 <= execution.gpus <= 1:
            raise LotteryError(f"Expected --gpus of 0.01 to 1, or a whole number. Received: {execution.gpus}")
        self._observer, self._asked, self._cpus = observer, execution.workers, study.training.threads
        self._running: dict[Any, str] = {}  # a task's reference -> the key of its run
        self._nodes, self._slots, self._looked = {}, 0, float("-inf")
        self._connect(execution.address or os.environ.get("RAY_ADDRESS") or "local")
        default = float("GPU" in self._ray.cluster_resources())
        self._gpus = default if execution.gpus is None else execution.gpus
        remote = self._ray.remote(num_cpus=self._cpus, num_gpus=self._gpus, max_retries=RETRIES)(task)
        shared = task_settings(store, execution.strict_environment, self._gpus > 0, imported())
        self._start = functools.partial(remote.options(name=f"tf_lottery {study.name}").remote, shared)
        if not self.slots:
            self.close()
            raise LotteryError(
                f"Expected nodes with {self._cpus} processors (training.threads) and {self._gpus:g} GPUs "
                f"(--gpus) for each run. Received: {len(self._nodes)} nodes without. --workers waits for one."
            )

    @property
    def slots(self) -> int:
        """Return how many runs are trained at once: the number asked for, or as many as fit at present."""
        if time.monotonic() - self._looked > LOOK_SECONDS:
            self._looked = time.monotonic()
            nodes = {node["NodeID"]: node for node in self._ray.nodes() if node["Alive"]}
            for node in self._nodes.keys() - nodes.keys():
                self._observer.noted(f"node {self._nodes[node]} is lost; its runs continue on other nodes")
            self._nodes = {name: f"{node['NodeManagerHostname']} {name[:8]}" for name, node in nodes.items()}
            self._slots = sum(self._fit(node["Resources"]) for node in nodes.values())
        return self._asked or self._slots

    def check(self, study: StudyConfig) -> None:
        self._running[self._start(study=study.model_dump(mode="json"))] = ""
        while not (outcomes := self.wait(1)):
            pass
        if outcomes[0].kind == "damaged":
            raise outcomes[0].damage()
        if outcomes[0].kind != "finished":
            raise LotteryError(outcomes[0].detail)

    def submit(self, spec: RunSpec) -> None:
        self._running[self._start(run=spec.model_dump(mode="json"))] = spec.key

    def wait(self, seconds: float) -> list[Outcome]:
        ready, _ = self._ray.wait(list(self._running), timeout=seconds)
        if ready:
            ready, _ = self._ray.wait(list(self._running), num_returns=len(self._running), timeout=0)
        return [self._outcome(each, self._running.pop(each)) for each in ready]

    def close(self) -> None:
        for each in self._running:
            self._ray.cancel(each, force=True)
        self._running = {}
        if self._ours:
            self._ray.shutdown()
            self._ray._private.worker._worker_logs_enabled = True

    def _connect(self, address: str) -> None:
        options = {"include_dashboard": False, "log_to_driver": False, "logging_level": logging.ERROR}
        try:
            if address == "local":
                options |= {"num_cpus": max(cores(), self._cpus), "object_store_memory": 80 * 2**20}
            else:
                _expect_listener(address)
            import ray

            self._ray, self._ours = ray, not ray.is_initialized()
            if self._ours:
                with quiet_stderr():
                    ray.init(address, **options)
                # Ray's own messages about lost tasks would be printed into the middle of the table.
                ray._private.worker._worker_logs_enabled = False
        except ImportError as error:
            raise LotteryError(
                f"--executor ray needs Ray ({error}). Install it with: pip install 'tf_lottery[cluster]'"
            ) from error
        except Exception as error:  # whatever Ray raises: a wrong address, version or token
            raise LotteryError(
                f"Expected a Ray cluster at {address}. Received: {_line(error)}. `ray start` makes this "
                "machine a node, ray://host:10001 works from others, RAY_AUTH_MODE=token sends a token."
            ) from error

    def _fit(self, resources: dict[str, float]) -> int:
        """Return how many runs fit on a node at once. A run with part of a GPU uses a single GPU."""
        gpus, runs = int(resources.get("GPU", 0)), int(resources.get("CPU", 0) // self._cpus)
        if not self._gpus:
            return runs
        return min(runs, int(gpus / self._gpus) if self._gpus > 1 else gpus * int(1 / self._gpus))

    def _outcome(self, ref: Any, key: str) -> Outcome:
        try:
            outcome, notes = self._ray.get(ref)
        except self._ray.exceptions.RayTaskError as error:  # a bug here or in a user's model builder
            return Outcome(key, "ended", f"{_line(error.cause)} (process {error.pid} on {error.ip})")
        except self._ray.exceptions.RayError as error:
            return Outcome(key, "lost", f"its process on the cluster is lost ({_line(error)})")
        for text in notes:
            self._observer.noted(text)
        return Outcome(**outcome)


def _expect_listener(address: str) -> None:
    """Raise an OSError if nothing listens at `host:port`. Ray itself would keep trying for minutes."""
    if match := re.fullmatch(r"(?:ray://)?\[?([^/]+?)\]?:(\d+)", address):
        socket.create_connection((match[1], int(match[2])), timeout=5).close()
    os.environ.update(_PATIENCE | os.environ)


def _line(error: BaseException) -> str:
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text if len(text) < 300 else text[:300] + ' ...'}"
