"""Trains in worker processes of this machine, side by side."""

import itertools
import json
import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tf_lottery.config import StudyConfig
from tf_lottery.drivers.execution import visible_gpus
from tf_lottery.errors import DamagedError, LotteryError, StudyError
from tf_lottery.method.spec import RunSpec
from tf_lottery.runs.observe import StudyObserver
from tf_lottery.runs.outcome import Outcome
from tf_lottery.store.store import Store


class Workers:
    """Trains in worker processes of this machine, which start when they are needed.

    Args:
        store: The store that holds the study's runs.
        slots: The greatest number of processes at once.
        observer: The observer that hears the workers' messages.
        strict_environment: Whether to refuse runs of other package versions or processors, as in `attempt`.
        imports: The modules that the processes import first.
    """

    here = False

    def __init__(
        self,
        store: Store,
        slots: int,
        observer: StudyObserver,
        strict_environment: bool = False,
        imports: Sequence[str] = (),
    ):
        self.slots = slots
        self._store, self._observer = store, observer
        self._settings = {
            "directory": str(store.paths.root),
            "storage": store.storage.model_dump(mode="json"),
            "strict_environment": strict_environment,
            "imports": list(imports),
        }
        self._workers: list[_Worker] = []
        self._numbers = itertools.count(1)
        self._messages: queue.Queue[tuple[_Worker, dict[str, Any] | None]] = queue.Queue()

    def check(self, study: StudyConfig) -> None:
        worker, settings = self._idle(), study.model_dump(mode="json")
        worker.send({"check": settings})
        # At first each replicate has a run to train, so their workers start while the first one checks.
        for _ in range(len(self._workers), min(self.slots, study.replicates)):
            self._new().send({"warm_up": settings})
        while True:
            sender, message = self._messages.get()
            if sender is not worker:
                self._heard(sender, message)
                continue
            if message is None:
                self._workers.remove(worker)
                raise StudyError(f"The first worker {worker.end()} before it could start. See {worker.log}.")
            if "damaged" in message:
                text, key, path = message["damaged"]
                raise DamagedError(text, key, Path(path))
            if "ended" in message:
                raise StudyError(f"{message['ended']}; see {worker.log}")
            if "checked" in message:
                worker.answered = True
                break
            self._observer.noted(message["note"])
        if message["checked"] is not None:
            raise LotteryError(message["checked"])

    def submit(self, spec: RunSpec) -> None:
        worker = self._idle()
        worker.spec = spec
        worker.send({"run": spec.model_dump(mode="json")})

    def wait(self, seconds: float) -> list[Outcome]:
        outcomes = []
        try:
            outcomes += self._heard(*self._messages.get(timeout=seconds))
            while True:
                outcomes += self._heard(*self._messages.get_nowait())
        except queue.Empty:
            return outcomes

    def close(self) -> None:
        for worker in self._workers:
            worker.stop()
        self._workers = []

    def _heard(self, worker: "_Worker", message: dict[str, Any] | None) -> list[Outcome]:
        if worker not in self._workers:
            return []
        if message is None:
            self._workers.remove(worker)
            reason = f"worker {worker.number} {worker.end()}"
            if worker.spec is None:
                self._observer.noted(f"{reason}; it had nothing to train")
                return []
            if worker.failed_to_start:
                return [
                    Outcome(worker.spec.key, "ended", f"{reason} before it could train; see {worker.log}")
                ]
            return [Outcome(worker.spec.key, "lost", reason)]
        worker.answered = True
        if "note" in message:
            self._observer.noted(message["note"])
            return []
        spec, worker.spec = worker.spec, None
        if "ended" in message:
            return [Outcome(spec.key, "ended", f"{message['ended']}; see {worker.log}")]
        return [Outcome(**message["outcome"])]

    def _idle(self) -> "_Worker":
        for worker in self._workers:
            if worker.spec is None:
                return worker
        return self._new()

    def _new(self) -> "_Worker":
        worker = _Worker(next(self._numbers), self._store, self._settings, self._messages)
        self._workers.append(worker)
        return worker


class _Worker:
    """A process that trains the runs it is sent, as one JSON object on each line."""

    def __init__(self, number: int, store: Store, settings: dict[str, Any], messages: queue.Queue):
        self.number, self.spec, self.answered = number, None, False
        self.log = store.paths.worker_log(number)
        environment = dict(os.environ)
        if gpus := visible_gpus():
            # Several runs may share a GPU, so none may take all of its memory at once.
            environment["CUDA_VISIBLE_DEVICES"] = gpus[(number - 1) % len(gpus)]
            environment.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")
        try:
            with self.log.open("ab") as log:
                self._process = subprocess.Popen(
                    [sys.executable, "-m", "tf_lottery.drivers.worker", json.dumps(settings)],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=log,
                    text=True,
                    env=environment,
                )
        except OSError as error:
            raise StudyError(
                f"A worker can't be started: {error}. Free memory or disk space, or use fewer --workers."
            ) from error
        threading.Thread(target=self._listen, args=(messages,), daemon=True).start()

    def send(self, message: dict[str, Any]) -> None:
        """Send a message. If the worker has ended, the end of its output says so."""
        try:
            self._process.stdin.write(json.dumps(message) + "\n")
            self._process.stdin.flush()
        except OSError:
            pass

    def end(self) -> str:
        """Return how the process ended, in words."""
        code = self._process.wait()
        if code >= 0:
            return f"(process {self._process.pid}) ended with code {code}"
        name = signal.Signals(-code).name
        memory = ", perhaps for lack of memory" if name == "SIGKILL" else ""
        return f"(process {self._process.pid}) was ended by {name}{memory}"

    @property
    def failed_to_start(self) -> bool:
        """Return whether the process ended by itself without an answer, so that no run is to blame."""
        return not self.answered and self._process.wait() > 0

    def stop(self) -> None:
        """End the process by closing its input, or by force after five seconds."""
        try:
            self._process.stdin.close()
            self._process.wait(timeout=5)
        except (OSError, subprocess.TimeoutExpired):
            self._process.kill()
            self._process.wait()

    def _listen(self, messages: queue.Queue) -> None:
        try:
            for line in self._process.stdout:
                messages.put((self, json.loads(line)))
        except ValueError:
            self._process.kill()  # half a line: the process has ended or is broken
        finally:
            messages.put((self, None))
