"""What masks cost in stock Keras `fit`: the prunable model and the plain one, measured in turns.

    python benchmarks/masks_in_fit.py lenet conv2 [--repeats 7]

`jit_compile` is Keras's choice, the optimizer that of the paper's protocol; masks have a density of 20%.
"""

import argparse

from networks import NETWORKS
from race import Contender, median, race, ratio

STEPS = {"lenet": 600, "lenet_dropout": 600, "conv2": 60}


def contenders() -> dict[str, Contender]:
    """Return name -> contender."""
    return {
        f"{source}, {kind}": Contender("fit", 2, (f"source={source}", f"masks={masks}"))
        for source in ("numpy", "tf.data")
        for kind, masks in (("plain", "no"), ("masks", "yes"))
    }


def main() -> None:
    """Measure the contenders and print their speeds."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("networks", nargs="+", choices=[n for n in NETWORKS if n in STEPS])
    parser.add_argument("--repeats", type=int, default=7)
    arguments = parser.parse_args()
    for network in arguments.networks:
        results = race(network, contenders(), STEPS[network], arguments.repeats)
        print(network)
        for name, result in results.items():
            speeds = result["speeds"]
            print(f"  {name:20}{median(result):9.1f} steps/s ({min(speeds):.1f} to {max(speeds):.1f})")
        for source in ("numpy", "tf.data"):
            more = 100 * (ratio(results, f"{source}, plain", f"{source}, masks") - 1)
            print(f"  with masks, {source}: {more:+.1f}% time")


if __name__ == "__main__":
    main()
