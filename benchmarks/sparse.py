"""Steps per second against density: the sparse engine, our dense loop and Keras `fit` in its best setting.

    python benchmarks/sparse.py lenet conv2 conv6 resnet20 [--repeats 5] [--plot docs/images/sparse.png]
    python benchmarks/sparse.py lenet --break-even
    python benchmarks/sparse.py resnet20 --layers

All contenders have one core, the same one, and are measured in turns within one run; ratios are medians of
the turns' ratios. Masks are drawn at random. `--break-even` measures the density at which the sparse engine
is as fast as the dense one: the constants of `tf_lottery.training.sparse.choice`. `--layers` says in which
layers a step's time goes.
"""

import argparse
import itertools
import json
import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from contenders import masks_at, trainer_of
from networks import NETWORKS
from race import Contender, median, race, ratio

DENSE = "dense loop, masks"
STEPS = {"lenet": 500, "conv2": 12, "conv6": 12, "resnet20": 6}
EXECUTION = {"lenet": 50}


def _rounds(convolution: float, dense: float) -> dict[str, str]:
    """Return the layers' densities after some rounds of Frankle & Carbin 2018, Figure 2."""
    return {
        f"round {r}": f"conv*:{convolution**r:.4f},output:{0.9**r:.4f},*:{dense**r:.4f}" for r in (10, 15, 20)
    }


DENSITIES = {
    "lenet": {f"{100 * d:g}%": str(d) for d in (0.5, 0.2, 0.1, 0.036, 0.012)},
    "conv2": _rounds(0.9, 0.8),
    "conv6": _rounds(0.85, 0.8),
    "resnet20": {f"{100 * d:g}%": f"downsample*:1,output:1,*:{d}" for d in (0.2, 0.1, 0.05)},
}
"""Network -> label -> densities of its layers."""
NAMES = {"lenet": "LeNet-300-100", "conv2": "Conv-2", "conv6": "Conv-6", "resnet20": "ResNet-20"}
SWEEP = (1.0, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2)


def contenders(network: str, densities: dict[str, str], fits: bool) -> dict[str, Contender]:
    """Return name -> contender: the sparse engine at each density, the dense loop, `fit` in its settings."""
    execution = EXECUTION.get(network, 4)
    who = {label: Contender("engine", 1, (f"densities={each}",)) for label, each in densities.items()}
    who[DENSE] = Contender("engine", 1, ("name=dense", f"densities={next(iter(densities.values()))}"))
    compiled = (
        ("off", "auto") if network == "lenet" else ("off",)
    )  # XLA's convolutions take several times as long
    for source in ("numpy", "tf.data") if fits else ():
        for jit in compiled:
            for steps in (1, execution):
                options = (f"source={source}", f"jit={jit}", f"steps_per_execution={steps}")
                who[f"fit, {source}, XLA {jit}, {steps} steps an execution"] = Contender("fit", 1, options)
    return who


def table(network: str, results: dict[str, dict]) -> dict[str, dict[str, float]]:
    """Print a network's table; return label -> its speed and its ratios."""
    best = max((name for name in results if name.startswith("fit")), key=lambda n: median(results[n]))
    print(f"{network}, batch {NETWORKS[network][2].batch_size}, one core, {vectors()}")
    print(f"{'':14}{'steps/s':>10}{'vs dense loop':>15}{'vs fit':>9}")
    rows = {}
    for name, result in results.items():
        if name.startswith("fit") and name != best:
            continue
        rows[name] = {
            "steps/s": median(result),
            "dense": ratio(results, name, DENSE),
            "fit": ratio(results, name, best),
        }
        numbers = rows[name].values()
        print(
            f"{name if name != best else 'fit, its best':14.18}"
            + "{:10.1f}{:14.2f}x{:8.2f}x".format(*numbers)
        )
    print(f"The best fit: {best.removeprefix('fit, ')}\n")
    return rows


def vectors() -> str:
    """Return the processor's vector width, in words."""
    flags = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    widths = {"avx512f": "AVX-512", "avx2": "AVX2, 256 bits"}
    return next((width for flag, width in widths.items() if flag in flags), "vectors of unknown width")


def break_even(network: str, repeats: int) -> None:
    """Print the ratio to the dense loop at each density, and where it is 1."""
    densities = {f"{d:.2f}": str(d) for d in SWEEP}
    results = race(network, contenders(network, densities, fits=False), STEPS[network], repeats)
    ratios = {label: ratio(results, label, DENSE) for label in densities if label in results}
    print(f"{network}: " + ", ".join(f"{label}: {value:.2f}x" for label, value in ratios.items()))
    points = [(float(label), value) for label, value in ratios.items()]
    for (high, slower), (low, faster) in itertools.pairwise(points):
        if slower < 1 <= faster:
            print(f"break-even at a density of {low + (high - low) * (faster - 1) / (faster - slower):.2f}")
            return
    print("break-even at none of these densities" if points[0][1] < 1 else "faster at all of these densities")


def layers(network: str, densities: str, steps: int = 5) -> None:
    """Print how a step's time is shared among kinds of layers."""
    import time
    from collections import defaultdict

    from tf_lottery.data.order import BatchOrder
    from tf_lottery.training.sparse.engine import SparseEngine

    trainer, training, data = trainer_of(network, 1)
    trainer.begin(masks_at(trainer, densities), trainer.initial_weights(0), 0, None)
    engine = SparseEngine(trainer, training, data)
    order = BatchOrder(0, len(data.train), training.batch_size)
    spent = defaultdict(float)

    def timed(kind, function):
        def call(*arguments):
            began = time.perf_counter()
            function(*arguments)
            spent[kind] += time.perf_counter() - began

        return call

    engine.train(0, 1, order, [])
    for op in engine._network._ops:
        for direction in ("forward", "backward"):
            setattr(op, direction, timed(f"{type(op).__name__}, {direction}", getattr(op, direction)))
    engine._update.step = timed("optimizer", engine._update.step)
    began = time.perf_counter()
    engine.train(1, 1 + steps, order, [])
    whole = time.perf_counter() - began
    print(f"{network} at {densities}: {1000 * whole / steps:.2f} ms a step")
    for kind, seconds in sorted(spent.items(), key=lambda item: -item[1]):
        print(f"  {kind:34}{1000 * seconds / steps:10.2f} ms{100 * seconds / whole:7.1f}%")
    rest = whole - sum(spent.values())
    print(f"  {'inputs, loss and the rest':34}{1000 * rest / steps:10.2f} ms{100 * rest / whole:7.1f}%")


def plot(tables: dict[str, dict], path: Path) -> None:
    """Draw the gain over the dense loop against the weights that remain, beside proportional cost."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(7, 4.5), layout="constrained")
    least, most = 0.008, 1.0
    axes.plot(
        [least, most], [1 / least, 1], color="0.6", linestyle="--", label="cost proportional to the weights"
    )
    axes.axhline(1, color="0.6", linewidth=0.8)
    for network, rows in tables.items():
        points = sorted((row["density"], row["dense"]) for row in rows.values() if "density" in row)
        axes.plot(*zip(*points, strict=True), marker="o", label=NAMES[network])
    axes.set(
        xscale="log", yscale="log", xlabel="weights that remain, by their multiplications", ylim=(0.7, 130)
    )
    axes.set(ylabel="steps a second, against our dense loop", title=f"One core, {vectors()}")
    ticks = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1)
    axes.set_xticks(ticks, [f"{100 * tick:g}%" for tick in ticks])
    axes.set_yticks((1, 2, 5, 10, 20, 50, 100), ["1x", "2x", "5x", "10x", "20x", "50x", "100x"])
    axes.minorticks_off()
    axes.invert_xaxis()
    axes.legend(frameon=False)
    figure.savefig(path, dpi=150)


def multiplications(network: str, densities: str) -> float:
    """Return the share of a network's multiplications that remain."""
    from tf_lottery.layers.flops import layer_calls

    trainer, _, _ = trainer_of(network, 1)
    masks, whole, left = masks_at(trainer, densities), 0, 0
    for path, _, uses in layer_calls(trainer.model):
        if (mask := masks.get(f"{path}/kernel")) is not None:
            whole, left = whole + uses * mask.size, left + uses * int(mask.sum())
    return left / whole


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("networks", nargs="+", choices=[*DENSITIES], metavar="network")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--json", type=Path, help="a file to write the figures into")
    parser.add_argument("--plot", type=Path, help="a file to draw the picture into")
    parser.add_argument("--break-even", action="store_true")
    parser.add_argument("--layers", action="store_true")
    arguments = parser.parse_args()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    tables = {}
    for network in arguments.networks:
        if arguments.break_even:
            break_even(network, arguments.repeats)
        elif arguments.layers:
            for densities in DENSITIES[network].values():
                layers(network, densities)
        else:
            who = contenders(network, DENSITIES[network], fits=True)
            tables[network] = table(network, race(network, who, STEPS[network], arguments.repeats))
            for label, densities in DENSITIES[network].items():
                tables[network][label]["density"] = multiplications(network, densities)
    if arguments.json:
        arguments.json.write_text(json.dumps(tables, indent=2))
    if arguments.plot:
        plot(tables, arguments.plot)


if __name__ == "__main__":
    main()
