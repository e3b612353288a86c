"""Who trains runs on a cluster: Ray's tasks, wherever Ray puts them.

All nodes have this package, and see the study's directory under the same path. Ray starts a lost
node's runs again elsewhere, where they go on from their checkpoints.
"""

import functools
import logging
import os
import re
import socket
import time
import warnings
from typing import Any

from tf_lottery.config import StudyConfig
from tf_lottery.errors import LotteryError
from tf_lottery.experiment.cluster_task import settings, task
from tf_lottery.experiment.execution import Execution, cores
from tf_lottery.experiment.observe import StudyObserver
from tf_lottery.experiment.outcome import Outcome
from tf_lottery.experiment.spec import RunSpec
from tf_lottery.experiment.store import Store
from tf_lottery.native import quiet_stderr

RETRIES = 3
"""How often Ray starts a run again whose node or process is gone, before the driver hears of it."""
LOOK_SECONDS = 3.0
"""How long the cluster's size is believed."""
_STORE_BYTES = 80 * 2**20  # Ray's least; only settings and outcomes travel
# Where something else than Ray answers, Ray would try for a quarter of an hour.
_PATIENCE = {"RAY_NUM_REDIS_GET_RETRIES": "2", "RAY_py_gcs_connect_timeout_s": "5"}


class Cluster:
    """Trains on a Ray cluster.

    Args:
        study: whose runs they are.
        store: of the study.
        observer: hears what tasks note, and which nodes are gone.
        execution: the cluster's address, GPUs a run, how many runs at once.

    Raises:
        LotteryError: without Ray, or a cluster that can be reached and has room for a run.
    """

    here = False

    def __init__(self, study: StudyConfig, store: Store, observer: StudyObserver, execution: Execution):
        if study.training.strategy in ("multi_worker", "tpu"):
            raise LotteryError(
                "Expected training.strategy auto, one_device or mirrored with --executor ray. "
                f"Received: {study.training.strategy}"
            )
        if execution.gpus and execution.gpus > 1 and execution.gpus % 1:
            raise LotteryError(f"Expected --gpus of at most 1, or a whole number. Received: {execution.gpus}")
        self._observer, self._asked, self._cpus = observer, execution.workers, study.training.threads
        self._running: dict[Any, str] = {}
        self._nodes: dict[str, str] = {}
        self._slots, self._looked = 0, float("-inf")
        self._connect(execution.address or os.environ.get("RAY_ADDRESS") or "local")
        there = "GPU" in self._ray.cluster_resources()
        self._gpus = float(there) if execution.gpus is None else execution.gpus
        remote = self._ray.remote(num_cpus=self._cpus, num_gpus=self._gpus, max_retries=RETRIES)(task)
        told = settings(store, execution.strict_environment, bool(self._gpus))
        self._start = functools.partial(remote.remote, told)
        if not self.slots:
            self.close()
            raise LotteryError(
                f"Expected nodes with {self._cpus} processors (training.threads) and {self._gpus:g} GPUs "
                f"(--gpus) for each run. Received: {len(self._nodes)} nodes without. --workers waits for one."
            )

    @property
    def slots(self) -> int:
        """How many runs are trained at once: as many as were asked for, or fit at present."""
        if time.monotonic() - self._looked > LOOK_SECONDS:
            self._looked = time.monotonic()
            nodes = {node["NodeID"]: node for node in self._ray.nodes() if node["Alive"]}
            for node in self._nodes.keys() - nodes.keys():
                self._observer.noted(f"node {self._nodes[node]} is gone; its runs go on elsewhere")
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
        if ready:  # then all that are
            ready, _ = self._ray.wait(list(self._running), num_returns=len(self._running), timeout=0)
        return [self._outcome(each, self._running.pop(each)) for each in ready]

    def close(self) -> None:
        for each in self._running:
            self._ray.cancel(each, force=True)
        self._running = {}
        if self._ours:
            self._ray.shutdown()

    def _connect(self, address: str) -> None:
        try:
            if address != "local":
                _listens(address)
                os.environ.update(_PATIENCE | os.environ)
            import ray

            self._ray, self._ours = ray, not ray.is_initialized()
            options = {"num_cpus": max(cores(), self._cpus), "object_store_memory": _STORE_BYTES}
            quiet = {"include_dashboard": False, "log_to_driver": False, "logging_level": logging.ERROR}
            if self._ours:
                with quiet_stderr(), warnings.catch_warnings(action="ignore"):
                    ray.init(address, **(options if address == "local" else {}), **quiet)
        except ImportError as error:
            raise LotteryError(
                f"Expected Ray with --executor ray. Received: {error}. pip install 'tf_lottery[cluster]'"
            ) from error
        except Exception as error:  # whatever Ray has: an address, a version, a token that doesn't fit
            raise LotteryError(
                f"Expected a Ray cluster at {address} that has this machine as a node. Received: "
                f"{_line(error)}. `ray start --head` starts one; set RAY_AUTH_MODE=token if it wants a token."
            ) from error

    def _fit(self, resources: dict[str, float]) -> int:
        """How many runs fit on a node. A part of a GPU is one of the same GPU."""
        gpus, runs = int(resources.get("GPU", 0)), int(resources.get("CPU", 0) // self._cpus)
        if not self._gpus:
            return runs
        return min(runs, int(gpus / self._gpus) if self._gpus > 1 else gpus * int(1 / self._gpus))

    def _outcome(self, ref: Any, key: str) -> Outcome:
        try:
            outcome, notes = self._ray.get(ref)
        except self._ray.exceptions.RayTaskError as error:  # a defect, of ours or of a user's model builder
            return Outcome(key, "ended", f"{_line(error.cause)} (process {error.pid} on {error.ip})")
        except self._ray.exceptions.RayError as error:
            return Outcome(key, "lost", f"its process on the cluster is gone ({_line(error)})")
        for text in notes:
            self._observer.noted(text)
        return Outcome(**outcome)


def _listens(address: str) -> None:
    """Raise an OSError if nothing listens at `host:port`: Ray would try for minutes."""
    if found := re.fullmatch(r"(?:ray://)?\[?([^/]+?)\]?:(\d+)", address):
        socket.create_connection((found[1], int(found[2])), timeout=5).close()


def _line(error: BaseException) -> str:
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text if len(text) < 300 else text[:300] + ' ...'}"
