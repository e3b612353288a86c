"""Which round is shown where none is named."""

import pytest

from tests.fakes import fake_record, fake_spec
from tf_lottery.analysis.shown import round_to_show, runs_to_show
from tf_lottery.errors import LotteryError
from tf_lottery.method.results import Results


def results(*validations, **others):
    """One replicate's chain, and other arms' rounds."""
    root = fake_spec()
    specs = [root, *(fake_spec(round=at, root=root.key) for at in range(1, len(validations)))]
    records = [fake_record(spec, validation) for spec, validation in zip(specs, validations, strict=True)]
    chained = [r.model_copy(update={"spec": r.spec.model_copy(update={"order_seed": 1})}) for r in records]
    extra = [
        fake_record(fake_spec(arm, at, root=root.key, order_seed=at))
        for arm, rounds in others.items()
        for at in rounds
    ]
    return Results([*chained, *extra])


def test_the_sparsest_matching_round_or_else_the_last():
    assert round_to_show(results(0.9, 0.95, 0.93, 0.5)) == 2
    assert round_to_show(results(0.9, 0.95, 0.93, 0.85), tolerance=0.1) == 3
    assert round_to_show(results(0.9, 0.5, 0.4)) == 2
    assert round_to_show(results(0.9)) == 0


def test_where_the_main_arm_is_dense_it_is_the_last_of_all():
    assert round_to_show(results(0.9, snip=[3, 7])) == 7


def test_a_round_that_is_named_has_to_be_there():
    found = results(0.9, 0.95, snip=[5])
    assert [round_to_show(found, round=at) for at in (0, 1, 5)] == [0, 1, 5]
    for wrong in (2, -1, True, "1"):
        with pytest.raises(LotteryError, match=r"a round with finished runs: 0, 1, 5\. Received: "):
            round_to_show(found, round=wrong)
    with pytest.raises(LotteryError, match="No run of the study is finished yet"):
        round_to_show(Results([]))


def test_the_dense_network_is_shown_beside_a_round():
    found = results(0.9, 0.95, 0.95, snip=[2])
    assert [(r.spec.arm, r.spec.round) for r in runs_to_show(found, 2)] == [
        ("ticket", 0),
        ("ticket", 2),
        ("snip", 2),
    ]
