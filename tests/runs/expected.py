"""What the papers' formulas give for the tiny network of `pairwise`, with plain Python and NumPy."""

import numpy as np

from tests.runs.pairwise import OUTPUT_RATE, RATE

SHAPES = {"first/kernel": (64, 12), "second/kernel": (12, 8), "output/kernel": (8, 10)}
SIZES = {path: a * b for path, (a, b) in SHAPES.items()}
RATES = {"first/kernel": RATE, "second/kernel": RATE, "output/kernel": OUTPUT_RATE}


def after(total, rate, rounds):
    for _ in range(rounds):
        total -= round(rate * total)
    return total


def by_layer(rounds):
    return {path: after(size, RATES[path], rounds) for path, size in SIZES.items()}


def erk(total):
    """Densities in proportion to (in + out) / (in x out), at most 1 (Evci et al. 2020)."""
    full = set()
    while True:
        free = {path: sum(SHAPES[path]) for path in SHAPES if path not in full}
        share = (total - sum(SIZES[path] for path in full)) / sum(free.values())
        over = {path for path, ends in free.items() if share * ends > SIZES[path]}
        if not over:
            return {path: SIZES[path] if path in full else share * sum(SHAPES[path]) for path in SHAPES}
        full |= over


def smart(total):
    """Densities in proportion to n^2 + n, n counted from the output, the last 0.3 (Su et al. 2020)."""
    last = 0.3 * SIZES["output/kernel"]
    terms = {"first/kernel": 3 * 3 + 3, "second/kernel": 2 * 2 + 2}
    share = (total - last) / sum(terms[path] * SIZES[path] for path in terms)
    return {path: share * terms[path] * SIZES[path] for path in terms} | {"output/kernel": last}


SCORES = {
    "magnitude": lambda w, i: abs(w),
    "large_init": lambda w, i: abs(i),
    "small_init": lambda w, i: -abs(i),
    "small_final": lambda w, i: -abs(w),
    "magnitude_increase": lambda w, i: abs(w.astype(float)) - abs(i.astype(float)),
    "movement": lambda w, i: abs(w.astype(float) - i.astype(float)),
}
BIT = 1e-6
"""Scores may be computed in float32 or float64; weights of about 1 then differ by less than this."""


def assert_equal(arrays, expected, row):
    """Bit for bit, signs of zeros included; what is expected may have more."""
    for name, value in arrays.items():
        assert value.dtype == expected[name].dtype, (row, name)
        assert value.tobytes() == expected[name].tobytes(), (row, name)


def masked(weights, masks):
    """All weights of the network, those that are pruned +0.0."""
    kernels = {f"model/{path}": mask for path, mask in masks.items()}
    own = {name: value for name, value in weights.items() if not name.startswith("optimizer/")}
    return {n: np.where(kernels[n], v, np.float32(0)) if n in kernels else v for n, v in own.items()}
