"""Ranges as an oracle knows them, and its draws as settings of a study."""

import itertools

import pytest

from tests.tuning.made_up import STUDY, made_up
from tf_lottery import config_file
from tf_lottery.config_tune import RangeConfig
from tf_lottery.errors import LotteryError
from tf_lottery.tuning.space import (
    FIXED,
    check_names,
    drawn_from,
    ends,
    hyperparameters,
    settings_from,
    with_values,
)


def ranges(**values):
    return {"a": RangeConfig.model_validate(values)}


def drawn(ranges_, count=200):
    """All settings that come of draws spread over the whole range, its end included."""
    (hyperparameter,) = hyperparameters(ranges_).space
    values = [hyperparameter.prob_to_value(each / count) for each in range(count + 1)]
    return list(dict.fromkeys(settings_from(ranges_, {"a": value})["a"] for value in values))


@pytest.mark.parametrize(
    ("values", "settings"),
    [
        ({"min": 1, "max": 4}, [1, 2, 3, 4]),
        ({"min": 1, "max": 8, "step": 3}, [1, 4, 7]),
        ({"min": "10it", "max": "40it", "step": "10it"}, ["10it", "20it", "30it", "40it"]),
        ({"min": "1ep", "max": "3ep"}, ["1ep", "2ep", "3ep"]),
        ({"min": 0.1, "max": 0.6, "step": 0.1}, [0.1, 0.2, 0.3, 0.4, 0.5, 0.6]),
        ({"min": 0.0, "max": 0.9, "step": 0.3}, [0.0, 0.3, 0.6, 0.9]),
        ({"min": 0, "max": 1, "step": 0.25}, [0.0, 0.25, 0.5, 0.75, 1.0]),
        ({"min": 0.1, "max": 0.35, "step": 0.1}, [0.1, 0.2, 0.3]),
        ({"min": 1, "max": 4, "sampling": "log"}, [1, 2, 3, 4]),
    ],
)
def test_all_values_of_a_range_are_drawn_and_no_others(values, settings):
    found = drawn(ranges(**values))
    assert sorted(found, key=settings.index) == settings
    assert all(type(each) is type(settings[0]) for each in found)


@pytest.mark.parametrize(
    "values",
    [
        {"min": 0.1, "max": 0.6},
        {"min": 1e-4, "max": 0.1, "sampling": "log"},
        {"min": 0.123456, "max": 0.123789},
        {"min": 0.5, "max": 0.99996},
        {"min": 1e-7, "max": 3},
        {"min": "100it", "max": "20000it", "sampling": "log"},
    ],
)
def test_draws_are_rounded_and_never_leave_the_range(values):
    found = drawn(ranges(**values), 1000)
    bounds = RangeConfig.model_validate(values)
    least, most, _ = bounds.bounds
    for each in found:
        number = float(each.removesuffix("it")) if bounds.unit else each
        assert least <= number <= most
        assert bounds.unit or number in (least, most) or number == float(f"{number:.4g}")


def test_draws_by_the_logarithm_are_as_many_in_each_power_of_ten():
    found = [
        float(each.removesuffix("it"))
        for each in drawn(ranges(min="1it", max="9999it", sampling="log"), 4000)
    ]
    by_power = [sum(10**power <= each < 10 ** (power + 1) for each in found) for power in (2, 3)]
    assert all(900 <= count <= 1100 for count in by_power[1:])
    linear = drawn(ranges(min=0.0001, max=1.0), 1000)
    assert sum(each < 0.1 for each in linear) < 110


@pytest.mark.parametrize(
    "values",
    [["adam", "sgd"], [0.1, 0.5], [1, 2, 3], [1, 2.5], [True, False], [False, True], [True], ["0it", "1ep"]],
)
def test_the_values_of_a_list_come_back_as_they_were_listed(values):
    found = drawn({"a": values})
    assert found == values
    assert [type(each) for each in found] == [type(each) for each in values]


@pytest.mark.parametrize(
    "values",
    [
        {"min": 0.1, "max": 0.6, "step": 0.1},
        {"min": "10it", "max": "40it", "step": "10it"},
        {"min": "10it", "max": "4000it", "sampling": "log"},
        {"min": 1, "max": 9},
        ["adam", "sgd"],
        [1, 2.5],
        [True, False],
    ],
)
def test_an_oracle_can_be_told_settings_that_it_hasnt_drawn(values):
    own = {"a": values} if isinstance(values, list) else ranges(**values)
    (hyperparameter,) = hyperparameters(own).space
    for setting in drawn(own):
        back = drawn_from(own, {"a": setting})
        assert settings_from(own, back) == {"a": setting}
        assert 0 <= hyperparameter.value_to_prob(back["a"]) <= 1


def test_combinations_are_those_of_all_ranges():
    own = {"a": [1, 2], "b": ["x"], "c": RangeConfig(min=1, max=3)}
    space = hyperparameters(own).space
    every = [dict(zip("abc", each, strict=True)) for each in itertools.product(*(hp.values for hp in space))]
    assert len(every) == 6
    assert {tuple(settings_from(own, each)) for each in every} == {("a", "b", "c")}


def test_the_ends_of_a_range_and_all_values_of_a_list_are_looked_at():
    assert ends([1, 2, 3]) == [1, 2, 3]
    assert ends(RangeConfig(min="10it", max="20it")) == ["10it", "20it"]


def study(**changes):
    return config_file.validate({**STUDY, **changes})


def test_other_values_leave_the_rest_as_it_is():
    before = study()
    changed = with_values(before, {"pruning.rate": 0.3, "search.steps": "50it"})
    assert (changed.pruning.rate, changed.search.steps) == (0.3, "50it")
    assert before.pruning.rate == 0.5
    assert with_values(changed, {"pruning.rate": 0.5, "search.steps": "20it"}) == before
    assert with_values(before, {}) == before


def test_a_group_that_the_study_has_left_out_is_begun():
    changed = with_values(study(search=None, arms={"ticket": {}}), {"search.steps": "50it"})
    assert changed.search.steps == "50it"


def test_other_data_has_another_digest_and_other_shares_of_it_the_same():
    assert with_values(study(), {"data.share": 0.5}).data.digest == "d" * 64
    assert with_values(study(), {"data.name": "mnist"}).data.digest is None


def test_other_weights_to_begin_with_have_another_digest():
    before = study(pretrain={"file": "first.keras", "digest": "e" * 64})
    assert with_values(before, {"pretrain.file": "second.keras"}).pretrain.digest is None
    assert with_values(before, {"pruning.rate": 0.1}).pretrain.digest == "e" * 64
    assert with_values(study(), {"pretrain.file": "second.keras"}).pretrain.digest is None


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("pruning.rat", 0.5, "tune.ranges: unknown key 'pruning.rat': did you mean 'rate'"),
        ("prunin.rate", 0.5, "tune.ranges: unknown key 'prunin': did you mean 'pruning'"),
        ("pruning.rate", 1.5, "tune.ranges: pruning.rate: .*less than 1. Received: 1.5"),
        ("pruning.rate", "0.5", "tune.ranges: pruning.rate: .*valid number. Received: '0.5'"),
        ("training.steps", 500, "tune.ranges: training.steps: "),
        ("pruning", 0.5, "tune.ranges: pruning: "),
        ("name.first", 1, "Expected 'name' in tune.ranges.name.first to be a group. Received: a text"),
        ("pruning..rate", 0.5, "tune.ranges: unknown key 'pruning.'"),
    ],
)
def test_a_setting_that_doesnt_exist_or_a_value_that_isnt_one_is_a_line(name, value, said):
    with pytest.raises(LotteryError, match=said) as error:
        with_values(study(), {name: value})
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", [*FIXED, "arms.final.training.steps", "storage.keep"])
def test_settings_that_cant_be_tuned_are_refused_with_the_reason(name):
    tune = made_up(ranges={"pruning.rate": [0.1, 0.2], name: [1, 2]}).tune
    with pytest.raises(
        LotteryError, match=rf"tune\.ranges\.{name}: expected a setting that can be tuned, but "
    ):
        check_names(tune)


def test_settings_whose_names_begin_like_theirs_can_be_tuned():
    check_names(made_up(ranges={"data.split_seed": [1, 2], "data.share": [0.1], "pruning.rate": [0.1]}).tune)
