"""Seeds for every random choice of a study, derived from its seed, the replicate and a purpose."""

import hashlib


def derive(seed: int, replicate: int, purpose: str, index: int = 0) -> int:
    """Derive an independent seed.

    Args:
        seed: The study's seed.
        replicate: The number of the replicate, counted from 0.
        purpose: What the seed is for: `init`, `order`, `prune`, `reinit`, ...
        index: Which of several seeds for the same purpose.

    Returns:
        A seed in [0, 2**31), the same on every machine and Python version.
    """
    text = f"{seed}/{replicate}/{purpose}/{index}"
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big") >> 1
