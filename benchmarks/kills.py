"""Kills a study again and again, at random moments, and shows that its results are the same.

    python benchmarks/kills.py [--kills 30] [--workers 2] [--seed 0] [--steps 30000]

LeNet with dropout on digits, 4 rounds, 2 arms, 2 replicates, is run once without interruption, and once
with `kill -9` of the whole process group after random times, until it is finished. Then records,
masks, weights and curves are compared bit for bit.
"""

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from same import contents, differences

STUDY = {
    "name": "kills",
    "data": {"name": "digits", "validation": 200},
    "model": {"build": "networks:lenet_dropout"},
    "training": {"evaluate_every": "500it", "learning_rate": 0.0012},
    "pruning": {"rate": 0.2, "layer_rates": {"output": 0.1}, "rounds": 4},
    "arms": {"ticket": {}, "random_reinit": {}},
    "replicates": 2,
    "storage": {"checkpoint_every": "1s"},
}


def start(config: Path, directory: Path, workers: int) -> subprocess.Popen:
    """Start `tf-lottery run` as the leader of its own process group."""
    command = [sys.executable, "-m", "tf_lottery", "run", str(config), "--output", str(directory)]
    return subprocess.Popen(
        [*command, "--workers", str(workers)],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parent)},
        start_new_session=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


def state(directory: Path) -> str:
    """Return a description of how far a study is."""
    finished = len(list(directory.glob("runs/*/record.json")))
    checkpoints = len(list(directory.glob("runs/*/checkpoint.npz")))
    return f"{finished} of 18 runs finished, {checkpoints} in progress with a checkpoint"


def main() -> None:
    """Run the study, kill it, compare, and print the result."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=30)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    parser.add_argument("--steps", type=int, default=30000, help="of a run")
    parser.add_argument("--longest", type=float, default=14.0, help="seconds until a kill, at most")
    arguments = parser.parse_args()
    moments = random.Random(arguments.seed)
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder, "kills.yaml")
        training = STUDY["training"] | {"steps": f"{arguments.steps}it"}
        config.write_text(json.dumps(STUDY | {"training": training}))
        # In separate folders, since a study takes over what its neighbours have trained.
        whole, killed = Path(folder, "whole/study"), Path(folder, "killed/study")
        began = time.monotonic()
        if start(config, whole, arguments.workers).wait():
            sys.exit("The uninterrupted study failed.")
        print(f"Without interruption: {time.monotonic() - began:.0f} s, {state(whole)}", flush=True)
        kills = 0
        while kills < arguments.kills:
            wait = moments.uniform(0.2, arguments.longest)
            process = start(config, killed, arguments.workers)
            try:
                code = process.wait(wait)
                sys.exit(f"It ended (code {code}) after {kills} kills: make the runs longer with --steps.")
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
            kills += 1
            print(f"Kill {kills:2} after {wait:4.1f} s: {state(killed)}", flush=True)
        process = start(config, killed, arguments.workers)
        if process.wait():
            sys.exit(f"The last start failed: {process.stderr.read()}")
        differ = differences(whole, killed)
        print(
            f"{kills} kills; compared {len(contents(whole))} files of 18 runs: {len(differ)} differ {differ}"
        )
        sys.exit(bool(differ))


if __name__ == "__main__":
    main()
