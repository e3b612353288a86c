"""Steps per second on one network: our loop, Keras `fit` in every setting that a user would try,
tfmot, and PyTorch if it is installed.

    python benchmarks/steps.py lenet [--repeats 5] [--steps 900] [--json]

Networks: lenet, lenet_dropout, conv2, conv6, resnet20, transformer. Prints one table with
medians and ratios; all contenders are measured in the same run, in turns.
"""

import argparse
import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from networks import NETWORKS
from race import Contender, median, race, ratio

LENETS = ("lenet", "lenet_dropout")
STEPS = {"lenet": 900, "lenet_dropout": 900, "conv2": 50, "conv6": 25, "resnet20": 25, "transformer": 40}
MASKS, NO_MASKS = "our loop, masks (20% density)", "our loop, no masks"
VALIDATION, FLOOR = "our loop, masks, validation each 100", "matrix products and Adam alone"
TFMOT = "tfmot, NumPy arrays", "tfmot, tf.data"


def contenders(network: str) -> dict[str, Contender]:
    """Return name -> contender of a network's race."""
    small = network in LENETS
    our_cores, their_cores = (1 if small else 2), 2
    execution = "50" if small else "5"
    contestants = {
        MASKS: Contender("loop", our_cores),
        NO_MASKS: Contender("loop", our_cores, ("masks=no",)),
        "fit, NumPy arrays": Contender("fit", their_cores, ("source=numpy",)),
        "fit, tf.data": Contender("fit", their_cores),
        f"fit, tf.data, {execution} steps an execution": Contender(
            "fit", their_cores, (f"steps_per_execution={execution}",)
        ),
        f"fit, NumPy arrays, {execution} steps an execution": Contender(
            "fit", their_cores, ("source=numpy", f"steps_per_execution={execution}")
        ),
        "fit, tf.data, XLA off": Contender("fit", their_cores, ("jit=off",)),
        f"fit, tf.data, {execution} steps, XLA off": Contender(
            "fit", their_cores, (f"steps_per_execution={execution}", "jit=off")
        ),
    }
    if small:
        contestants["fit, tf.data, XLA on"] = Contender("fit", their_cores, ("jit=on",))
        contestants["PyTorch eager, masks"] = Contender("torch", their_cores)
    if network == "lenet":
        contestants[VALIDATION] = Contender("loop", our_cores, ("validate=yes",))
        contestants[FLOOR] = Contender("floor", our_cores)
        contestants[TFMOT[0]] = Contender("tfmot", their_cores, ("source=numpy",))
        contestants[TFMOT[1]] = Contender("tfmot", their_cores, ("source=tf.data",))
    return contestants


def report(network: str, who: dict[str, Contender], results: dict[str, dict]) -> None:
    """Print the table and the ratios that follow from it."""
    fits = [name for name in results if name.startswith("fit")]
    best = max(fits, key=lambda name: median(results[name]))
    print(f"{network}: {' '.join(str(part) for part in _described(network))}")
    print(f"{'':46}{'cores':>6}{'steps/s':>10}{'min':>9}{'max':>9}{'MB':>7}{'vs best fit':>13}")
    for name, result in results.items():
        speeds = result["speeds"]
        numbers = f"{median(result):10.1f}{min(speeds):9.1f}{max(speeds):9.1f}{result['memory']:7.0f}"
        mark = " *" if name == best else ""
        print(f"{name:46}{who[name].cores:6}{numbers}{ratio(results, name, best):12.2f}x{mark}")
    print()
    print(f"Masks cost {100 * (ratio(results, NO_MASKS, MASKS) - 1):.1f}% of the loop's time.")
    if VALIDATION in results:
        added = 100 * (ratio(results, MASKS, VALIDATION) - 1)
        print(f"Validation and checks every 100 steps add {added:.1f}%.")
    if FLOOR in results:
        print(f"A step takes {ratio(results, FLOOR, NO_MASKS):.2f} times its matrix products and Adam alone.")
    if tfmots := [name for name in TFMOT if name in results]:
        rival = max(tfmots, key=lambda name: median(results[name]))
        print(f"With masks {ratio(results, MASKS, rival):.2f} times tfmot in the better of the two.")
    print()


def _described(network: str):
    data, _, training = NETWORKS[network]
    return data.name, f"batch {training.batch_size}", training.optimizer


def main() -> None:
    """Measure the contenders and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("networks", nargs="+", choices=[*NETWORKS], metavar="network")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--steps", type=int, help="a measurement; default: by network, at most an epoch")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    for network in arguments.networks:
        who = contenders(network)
        results = race(network, who, arguments.steps or STEPS[network], arguments.repeats)
        if arguments.json:
            print(json.dumps({network: results}, indent=2))
        else:
            report(network, who, results)


if __name__ == "__main__":
    main()
