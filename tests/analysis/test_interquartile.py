"""Claims whose effects are interquartile means: every answer follows their intervals."""

from dataclasses import replace

import pytest

from tests.analysis.made_up import made_up, results, validated
from tests.analysis.test_claims import AGAINST, IN_FAVOUR, LACKING, OPEN
from tf_lottery.analysis.claim import FAILS, HOLDS, UNDECIDED, UNTESTED
from tf_lottery.analysis.claims import CLAIMS
from tf_lottery.analysis.findings import Findings
from tf_lottery.analysis.statistics import INTERQUARTILE_MEAN, MANY, interquartile_interval

ALMOST = OPEN | {"matching_ticket": validated(-0.02)}
"""At a tie the luckiest of four rounds may surely match, which is no error."""


def found(replicates=MANY, jitter=0.05, **truth):
    return made_up(replicates, estimate=interquartile_interval, jitter=jitter, **truth)


@pytest.mark.parametrize(
    ("answer", "cases"),
    [
        pytest.param(HOLDS, IN_FAVOUR, marks=pytest.mark.exhaustive, id=HOLDS),
        pytest.param(FAILS, AGAINST, marks=pytest.mark.slow, id=FAILS),
        pytest.param(UNDECIDED, ALMOST, marks=pytest.mark.slow, id=UNDECIDED),
        pytest.param(UNTESTED, LACKING, marks=pytest.mark.exhaustive, id=UNTESTED),
    ],
)
@pytest.mark.parametrize("claim", CLAIMS)
def test_every_claim_has_the_answer_that_is_known(claim, answer, cases):
    told = CLAIMS[claim](found(**cases[claim]))
    assert told.answer == answer
    if told.effect is not None:
        assert told.effect.statistic == INTERQUARTILE_MEAN
        assert told.describe().startswith("Interquartile mean ")


@pytest.mark.parametrize("claim", [claim for claim in CLAIMS if claim not in ("stable_to_noise",)])
def test_fewer_than_ten_replicates_decide_nothing(claim):
    """As where ten are planned and some are missing: `verdict --iqm` refuses studies of fewer."""
    told = CLAIMS[claim](found(replicates=3))
    assert told.answer == UNDECIDED
    if told.effect is not None:
        assert (told.effect.method, told.effect.count) == ("none", 3)
        assert told.describe().endswith("(3 replicates: no interval)")


def test_a_ticket_that_collapsed_in_one_replicate_decides_by_the_mean_and_not_by_the_interquartile_mean():
    """In nine replicates of ten it is a point better; in the other it is at chance."""
    made = found()
    records = [
        record.model_copy(update={"early_stop_test_accuracy": 0.1, "early_stop_validation_accuracy": 0.1})
        if (record.spec.arm, record.spec.replicate, record.spec.round > 0) == ("ticket", 4, True)
        else record
        for record in made.records
    ]
    robust = Findings(made.study, records, made.connections, interquartile_interval)
    plain = Findings(made.study, records, made.connections)
    for claim in ("reinitialized_is_worse", "matching_ticket", "winning_ticket", "beats_rigl"):
        assert CLAIMS[claim](robust).answer == HOLDS, claim
        assert CLAIMS[claim](plain).answer != HOLDS, claim
    match = CLAIMS["matching_ticket"](robust)
    assert match.why.endswith("every denser round has to match on the interquartile mean.")
    assert match.effect.mean == pytest.approx(1.0, abs=0.1)


def test_the_effect_is_the_interquartile_mean_of_paired_differences():
    made = found()
    ticket, control = (
        [100 * results(spec, jitter=0.05)["early_stop_test_accuracy"] for spec in specs]
        for specs in (
            [r.spec for r in made.records if (r.spec.arm, r.spec.round) == (arm, 4)]
            for arm in ("ticket", "random_reinit")
        )
    )
    expected = interquartile_interval([one - other for one, other in zip(ticket, control, strict=True)])
    effect = CLAIMS["reinitialized_is_worse"](made).effect
    assert effect == replace(expected, mean=pytest.approx(expected.mean), low=effect.low, high=effect.high)
    assert (effect.low, effect.high) == pytest.approx((expected.low, expected.high))


def test_differences_of_which_many_are_equal_have_no_interval_and_say_so():
    """Without noise of their own, ten replicates have three different values."""
    told = CLAIMS["reinitialized_is_worse"](found(jitter=0.0))
    assert told.answer == UNDECIDED
    assert told.describe() == (
        "Interquartile mean +1.01 points (10 replicates: no interval, since many are equal)"
    )
