"""Races contenders against each other. Each has its own process, which is pinned to its cores
and warmed up; then all are measured in turns, so that a change of the machine's speed affects all alike.

A contender is a function `(network) -> train(steps)` in `contenders.py`.
"""

import argparse
import os
import resource
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Contender:
    """One line of the table.

    Attributes:
        function: The name of a function of `contenders.py`.
        cores: The number of cores that it may use.
        options: The function's options, each as the text `key=value`.
    """

    function: str
    cores: int
    options: tuple[str, ...] = ()


def race(network: str, contenders: dict[str, Contender], steps: int, repeats: int) -> dict[str, dict]:
    """Return contender -> {"speeds": steps per second of each repeat, "memory": peak in MB}.

    A contender that can't start, such as one whose package is missing, is left out, and the reason printed.
    """
    started = {}
    for name, contender in contenders.items():
        command = [
            sys.executable, __file__, network, contender.function, str(contender.cores), str(steps),
            *contender.options,
        ]  # fmt: skip
        started[name] = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
        )  # fmt: skip
    processes = {}
    for name, process in started.items():
        if process.stdout.readline() == "ready\n":
            processes[name] = process
        else:
            reason = (process.communicate()[1].strip() or "no reason given").splitlines()[-1]
            print(f"left out: {name} ({reason})", file=sys.stderr)
    results = {name: {"speeds": [], "memory": 0.0} for name in processes}
    for repeat in range(repeats):
        for name, process in processes.items():
            if sys.stderr.isatty():
                print(f"\r{network}: {repeat + 1} of {repeats}, {name:50}", end="", file=sys.stderr)
            process.stdin.write("go\n")
            process.stdin.flush()
            speed, memory = process.stdout.readline().split()
            results[name]["speeds"].append(float(speed))
            results[name]["memory"] = float(memory)
    if sys.stderr.isatty():
        print("\r" + " " * 90 + "\r", end="", file=sys.stderr)
    for process in processes.values():
        process.stdin.close()
        process.wait()
    return results


def median(result: dict) -> float:
    """Return a contender's median speed."""
    return statistics.median(result["speeds"])


def ratio(results: dict[str, dict], name: str, other: str) -> float:
    """Return the median over repeats of how many times faster `name` was than `other`."""
    pairs = zip(results[name]["speeds"], results[other]["speeds"], strict=True)
    return statistics.median(a / b for a, b in pairs)


def _worker() -> None:
    """Warm up, then measure once for each line of standard input."""
    parser = argparse.ArgumentParser()
    for name in ("network", "function", "cores", "steps"):
        parser.add_argument(name)
    parser.add_argument("options", nargs="*")
    arguments = parser.parse_args()
    cores, steps = int(arguments.cores), int(arguments.steps)
    # The last cores, since other processes of the machine tend to use the first.
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[-cores:])
    sys.path.insert(0, str(Path(__file__).parent))
    import contenders

    options = dict(option.split("=", 1) for option in arguments.options)
    train = getattr(contenders, arguments.function)(arguments.network, cores=cores, **options)
    train(steps)
    print("ready", flush=True)
    for _ in sys.stdin:
        began = time.perf_counter()
        train(steps)
        speed = steps / (time.perf_counter() - began)
        print(speed, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, flush=True)


if __name__ == "__main__":
    _worker()
