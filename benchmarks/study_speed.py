"""A whole study: with one worker, with two, and as the same steps and validations through Keras `fit`.

    python benchmarks/study_speed.py [--repeats 1] [--rounds 8] [--steps 5000]

2 replicates x 2 arms x 8 rounds of LeNet on MNIST, validation every 100 steps, start-up included; all on
the same two cores, one after the other, in turns. `fit` trains the plain network in its best setting,
which is found first, without pruning, rewinding and measuring the test set.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from networks import dataset, plain

EVERY = 100
SETTINGS = [(execution, jit) for execution in (1, 50, 100) for jit in ("auto", "off")]
TRIAL_EPOCHS, TRIALS = 20, 3


def study(rounds: int, steps: int) -> dict:
    """Return the study's config."""
    return {
        "name": "study_speed",
        "data": {"name": "mnist"},
        "training": {"steps": f"{steps}it", "evaluate_every": f"{EVERY}it"},
        "pruning": {"rate": 0.2, "layer_rates": {"output": 0.1}, "rounds": rounds},
        "arms": {"ticket": {}, "random_reinit": {}},
        "replicates": 2,
    }


def ours(config: dict, workers: int) -> float:
    """Return the seconds that `tf-lottery run` takes for a new study."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "study_speed.yaml")
        file.write_text(json.dumps(config))
        command = ["run", str(file), "--output", str(Path(folder, "out/study")), "--workers", str(workers)]
        began = time.perf_counter()
        subprocess.run([sys.executable, "-m", "tf_lottery", *command], check=True, stdout=subprocess.DEVNULL)
        return time.perf_counter() - began


def fit(trainings: int, steps: int, setting: str) -> float:
    """Return the seconds that this many trainings with `fit` take, in their own process."""
    began = time.perf_counter()
    command = [
        sys.executable,
        __file__,
        "--fit",
        setting,
        "--trainings",
        str(trainings),
        "--steps",
        str(steps),
    ]
    subprocess.run(command, check=True, env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"})
    return time.perf_counter() - began


def best_setting() -> str:
    """Return the fastest of `SETTINGS`, each measured for a few epochs after a warm-up."""
    command = [sys.executable, __file__, "--find"]
    run = subprocess.run(
        command, check=True, capture_output=True, text=True, env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
    )
    print(run.stdout, end="", flush=True)
    return run.stdout.splitlines()[-1].split()[-1]


def _train_by_fit(setting: str, trainings: int, steps: int) -> None:
    import keras
    import tensorflow as tf

    execution, jit = setting.split("/")
    data = dataset("lenet")
    pairs = tf.data.Dataset.from_tensor_slices((data.train.x, data.train.y)).cache().shuffle(60000).repeat()
    batches = pairs.batch(60, drop_remainder=True).prefetch(tf.data.AUTOTUNE)
    validation = tf.data.Dataset.from_tensor_slices((data.validation.x, data.validation.y))
    validation = validation.batch(1000).cache()
    for _ in range(trainings):
        model = plain("lenet", data)
        model.compile(
            keras.optimizers.Adam(0.0012),
            keras.losses.SparseCategoricalCrossentropy(from_logits=True),
            metrics=["accuracy"],
            jit_compile="auto" if jit == "auto" else False,
            steps_per_execution=int(execution),
        )
        epochs = {"steps_per_epoch": EVERY, "validation_data": validation, "verbose": 0}
        model.fit(batches, epochs=steps // EVERY, **epochs)


def _find() -> None:
    speeds = {f"{execution}/{jit}": [] for execution, jit in SETTINGS}
    _train_by_fit(next(iter(speeds)), 1, EVERY)  # imports, data
    for _ in range(TRIALS):
        for setting, each in speeds.items():
            began = time.perf_counter()
            _train_by_fit(setting, 1, EVERY)
            start = time.perf_counter() - began
            began = time.perf_counter()
            _train_by_fit(setting, 1, (TRIAL_EPOCHS + 1) * EVERY)
            each.append(EVERY * TRIAL_EPOCHS / (time.perf_counter() - began - start))
    for setting, each in speeds.items():
        execution, jit = setting.split("/")
        speed = f"{statistics.median(each):5.0f} steps/s, validated ({min(each):.0f} to {max(each):.0f})"
        print(f"fit, {execution:>3} steps an execution, XLA {jit:4}: {speed}")
    print("best:", max(speeds, key=lambda setting: statistics.median(speeds[setting])))


def main() -> None:
    """Measure in turns, and print medians and ratios."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--steps", type=int, default=5000)
    parser.add_argument("--fit", help=argparse.SUPPRESS)
    parser.add_argument("--find", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--trainings", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.find:
        return _find()
    if arguments.fit:
        return _train_by_fit(arguments.fit, arguments.trainings, arguments.steps)
    trainings = 2 * (1 + 2 * arguments.rounds)
    config = study(arguments.rounds, arguments.steps)
    setting = best_setting()
    seconds: dict[str, list[float]] = {"two workers": [], "one worker": [], "fit": []}
    for _ in range(arguments.repeats):
        seconds["two workers"].append(ours(config, 2))
        seconds["one worker"].append(ours(config, 1))
        seconds["fit"].append(fit(trainings, arguments.steps, setting))
        print({name: round(values[-1], 1) for name, values in seconds.items()}, flush=True)
    middle = {name: statistics.median(values) for name, values in seconds.items()}
    print(f"{trainings} trainings of {arguments.steps:,} steps, validated every {EVERY}:")
    for name, value in middle.items():
        print(f"  {name:12} {value:7.1f} s")
    print(f"Two workers are {middle['fit'] / middle['two workers']:.2f} times as fast as fit,")
    print(f"and {middle['one worker'] / middle['two workers']:.2f} times as fast as one worker.")
    return None


if __name__ == "__main__":
    main()
