"""A worker process: trains the runs it is sent, one after the other.

`python -m tf_lottery.drivers.worker SETTINGS`, with messages as JSON objects, one a line, on
standard input and output. It ends when its input does, since the process that started it has ended.
"""

import contextlib
import json
import os
import queue
import signal
import sys
import threading
import traceback
from pathlib import Path
from typing import Any

from tf_lottery.config import StorageConfig, StudyConfig
from tf_lottery.errors import DamagedError
from tf_lottery.importing import import_modules
from tf_lottery.method.spec import RunSpec
from tf_lottery.paths import StudyPaths
from tf_lottery.runs.observe import StudyObserver
from tf_lottery.runs.observers import training_observer
from tf_lottery.store.store import Store


class _Notes(StudyObserver):
    def __init__(self, send):
        self._send = send

    def noted(self, text: str) -> None:
        self._send({"note": text})


def main() -> None:
    """Serve until the input ends."""
    # The driver handles Ctrl-C and a closed terminal, and ends this process then.
    for name in ("SIGINT", "SIGHUP"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)
    settings = json.loads(sys.argv[1])
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what a user's own code prints goes to the log

    def send(message: dict[str, Any]) -> None:
        answers.write(json.dumps(message) + "\n")
        answers.flush()

    messages: queue.Queue[dict[str, Any]] = queue.Queue()
    threading.Thread(target=_listen, args=(messages,), daemon=True).start()
    store = Store(StudyPaths(Path(settings["directory"])), StorageConfig(**settings["storage"]))
    import_modules(settings["imports"])
    _serve(store, messages, send, settings["strict_environment"])


def _listen(messages: queue.Queue) -> None:
    for line in sys.stdin:
        messages.put(json.loads(line))
    os._exit(0)


def _serve(store: Store, messages: queue.Queue, send, strict_environment: bool) -> None:
    from tf_lottery.runs.attempt import attempt, check
    from tf_lottery.runs.trainers import Trainers

    trainers, observer = Trainers(), training_observer(store, _Notes(send))

    def answer(message: dict[str, Any]) -> dict[str, Any] | None:
        if "check" in message:
            return {"checked": check(StudyConfig.model_validate(message["check"]), store, trainers)}
        if "warm_up" in message:
            with contextlib.suppress(Exception):  # the worker that checks reports what is wrong
                check(StudyConfig.model_validate(message["warm_up"]), store, trainers)
            return None
        spec = RunSpec.model_validate(message["run"])
        return {"outcome": attempt(spec, store, trainers, observer, strict_environment).as_json()}

    while True:
        try:
            if (reply := answer(messages.get())) is not None:
                send(reply)
        except DamagedError as error:
            send({"damaged": [str(error), error.key, str(error.path)]})
        except Exception as error:  # a bug in this package or in a user's model builder
            traceback.print_exc()
            send({"ended": f"{type(error).__name__}: {' '.join(str(error).split())}"})


if __name__ == "__main__":
    main()
