"""How small and fast an exported ticket is, compared with Keras's own export of the same model.

    python benchmarks/exports.py saved_models/mnist_lenet_demo --round 15

Writes to a temporary directory. Prints the sizes of the files, then the table of `tf-lottery export`, where
every latency stands beside the dense original's, measured in turns in one process.
"""

import argparse
import os
import sys
import tempfile
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import tf_lottery as lottery
from tf_lottery.exports import place
from tf_lottery.exports.formats.saved_model import write_dense, write_packed
from tf_lottery.exports.source import make_source
from tf_lottery.exports.trained import trained_run
from tf_lottery.paths import StudyPaths


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("study", help="a study's directory")
    parser.add_argument("--round", type=int, default=None, help="default: the sparsest matching one")
    parser.add_argument("--format", default="all")
    parser.add_argument("--weights", default=None)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    run = trained_run(StudyPaths(Path(options.study)), options.round)
    test, train = run.dataset.test, run.dataset.train
    with tempfile.TemporaryDirectory() as temporary:
        root = Path(temporary)
        source = make_source(run.model, (test.x, test.y))
        prunable = lottery.make_prunable(run.model)
        sizes = {}
        for name, write in {
            "Keras export, prunable": lambda path: prunable.export(path, verbose=False),
            "Keras export, stripped": lambda path: run.model.export(path, verbose=False),
            "savedmodel dense": lambda path: write_dense(source, path),
            "savedmodel packed": lambda path: write_packed(source, path),
        }.items():
            path = root / name.replace(" ", "_")
            write(path)
            sizes[name] = place.size(path)
        print(f"round {run.record.spec.round}, {run.record.density:.2%} of the weights")
        print(f"{'':26}{'kB':>10}{'times packed':>14}")
        for name, size in sizes.items():
            print(f"{name:26}{size / 1e3:10,.1f}{size / sizes['savedmodel packed']:14.1f}")
        report = lottery.export(
            run.model,
            root / "export",
            options.format,
            options.weights,
            test_data=(test.x, test.y),
            train_data=(train.x, train.y),
            original=run.original,
            threads=options.threads,
            noted=lambda line: print(f"  {line}", file=sys.stderr),
        )
        print(f"\n{report}")


if __name__ == "__main__":
    main()
