"""Which of several processes this one is, according to TensorFlow's `TF_CONFIG`.

With `training.strategy: multi_worker` the same command runs on every machine, and only the
chief writes.
"""

import json
import os
from dataclasses import dataclass

from tf_lottery.errors import LotteryError

MULTI_WORKER = "multi_worker"
_EXAMPLE = (
    '\'{"cluster": {"worker": ["host1:12345", "host2:12345"]}, "task": {"type": "worker", "index": 0}}\''
)


@dataclass(frozen=True)
class Worker:
    """One of the processes that train together.

    Attributes:
        index: The worker's number, counted from 0. Worker 0 is the chief.
        count: The number of workers.
    """

    index: int = 0
    count: int = 1

    @property
    def chief(self) -> bool:
        """Whether this worker is the one that writes."""
        return self.index == 0


def this_worker(strategy: str) -> Worker:
    """Return which worker this process is.

    Args:
        strategy: The study's `training.strategy`.

    Raises:
        LotteryError: If the strategy is `multi_worker` and `TF_CONFIG` doesn't name workers.
    """
    if strategy != MULTI_WORKER:
        return Worker()
    text = os.environ.get("TF_CONFIG", "")
    try:
        settings = json.loads(text)
        workers, task = settings["cluster"]["worker"], settings["task"]
        worker = Worker(int(task["index"]), len(workers))
        in_range = isinstance(workers, list) and 0 <= worker.index < worker.count
        if task["type"] != "worker" or len(settings["cluster"]) != 1 or not in_range:
            raise ValueError("workers only")
    except (ValueError, KeyError, TypeError) as error:
        raise LotteryError(
            f"Expected TF_CONFIG={_EXAMPLE} (one index each, worker 0 is the chief), since training.strategy "
            f"is {MULTI_WORKER}. Received: {text or 'none'}"
        ) from error
    return worker
