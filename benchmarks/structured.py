"""A structured ticket, made smaller and exported, beside an unstructured one of equally many weights.

    python benchmarks/structured.py lenet conv2 [--output saved_models] [--threads 1]

Half of the units of each layer but the output (of a convolution's filters) are pruned as a whole, by
`pruning.pattern: units`, and `lottery.compact` removes them with the weights that read them. The unstructured
ticket keeps as many single weights in each layer as the smaller network has. Both start from one dense run.
Latencies of the exports are measured in turns with the dense network's, in the same runtime.
"""

import argparse
import json
import os
import statistics
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import tf_lottery as lottery
from tf_lottery.config_file import load_config
from tf_lottery.drivers.run_study import run_study
from tf_lottery.exports.trained import trained_run
from tf_lottery.paths import StudyPaths

BATCHES = ("1", "32", "256")
FORMATS = {
    "unstructured": (("savedmodel", "packed"), ("litert", "float"), ("litert", "sparse")),
    "structured": (("savedmodel", "dense"), ("litert", "float")),
}
COMMON = ["storage.keep=weights", "arms={ticket: {}}"]
NETWORKS: dict[str, tuple[str, int, list[str], dict[str, dict[str, Any]]]] = {
    "lenet": (
        "mnist_lenet_demo",
        3,
        ["replicates=3", "training.steps=5000it"],
        {
            "structured": {"pattern": "units", "rate": 0.2063, "layer_rates": {"output": 0}},
            "unstructured": {"rate": 0.2063, "layer_rates": {"hidden2": 0.37004}},
        },
    ),
    "conv2": (
        "cifar10_conv2",
        1,
        [
            "replicates=1",
            "training.steps=200it",
            "training.evaluate_every=200it",
            "training.learning_rate=0.001",
            "training.threads=1",
            "data.share=0.2",
            "data.validation=1000",
        ],
        {
            "structured": {"pattern": "units", "rate": 0.5, "layer_rates": {"output": 0}},
            "unstructured": {"rate": 0.75, "layer_rates": {"conv1": 0.5, "output": 0.5}},
        },
    ),
}
"""Network -> shipped config, rounds, settings, and the pruning of either ticket."""


def train(network: str, output: Path) -> dict[str, list]:
    """Train both studies; return name -> records. The second takes the dense run over from the first."""
    config, rounds, settings, tickets = NETWORKS[network]
    records = {}
    for name, pruning in tickets.items():
        overrides = [*COMMON, *settings, f"name={network}_{name}"]
        overrides.append(f"pruning={json.dumps({'rounds': rounds, **pruning})}")
        study = load_config(config, overrides)
        records[name] = run_study(study, output / f"{network}_{name}")
    return records


def exported(network: str, output: Path, threads: int) -> Iterator[tuple[str, Any]]:
    """Export both tickets of replicate 0; yield a name and a row of an export's report."""
    for name, formats in FORMATS.items():
        run = trained_run(StudyPaths(output / f"{network}_{name}"), NETWORKS[network][1])
        test = run.dataset.test
        with tempfile.TemporaryDirectory() as temporary:
            for format, weights in formats:
                report = lottery.export(
                    run.model,
                    Path(temporary) / (f"{weights}.tflite" if format == "litert" else format),
                    format,
                    weights,
                    test_data=(test.x, test.y),
                    original=run.original,
                    compact=name == "structured",
                    threads=threads,
                    noted=lambda line: print(f"  {line}", file=sys.stderr),
                )
                yield name, report.rows[0]


def print_records(network: str, records: dict[str, list]) -> None:
    """Print the accuracies of the dense network and of both tickets, over all replicates."""
    rounds = NETWORKS[network][1]
    print(f"\n{network}: test accuracy at early stop, mean over replicates (lowest to highest)")
    for name, each in records.items():
        for round in (0, rounds) if name == "structured" else (rounds,):
            found = [record for record in each if record.spec.round == round]
            accuracies = [100 * record.early_stop_test_accuracy for record in found]
            print(
                f"  {name if round else 'dense':14}{found[0].density:8.2%} of the weights, "
                f"{found[0].effective_density:.2%} effective  {statistics.mean(accuracies):.2f}% "
                f"({min(accuracies):.2f} to {max(accuracies):.2f})"
            )


def print_rows(rows: Iterator[tuple[str, Any]]) -> None:
    """Print what was measured of the exports."""
    at = "".join(f"{'us at ' + batch:>13}{'gain':>7}" for batch in BATCHES)
    print(f"  {'replicate 0':14}{'':19}{'weights':>11}{'kB':>9}{'.tar.gz':>9}{'of dense':>9}{'test':>8}{at}")
    for name, row in rows:
        latency = "".join(f"{1e6 * row.latency[b]:13,.0f}{row.gain(b):6.2f}x" for b in BATCHES)
        print(
            f"  {name:14}{row.name:19}{row.cost.surviving_weights:11,}{row.bytes / 1e3:9,.1f}"
            f"{row.compressed_bytes / 1e3:9,.1f}{row.bytes / row.dense_bytes:9.1%}"
            f"{row.verified.accuracy:8.2%}{latency}",
            flush=True,
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("networks", nargs="+", choices=NETWORKS)
    parser.add_argument("--output", type=Path, default=None, help="keeps the studies; default: temporary")
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        output = options.output or Path(temporary)
        for network in options.networks:
            print_records(network, train(network, output))
            print_rows(exported(network, output, options.threads))


if __name__ == "__main__":
    main()
