"""Does a tuning's oracle help? Random search, a Gaussian process and Hyperband on equal training steps.

Each oracle has the same budget and as many repetitions, each with a seed of its own. The tunings lie beside
each other and take over what another one has trained, which counts against their budgets all the same, so the
whole comparison costs little more than the different candidates that they try.

python benchmarks/oracles.py --directory saved_models/oracles
"""

import argparse
from pathlib import Path
from statistics import mean

from tf_lottery.config_tune import load_tuning
from tf_lottery.drivers.execution import Execution
from tf_lottery.training.quiet_start import start_quietly
from tf_lottery.tuning.tuned import Tuned

ORACLES = ("random", "bayesian", "hyperband")
RANGES = (
    "{search.steps: [250it, 500it, 1000it, 2000it, 4000it], pruning.rate: {min: 0.1, max: 0.6, step: 0.05}}"
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--config", default="tune/mnist_lenet")
    parser.add_argument("--ranges", default=RANGES, help="few values, so that tunings share candidates")
    parser.add_argument("--budget", default="1000000it", help="training steps of each tuning")
    parser.add_argument("--repetitions", type=int, default=3)
    parser.add_argument("--directory", type=Path, required=True)
    parser.add_argument("--set", action="append", default=[], dest="overrides")
    arguments = parser.parse_args()
    start_quietly()
    print("| oracle | seed | candidates | steps | best score | its density | its cost | best density |")
    print("|---|---|---|---|---|---|---|---|")
    scores: dict[str, list[float]] = {oracle: [] for oracle in ORACLES}
    for seed in range(arguments.repetitions):
        for oracle in ORACLES:
            tuned = run(arguments, oracle, seed)
            scores[oracle].append(report(tuned, oracle, seed))
    for oracle, found in scores.items():
        print(f"{oracle}: mean best score {mean(found):.3f} ({min(found):.3f} to {max(found):.3f})")


def run(arguments: argparse.Namespace, oracle: str, seed: int) -> Tuned:
    from tf_lottery.tuning.tuner import run_tuning

    settings = [
        f"tune.oracle={oracle}",
        f"tune.seed={seed}",
        f"tune.budget={arguments.budget}",
        f"tune.ranges={arguments.ranges}",
        "tune.candidates=500",
        "tune.confirm=0",
    ]
    tuning = load_tuning(arguments.config, [*settings, *arguments.overrides])
    return run_tuning(tuning, arguments.directory / f"{oracle}_{seed}", execution=Execution())


def report(tuned: Tuned, oracle: str, seed: int) -> float:
    """Print a line of the table and return the lowest score, which is what an oracle minimizes."""
    tune = tuned.tuning.tune
    full = [each for each in tuned.tried[1:] if each.outcome and each.candidate.share == 1]
    best = min(full, key=lambda each: each.outcome.score(tune))
    score, sparsest = best.outcome.score(tune), min(each.outcome.value for each in full)
    print(
        f"| {oracle} | {seed} | {len(tuned.tried)} | {tuned.distinct:,} | {score:.3f} | "
        f"{best.outcome.value:.2%} | {best.outcome.cost:,.0f} | {sparsest:.2%} |",
        flush=True,
    )
    return score


if __name__ == "__main__":
    main()
