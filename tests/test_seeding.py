from itertools import product

from tf_lottery.seeding import derive


def test_a_seed_is_the_same_on_every_machine():
    assert derive(0, 0, "init") == 1417081134
    assert derive(7, 2, "reinit/3", 1) == 1730136665


def test_every_part_changes_the_seed():
    purposes = ("init", "order", "reinit/1", "reinit/11")
    seeds = {derive(*parts) for parts in product(range(12), range(12), purposes, range(12))}
    assert len(seeds) == 12 * 12 * 4 * 12


def test_seeds_fit_a_signed_32_bit_integer():
    seeds = [derive(seed, 0, "init") for seed in range(2000)]
    assert min(seeds) >= 0
    assert 2**30 < max(seeds) < 2**31
