"""Steps per second on LeNet-300-100 and MNIST, batch 60, Adam: our loop and Keras `fit`.

Each contender is a process of its own, pinned to its cores, warmed up, and measured in
turn with the others, so that a change of the machine's speed hits all alike. Prints
medians and ratios.

    python benchmarks/lenet_steps.py [--repeats 5] [--steps 900]
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time

ONE_CORE, TWO_CORES = 1, 2
FIT = {  # every setting a user would try
    "fit, NumPy arrays": {"source": "numpy"},
    "fit, tf.data": {"source": "tf.data"},
    "fit, tf.data, 50 steps an execution": {"source": "tf.data", "steps_per_execution": 50},
    "fit, NumPy arrays, 50 steps an execution": {"source": "numpy", "steps_per_execution": 50},
    "fit, tf.data, 50 steps, XLA off": {"source": "tf.data", "steps_per_execution": 50, "jit": False},
    "fit, tf.data, XLA on": {"source": "tf.data", "jit": True},
}
CONTENDERS = {
    "our loop, masks (20% density)": ONE_CORE,
    "our loop, no masks": ONE_CORE,
    **dict.fromkeys(FIT, TWO_CORES),
}


def dataset():
    """MNIST, split as the configs do."""
    from tf_lottery.config import DataConfig
    from tf_lottery.data import sources, split

    config = DataConfig(name="mnist")
    return split.split(sources.load(config), config)


def our_loop(name):
    """Return a function that trains some steps with our loop."""
    import keras

    from tf_lottery.config import ModelConfig, TrainingConfig
    from tf_lottery.data.order import BatchOrder
    from tf_lottery.layers.access import prune
    from tf_lottery.layers.convert import make_prunable
    from tf_lottery.models.build import build
    from tf_lottery.training import compile_rule, optimizers, strategy
    from tf_lottery.training.loop import Loop

    training, data = TrainingConfig(), dataset()
    compile_rule.configure(training)
    model = build(ModelConfig(), data.input_shape, data.classes, seed=0)
    scope = strategy.make("one_device")
    with scope.scope():
        if "no masks" in name:
            model = keras.models.clone_model(model)
        else:
            model = make_prunable(model)
            prune(model, rate=0.8)
        optimizer = optimizers.make_optimizer(training)
        optimizer.build(model.trainable_variables)
    loss = optimizers.make_loss(training, data.classes)
    xla = compile_rule.use_xla(model, training.xla, "CPU", 1)
    loop = Loop(model, optimizer, loss, data.train, training.batch_size, scope, xla)
    order = BatchOrder(0, len(data.train), training.batch_size)
    return lambda steps: loop.run(0, order, [steps], lambda step, passed: None)


def keras_fit(name):
    """Return a function that trains some steps with `model.fit`."""
    import keras
    import tensorflow as tf

    from tf_lottery.config import ModelConfig
    from tf_lottery.models.build import build

    setting, data = FIT[name], dataset()
    model = build(ModelConfig(), data.input_shape, data.classes, seed=0)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(
        keras.optimizers.Adam(0.0012),
        loss,
        jit_compile=setting.get("jit", "auto"),
        steps_per_execution=setting.get("steps_per_execution", 1),
    )
    x, y = data.train.x, data.train.y

    def fit(steps):
        if setting["source"] == "numpy":
            model.fit(x[: steps * 60], y[: steps * 60], batch_size=60, epochs=1, verbose=0)
        else:
            model.fit(batches, steps_per_epoch=steps, epochs=1, verbose=0)

    if setting["source"] == "tf.data":
        shuffled = tf.data.Dataset.from_tensor_slices((x, y)).cache().shuffle(len(x)).repeat()
        batches = shuffled.batch(60, drop_remainder=True).prefetch(tf.data.AUTOTUNE)
    return fit


def worker(name, steps):
    """Warm up, then measure once for each line on standard input."""
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: CONTENDERS[name]])
    train = our_loop(name) if name.startswith("our") else keras_fit(name)
    limit = min(steps, 900)  # an epoch of NumPy arrays has 916 steps
    train(limit)
    print("ready", flush=True)
    for _ in sys.stdin:
        began = time.perf_counter()
        train(limit)
        print(limit / (time.perf_counter() - began), flush=True)


def measure(repeats, steps):
    """Return contender -> steps per second, one a repeat."""
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
    processes = {}
    for name in CONTENDERS:
        command = [sys.executable, __file__, "--worker", name, "--steps", str(steps)]
        processes[name] = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
            text=True, env=environment,
        )  # fmt: skip
        if processes[name].stdout.readline() != "ready\n":
            sys.exit(f"{name} didn't start; run it by hand: {' '.join(map(repr, command))}")
        print(f"ready: {name}", file=sys.stderr)
    results = {name: [] for name in CONTENDERS}
    for _ in range(repeats):
        for name, process in processes.items():
            process.stdin.write("go\n")
            process.stdin.flush()
            results[name].append(float(process.stdout.readline()))
    for process in processes.values():
        process.stdin.close()
        process.wait()
    return results


def main():
    """Parse, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--steps", type=int, default=900, help="a measurement, at most 900")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.worker:
        return worker(arguments.worker, arguments.steps)
    results = measure(arguments.repeats, arguments.steps)
    medians = {name: statistics.median(values) for name, values in results.items()}
    if arguments.json:
        return print(json.dumps(results, indent=2))
    best_fit = max(FIT, key=medians.get)
    print(f"{'':44}{'cores':>6}{'steps/s':>9}{'min':>8}{'max':>8}{'vs best fit':>13}")
    for name, values in results.items():
        ratio = statistics.median(a / b for a, b in zip(values, results[best_fit], strict=True))
        spread = f"{medians[name]:9.0f}{min(values):8.0f}{max(values):8.0f}"
        print(f"{name:44}{CONTENDERS[name]:6}{spread}{ratio:12.2f}x")
    ours = [name for name in CONTENDERS if name.startswith("our")]
    overhead = statistics.median(b / a - 1 for a, b in zip(*(results[name] for name in ours), strict=True))
    print(f"\nMasks cost {100 * overhead:.1f}% of the loop's time.")
    print(f"Medians of {arguments.repeats} measurements, interleaved.")
    return None


if __name__ == "__main__":
    main()
