"""Kills a node of a Ray cluster during a study, and shows that the results are the same to the last bit.

    python benchmarks/ray_node_lost.py [steps, 12000it]

LeNet with dropout on scikit-learn's digits, 4 rounds, 2 arms, 2 replicates, runs on a local cluster of
two nodes with a processor each, and then in one process. Needs tf_lottery[cluster] and Linux.
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from ray.cluster_utils import Cluster

sys.path.insert(0, str(Path(__file__).parent))
from same import contents, differences

HERE = Path(__file__).parent  # where networks.py is imported from
STUDY = """{name: node_lost, data: {name: digits, validation: 200}, model: {build: "networks:lenet_dropout"},
training: {steps: STEPS, evaluate_every: 250it, learning_rate: 0.0012}, pruning: {rate: 0.2, rounds: 4},
arms: {ticket: {}, random_reinit: {}}, replicates: 2, storage: {checkpoint_every: 500it}}"""


def lose(cluster: Cluster, study: Path, command: subprocess.Popen) -> tuple[int, int]:
    """Kill the second node during the study. Return its run's step, and where the run resumes elsewhere."""
    node, killed = next(iter(cluster.worker_nodes)), None
    raylet = Path(f"/proc/{node.all_processes['raylet'][0].process.pid}")
    while command.poll() is None:
        time.sleep(0.005)
        if killed is None and len(list(study.glob("runs/*/record.json"))) >= 4:
            processes = [pid for file in raylet.glob("task/*/children") for pid in file.read_text().split()]
            for file in (link.resolve() for pid in processes for link in Path(f"/proc/{pid}/fd").glob("*")):
                # The process that trains a run holds its lock.
                if file.parent == study / "locks" and (reached := progress(study, file.name)[1]) > 2000:
                    killed = file.name
            if killed is not None:
                cluster.remove_node(node, allow_graceful=False)
                for pid in processes:  # which would notice a second later
                    os.kill(int(pid), signal.SIGKILL)
        elif killed is not None and (first := progress(study, killed)[0]):
            return reached, first
    sys.exit("Expected a study in which a node is lost. Received: one that ended before.")


def progress(study: Path, run: str) -> list[int]:
    """Return the step where a run began or was resumed, its current step, and its last."""
    file = study / "runs" / run / "progress.json"
    return json.loads(file.read_text()) if file.exists() else [0, 0, 0]


def main(steps: str = "12000it") -> None:
    """Run the study twice, once with a lost node, compare, and print a line."""
    with tempfile.TemporaryDirectory() as top:
        config = Path(top).resolve() / "study.yaml"
        config.write_text(STUDY.replace("STEPS", steps))
        # In separate folders, since neighbouring studies take over each other's runs.
        lost, whole = (config.with_name(name) / "study" for name in ("lost", "whole"))
        run = [sys.executable, "-m", "tf_lottery", "run", str(config), "--output"]
        cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
        cluster.add_node(num_cpus=1)
        begun = time.monotonic()
        ray = [*run, str(lost), "--executor", "ray", "--address", cluster.address]
        command = subprocess.Popen(ray, cwd=HERE, stdout=subprocess.DEVNULL)
        reached, first = lose(cluster, lost, command)
        code, seconds = command.wait(), time.monotonic() - begun
        cluster.shutdown()
        subprocess.run([*run, str(whole), "--workers", "1"], cwd=HERE, stdout=subprocess.DEVNULL, check=True)
        files, differ = contents(whole), len(differences(lost, whole))
    runs = sum(name.endswith("record.json") for name in files)
    node = f"one lost past step {reached} of its run, which went on from step {first}"
    print(f"{runs} runs of {steps} in {seconds:.0f} s on two nodes, {node}:", end=" ")
    print(f"{differ} of {len(files)} files differ from one process's.")
    sys.exit(code or differ > 0)


if __name__ == "__main__":
    main(*sys.argv[1:])
