"""Kills a tiny study just before each of its writes, and shows that its results are the same.

    python benchmarks/kill_points.py [--points 0] [--workers 2]

LeNet on digits, four rounds and a control of each, a checkpoint every 10 steps, curves and pictures
included. The study is run once to count the points: every rename, every flush to the disk, every file or
directory that it creates. Then, for each point, it is run in a fresh process that kills itself (SIGKILL)
there, run again to its end, and compared bit for bit: records, masks, weights, curves, and what TensorBoard
shows.
"""

import argparse
import builtins
import contextlib
import io
import json
import multiprocessing
import os
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

STUDY = {
    "name": "killed",
    "data": {"name": "digits", "validation": 200},
    "training": {"steps": "40it", "evaluate_every": "20it", "xla": False},
    "pruning": {"rate": 0.3, "rounds": 3},
    "arms": {"ticket": {}, "random_reinit": {}},
    "storage": {"checkpoint_every": "10it"},
}
FORKS = multiprocessing.get_context("forkserver")


def study(folder: Path) -> Path:
    """Return the study's path in its own folder, since it takes over what its neighbours have trained."""
    return folder / "study"


def run(folder: str, kill_at: int | None, counted: str) -> None:
    """Run the study in this process, which kills itself before point `kill_at`.

    Args:
        folder: The folder of the study.
        kill_at: The point, counted from 1, or None for never.
        counted: The file to which the number of points is written.
    """
    with open(os.devnull, "w") as nowhere:
        os.dup2(nowhere.fileno(), 1)
        os.dup2(nowhere.fileno(), 2)
    from tf_lottery import config_file
    from tf_lottery.cli.study_run import run_and_report

    seen = [0]

    def point(*paths: Any) -> None:
        inside = [isinstance(path, int) or str(path).startswith(folder) for path in paths]
        if any(inside):
            seen[0] += 1
            if seen[0] == kill_at:
                os.kill(os.getpid(), signal.SIGKILL)

    with _watched(point):
        code = run_and_report(config_file.validate(json.loads(json.dumps(STUDY))), study(Path(folder)))
    Path(counted).write_text(str(seen[0]))
    os._exit(code)


@contextlib.contextmanager
def _watched(point: Callable) -> Iterator[None]:
    """Call `point` with the paths, or the file, before each write of this process."""
    kept = {
        (module, name): getattr(module, name)
        for module, names in (
            (os, ("replace", "rename", "link", "fsync", "mkdir", "open")),
            (builtins, ("open",)),
            (io, ("open",)),
        )
        for name in names
    }

    def watched(name: str, plain: Callable) -> Callable:
        def call(*arguments, **settings):
            if name != "open":
                point(*arguments[:2])
            elif plain is kept[os, "open"]:
                if arguments[1] & os.O_CREAT:
                    point(arguments[0])
            elif set("wxa") & set(str(settings.get("mode", arguments[1] if len(arguments) > 1 else "r"))):
                point(arguments[0])
            return plain(*arguments, **settings)

        return call

    for (module, name), plain in kept.items():
        setattr(module, name, watched(name, plain))
    try:
        yield
    finally:
        for (module, name), plain in kept.items():
            setattr(module, name, plain)


def in_process(folder: Path, kill_at: int | None = None) -> int:
    """Run the study in a fresh process. Return how many points it passed, or -1 if it was killed."""
    counted = folder / "points"
    counted.unlink(missing_ok=True)
    process = FORKS.Process(target=run, args=(str(folder), kill_at, str(counted)))
    process.start()
    process.join()
    if process.exitcode == -signal.SIGKILL and kill_at is not None:
        return -1
    if process.exitcode:
        raise RuntimeError(f"the study ended with {process.exitcode}")
    return int(counted.read_text())


def shown(directory: Path) -> dict[str, list]:
    """Return what TensorBoard shows of a study: directory -> points of its curves."""
    from tensorboard.backend.event_processing.event_file_loader import EventFileLoader

    curves: dict[str, list] = {}
    for path in sorted(directory.glob("tensorboard/**/events*")):
        points = curves.setdefault(str(path.parent.relative_to(directory)), [])
        for event in EventFileLoader(str(path)).Load():
            points += [(v.tag, event.step, v.tensor.SerializeToString()) for v in event.summary.value]
    return {name: sorted(points) for name, points in curves.items()}


def killed(whole: Path, at: int) -> list[str]:
    """Kill the study at a point and run it to its end. Return the names of what differs."""
    from same import differences

    with tempfile.TemporaryDirectory() as folder:
        if in_process(Path(folder), at) != -1:
            return [
                "nothing: it ended before"
            ]  # progress is written twice a second, so the number of points varies by a few
        in_process(Path(folder))
        differing = differences(whole, study(Path(folder)))
        curves = shown(whole), shown(study(Path(folder)))
        return differing + sorted(n for n in curves[0] | curves[1] if curves[0].get(n) != curves[1].get(n))


def main() -> None:
    """Count the points, kill the study at them, compare, and print the result."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--points", type=int, default=0, help="how many, spread evenly; 0: all")
    parser.add_argument("--first", type=int, default=1, help="point to begin with")
    parser.add_argument("--workers", type=int, default=2, help="kills side by side")
    arguments = parser.parse_args()
    os.environ |= {"TF_CPP_MIN_LOG_LEVEL": "3", "MPLBACKEND": "agg"}
    FORKS.set_forkserver_preload(["tensorflow", "keras", "matplotlib.pyplot", "tf_lottery.cli.study_run"])
    with tempfile.TemporaryDirectory() as folder:
        points = in_process(Path(folder))
        step = max(1, points // arguments.points) if arguments.points else 1
        chosen = range(arguments.first, points + 1, step)
        print(f"{points} points of which {len(chosen)} are tried", flush=True)
        with ThreadPoolExecutor(arguments.workers) as pool:
            results = []
            for at, differing in pool.map(lambda at: (at, killed(study(Path(folder)), at)), chosen):
                results.append((at, differing))
                if differing:
                    print(f"point {at}: differs in {', '.join(differing[:4])}", flush=True)
                if len(results) % 10 == 0:
                    print(f"{len(results)} of {len(chosen)}", flush=True)
    early = [at for at, differing in results if differing and differing[0].startswith("nothing")]
    worse = [(at, differing) for at, differing in results if differing and at not in early]
    tried = len(results) - len(early)
    print(f"{tried - len(worse)} of {tried} kills resumed to the same bits, curves included")
    sys.exit(bool(worse))


if __name__ == "__main__":
    main()
