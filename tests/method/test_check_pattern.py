"""Patterns of arms: keys, and what is refused before data or network are known."""

import pytest

from tests.fakes import fake_study
from tf_lottery import config_file
from tf_lottery.errors import LotteryError
from tf_lottery.method.arms import ARMS
from tf_lottery.method.check import check_arms
from tf_lottery.method.plan import foreseen

UNITS = {"pattern": "units", "rate": 0.5, "rounds": 2}
FIXED = {"pattern": "2:4", "rate": 0.5, "rounds": 1}
TAKEN = (
    "one_shot",
    "at_init",
    "random_reinit",
    "keep_signs",
    "constant_sign",
    "reshuffle",
    "fork",
    "shuffled",
)


def study(pruning, **arms):
    return fake_study(pruning=pruning, arms={"ticket": {}, **arms})


def refused(*given, **arms):
    with pytest.raises(LotteryError) as caught:
        check_arms(study(*given, **arms))
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_without_a_pattern_keys_are_as_before_and_with_one_they_differ():
    specs = {}
    for name, own in {"none": {}, "single": {"pattern": "single"}, "units": {"pattern": "units"}}.items():
        specs[name] = foreseen(study({"rounds": 2, **own}, one_shot={}, shuffled={}))
    keys = {name: [spec.key for spec in each] for name, each in specs.items()}
    assert keys["none"] == keys["single"]
    assert all("pattern" not in spec.model_dump_json(exclude_defaults=True) for spec in specs["single"])
    pairs = zip(keys["single"], keys["units"], strict=True)
    for (one, other), spec in zip(pairs, specs["units"], strict=True):
        assert (one == other) == (spec.round == 0)
    assert {spec.pruning.pattern for spec in specs["units"] if spec.round} == {"units"}


def test_yaml_reads_two_of_four_as_a_text(tmp_path):
    config = tmp_path / "study.yaml"
    config.write_text("data: {name: digits}\npruning: {rounds: 1, rate: 0.5, pattern: 2:4}\n")
    assert config_file.load_config(config).pruning.pattern == "2:4"
    changed = config_file.load_config(config, ["pruning.pattern=1:2"])
    assert changed.pruning.pattern == "1:2"
    config.write_text(config_file.dump(changed))
    assert config_file.load_config(config) == changed
    config.write_text("data: {name: digits}\npruning: {rounds: 124}\n")
    assert config_file.load_config(config).pruning.rounds == 124


@pytest.mark.parametrize("pruning", [UNITS, FIXED, {**UNITS, "pattern": "block:4x4"}])
def test_patterns_go_with_the_arms_that_keep_them(pruning):
    taken = [arm for arm in TAKEN if arm != "shuffled" or pruning is not FIXED]
    together = study(pruning, dense_longer={}, **{arm: {} for arm in taken})
    check_arms(together)
    specs = foreseen(together)
    assert {spec.arm for spec in specs} == {"ticket", "dense_longer", *taken}
    assert {spec.pruning.pattern for spec in specs if spec.pruning} == {pruning["pattern"]}


@pytest.mark.parametrize("arm", ["inverted", "smart_ratio"])
def test_arms_for_single_weights_are_refused(arm):
    assert f"Arm {arm!r} is for single weights, so it doesn't go with pattern units" in refused(
        UNITS, **{arm: {}}
    )


def test_every_arm_is_known_to_go_with_patterns_or_refused():
    for arm in ARMS.keys() - {*TAKEN, "inverted", "smart_ratio", "final", "transfer"}:
        assert "is for single weights" in refused(UNITS, **{arm: {}})


def test_a_chain_may_have_a_pattern_of_its_own():
    arms = {"whole": {"like": "ticket", "pruning": UNITS}, "fixed": {"like": "ticket", "pruning": FIXED}}
    both = study({"rounds": 2}, **arms, reinit={"like": "random_reinit", "on": "whole"})
    check_arms(both)
    patterns = {spec.arm: spec.pruning.pattern for spec in foreseen(both) if spec.round}
    assert patterns == {"ticket": "single", "whole": "units", "fixed": "2:4", "reinit": "units"}


@pytest.mark.parametrize("arm", ["one_shot", "at_init"])
def test_an_arm_at_once_has_the_pattern_of_the_arm_whose_density_it_has(arm):
    assert "Received: pattern" in refused({"rounds": 2}, **{arm: {"pruning": {"pattern": "units"}}})
    assert "Received: pattern" in refused(UNITS, **{arm: {"pruning": {"pattern": "single"}}})
    message = refused(UNITS | {"scope": "global"}, **{arm: {}})
    assert f"Arm {arm!r} can't have as many weights as arm 'ticket' with pattern units" in message
    assert "scope 'global'" in refused(UNITS, **{arm: {"pruning": {"scope": "global"}}})


def test_the_density_that_n_of_m_fixes_isnt_contradicted():
    assert "Expected pruning.rounds 1 with pattern 2:4, which fixes the density. Received: 2" in refused(
        FIXED | {"rounds": 2}
    )
    only = {"pattern": "2:4", "rate": 0.5, "target_density": 0.5}
    assert "which fixes the density. Received: None" in refused(only)
    assert "Expected pruning.rate 0.5 with pattern 2:4" in refused(FIXED | {"rate": 0.2})
    assert "Expected pruning.rate 0.75 with pattern 1:4" in refused(FIXED | {"pattern": "1:4"})
    assert "Expected pruning.rate 0.5" in refused(FIXED | {"layer_rates": {"output": 0.1}})
    check_arms(study(FIXED | {"layer_rates": {"output": 0}}))
    assert "scope 'layer' and min_density 0" in refused(FIXED | {"scope": "global"})
    assert "scope 'layer' and min_density 0" in refused(FIXED | {"min_density": 0.1})
    assert "Criterion synflow prunes in many small steps" in refused(FIXED | {"criterion": "synflow"})
    message = refused({"rounds": 3}, fixed={"like": "ticket", "pruning": {"pattern": "2:4"}})
    assert "Expected arms.fixed.pruning.rate 0.5" in message


def test_scopes_of_single_weights_and_unknown_patterns_are_refused():
    assert "Expected pruning.scope with pattern units of layer, global" in refused(UNITS | {"scope": "erk"})
    assert "Expected pruning.pattern as single" in refused(UNITS | {"pattern": "rows"})
    assert "Expected arms.x.pruning.pattern as" in refused(
        {"rounds": 1}, x={"like": "ticket", "pruning": {"pattern": "4:2"}}
    )


def test_masks_that_cannot_be_shuffled_by_groups_are_refused():
    assert "'shuffled' shuffles whole units or blocks, but arm 'ticket' keeps as many" in refused(
        FIXED, shuffled={}
    )
    other = {"name": "fashion_mnist", "digest": "e" * 64}
    arms = {"transfer": {"data": other}, "shuffled": {"on": "transfer"}}
    assert "but arm 'transfer' has its masks from another network" in refused(UNITS, **arms)
    check_arms(study({"rounds": 2}, **arms))
