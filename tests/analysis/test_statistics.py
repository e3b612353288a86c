"""Intervals against numbers worked out by hand, against scipy, and against noise whose mean is known."""

import math

import numpy as np
import pytest
from scipy import stats

from tf_lottery.analysis.statistics import (
    DRAWS,
    FEW,
    INTERQUARTILE_MEAN,
    MANY,
    Interval,
    interquartile_interval,
    interquartile_mean,
    interval,
)


def of(low, high):
    return Interval((low + high) / 2, low, high, 3, "t")


def test_the_interval_of_three_values_is_the_one_by_hand():
    """The deviation is 1, its error 1 over the root of 3, and t with two degrees of freedom is 4.3027."""
    found = interval([1.0, 2.0, 3.0])
    assert (found.mean, found.count, found.method) == (2, 3, "t")
    assert found.high - 2 == pytest.approx(4.302652729911275 / math.sqrt(3))
    assert 2 - found.low == pytest.approx(found.high - 2)


@pytest.mark.parametrize("count", [2, 3, 5, 9])
def test_below_ten_values_it_is_that_of_the_t_test(count):
    values = np.random.default_rng(count).normal(0.3, 0.1, count)
    expected = stats.ttest_1samp(values, 0).confidence_interval(0.95)
    found = interval(list(values))
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high))


def test_another_level_has_another_interval():
    narrow, wide = interval([1.0, 2.0, 3.0], 0.5), interval([1.0, 2.0, 3.0], 0.99)
    assert wide.low < narrow.low < 2 < narrow.high < wide.high
    expected = stats.ttest_1samp([1, 2, 3], 0).confidence_interval(0.99)
    assert wide.high == pytest.approx(expected.high)


def test_from_ten_values_on_it_is_the_studentized_bootstrap():
    values = np.random.default_rng(3).exponential(1.0, MANY)
    found = interval(list(values))
    assert found.method == "bootstrap"

    def error(sample):
        return sample.std(ddof=1) / len(sample) ** 0.5

    random, studentized = np.random.default_rng(99), []
    for _ in range(DRAWS):
        sample = random.choice(values, MANY)
        studentized.append((sample.mean() - values.mean()) / error(sample))
    low, high = np.quantile(studentized, [0.025, 0.975])
    assert found.low == pytest.approx(values.mean() - high * error(values), rel=0.1)
    assert found.high == pytest.approx(values.mean() - low * error(values), rel=0.1)
    assert found.high - found.mean > found.mean - found.low, "it is skewed, as the values are"


def test_a_bootstrap_is_the_same_each_time():
    values = list(np.random.default_rng(0).normal(size=12))
    assert interval(values) == interval(values)


def test_one_value_has_no_interval():
    assert interval([0.7]) == Interval(0.7, -math.inf, math.inf, 1, "none")


@pytest.mark.parametrize("count", [2, 3, FEW - 1])
def test_few_equal_values_say_nothing_of_how_they_vary(count):
    assert interval([0.3] * count) == Interval(pytest.approx(0.3), -math.inf, math.inf, count, "none")


@pytest.mark.parametrize("count", [FEW, MANY, 20])
@pytest.mark.parametrize("value", [0.0, 0.3, -97.1])
def test_many_equal_values_are_the_interval(count, value):
    found = interval([value] * count)
    assert (found.low, found.high) == pytest.approx((value, value))
    assert found.method == "none"


def test_values_that_differ_by_rounding_alone_are_equal():
    """100 times 0.98 less 100 times 0.97 isn't the same in all replicates, by the last bits."""
    found = interval([1e-14, 1e-14, 1.1e-14])
    assert found.method == "none"
    assert found.above(0) is None


@pytest.mark.parametrize("other", [0.2, 0.4])
@pytest.mark.parametrize("equal", [7, 9])
def test_where_most_of_many_values_are_equal_it_is_student_s_t(equal, other):
    """Half of the resamples hold the one value only, and have no error to divide by."""
    values = [0.3] * equal + list(np.linspace(other, 0.35, 10 - equal))
    expected = stats.ttest_1samp(values, 0).confidence_interval(0.95)
    found = interval(values)
    assert found.method == "t"
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high))


@pytest.mark.parametrize("values", [[], [1.0, math.inf], [math.nan], [1.0, -math.inf, 2.0]])
def test_what_is_no_number_is_refused(values):
    with pytest.raises(ValueError, match="expected finite values"):
        interval(values)


def test_above_below_and_at_least_are_undecided_where_the_interval_has_both_answers():
    found = of(1.0, 2.0)
    assert [found.above(at) for at in (0.9, 1.0, 1.5, 2.0, 2.1)] == [True, None, None, False, False]
    assert [found.below(at) for at in (0.9, 1.0, 1.5, 2.0, 2.1)] == [False, False, None, None, True]
    assert [found.at_least(at) for at in (0.9, 1.0, 1.5, 2.0, 2.1)] == [True, True, None, None, False]


def test_exactly_at_a_threshold_is_at_least_and_neither_above_nor_below():
    found = interval([0.1 + 0.2] * 5)
    assert (found.at_least(0.3), found.above(0.3), found.below(0.3)) == (True, False, False)


def test_within_a_margin():
    assert of(-0.4, 0.5).within(0.5) is True
    assert of(0.4, 0.6).within(0.5) is None
    assert of(-0.7, 0.7).within(0.5) is None
    assert of(0.6, 0.7).within(0.5) is False
    assert of(-0.7, -0.6).within(0.5) is False
    assert interval([0.0]).within(0.5) is None


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([4.0], 4.0),
        ([1.0, 3.0], 2.0),
        ([1.0, 2.0, 9.0], (0.25 * 1 + 2 + 0.25 * 9) / 1.5),
        ([100.0, 2.0, 4.0, -50.0], 3.0),
        ([1.0, 2.0, 3.0, 4.0, 50.0], (0.75 * 2 + 3 + 0.75 * 4) / 2.5),
        ([0, 1, 2, 3, 4, 5, 6, 1000], 3.5),
    ],
)
def test_the_interquartile_mean_is_that_of_the_middle_half(values, expected):
    assert interquartile_mean(values) == pytest.approx(expected)


def middle_interval(values, level):
    """The interval of an interquartile mean of 12 or 16 values, from SciPy's trimmed mean and its error."""

    def error(sample):
        return float(stats.mstats.trimmed_stde(sample, limits=(0.25, 0.25)))

    draws = np.random.default_rng(0).integers(len(values), size=(DRAWS, len(values)))
    centre, studentized = stats.trim_mean(values, 0.25), []
    for sample in np.asarray(values)[draws]:
        if error(sample) > 1e-9:  # a few have a middle half of one value
            studentized.append((stats.trim_mean(sample, 0.25) - centre) / error(sample))
    low, high = np.quantile(studentized, [(1 - level) / 2, (1 + level) / 2])
    return centre - high * error(values), centre - low * error(values)


@pytest.mark.slow
@pytest.mark.parametrize(("count", "level"), [(12, 0.95), (16, 0.9)])
def test_the_interval_of_an_interquartile_mean_is_that_of_scipy_s_trimmed_mean(count, level):
    values = np.random.default_rng(count).exponential(1.0, count)
    found = interquartile_interval(values, level)
    assert (found.method, found.statistic, found.count) == ("bootstrap", INTERQUARTILE_MEAN, count)
    assert (found.low, found.high) == pytest.approx(middle_interval(values, level), rel=1e-6)
    assert found.mean == pytest.approx(stats.trim_mean(values, 0.25))


def test_a_replicate_that_went_astray_moves_the_mean_and_not_the_interquartile_mean():
    """Nine differences around 1 and one of -90: on the mean the arm is 8 points worse."""
    values = [0.9, 0.94, 0.97, 0.99, 1.0, 1.01, 1.03, 1.06, 1.1]
    astray = interquartile_interval([*values, -90.0])
    assert astray.mean == pytest.approx(0.99, abs=0.02)
    assert 0.8 < astray.low < 1 < astray.high < 1.2
    assert interval([*values, -90.0]).mean == pytest.approx(-8.1)
    further = interquartile_interval([*values, -9000.0])
    assert (further.mean, further.low, further.high) == (astray.mean, astray.low, astray.high)


@pytest.mark.parametrize("count", [1, 3, FEW, MANY - 1])
def test_fewer_than_ten_values_give_an_interquartile_mean_without_an_interval(count):
    found = interquartile_interval(list(range(count)))
    middle = interquartile_mean(list(range(count)))
    assert found == Interval(middle, -math.inf, math.inf, count, "none", INTERQUARTILE_MEAN)
    assert found.above(-1e9) is None
    assert interquartile_interval([0.3] * count).low == -math.inf


def test_ten_equal_values_are_the_interval_of_their_interquartile_mean():
    found = interquartile_interval([0.3] * MANY)
    assert (found.low, found.mean, found.high) == pytest.approx((0.3, 0.3, 0.3))
    assert found.method == "none"


@pytest.mark.parametrize("equal", [4, 6, 9])
def test_where_many_of_ten_values_are_equal_the_middle_half_says_nothing_of_its_error(equal):
    """Of six equal values the middle half has no spread, though the others may lie anywhere."""
    others = list(np.linspace(-2.0, 2.0, MANY - equal))
    found = interquartile_interval([0.25] * equal + others)
    assert (found.low, found.high, found.method) == (-math.inf, math.inf, "none")


@pytest.mark.parametrize("values", [[], [1.0, math.inf], [math.nan] * MANY])
def test_an_interquartile_mean_of_what_is_no_number_is_refused(values):
    with pytest.raises(ValueError, match="expected finite values"):
        interquartile_interval(values)


def covered(noise, mean, count, studies, estimate=interval):
    """The share of made-up studies whose interval contains the mean."""
    draws = noise(np.random.default_rng(count), (studies, count))
    found = [estimate(values) for values in draws]
    return sum(each.low <= mean <= each.high for each in found) / studies


STUDIES = {3: 10_000, 5: 10_000, MANY: 2_500}
"""Replicates -> how many studies are made up; a bootstrap takes some milliseconds."""


@pytest.mark.slow
@pytest.mark.parametrize("count", STUDIES)
def test_the_intervals_contain_a_known_effect_as_often_as_they_say(count):
    share = covered(lambda random, shape: random.normal(0.3, 0.2, shape), 0.3, count, STUDIES[count])
    print(f"normal noise, {count} replicates: {share:.4f}")
    assert 0.93 <= share <= 0.97


@pytest.mark.parametrize(
    "count",
    [
        pytest.param(count, marks=pytest.mark.slow if count == 3 else pytest.mark.exhaustive)
        for count in STUDIES
    ],
)
def test_skewed_noise_is_covered_less_often(count):
    share = covered(lambda random, shape: random.exponential(0.2, shape), 0.2, count, STUDIES[count])
    print(f"exponential noise, {count} replicates: {share:.4f}")
    assert 0.85 <= share <= 0.97


def edge(share):
    """The integral of the exponential distribution's upper quantiles, -log(u), from 0 to a share."""
    return share - share * math.log(share)


NOISE = {
    "normal": (lambda random, shape: random.normal(0.3, 0.2, shape), 0.3),
    "exponential": (lambda random, shape: random.exponential(0.2, shape), 0.4 * (edge(0.75) - edge(0.25))),
    "astray": (lambda random, shape: 0.3 + 0.2 * random.standard_t(2, shape), 0.3),
}
"""Name -> noise, and its interquartile mean. The last has no variance: some replicates lie far off."""


@pytest.mark.parametrize(
    "count", [pytest.param(MANY, marks=pytest.mark.slow), pytest.param(20, marks=pytest.mark.exhaustive)]
)
@pytest.mark.parametrize("name", NOISE)
def test_intervals_of_interquartile_means_contain_a_known_one_as_often_as_they_say(name, count):
    share = covered(*NOISE[name], count, 1000, interquartile_interval)
    print(f"interquartile mean, {name} noise, {count} replicates: {share:.4f}")
    assert 0.93 <= share <= 0.975
