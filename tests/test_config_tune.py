"""The section `tune`: what it takes, and one clear line for what it doesn't."""

import re

import pytest
import yaml

from tests.tuning.made_up import made_up, settings
from tf_lottery import config_file
from tf_lottery.config_tune import ORACLES, RangeConfig, load_tuning
from tf_lottery.errors import LotteryError


def written(directory, study=None, tune=None):
    path = directory / "mine.yaml"
    path.write_text(yaml.safe_dump(settings(study, tune)))
    return path


def refused(directory, **tune):
    """What is said of settings of the section, without the file's name."""
    path = written(directory, tune=tune)
    with pytest.raises(LotteryError) as error:
        load_tuning(path)
    said = str(error.value)
    assert "\n" not in said
    assert said.startswith(f"{path}, tune: "), said
    return said.removeprefix(f"{path}, tune: ")


def test_a_file_has_a_study_and_the_section(tmp_path):
    tuning = load_tuning(written(tmp_path))
    assert tuning.study.search.steps == "20it"
    assert tuning.tune.ranges == {"pruning.rate": [0.25, 0.5, 0.75]}
    assert (tuning.tune.objective, tuning.tune.oracle, tuning.tune.cost) == (
        "sparsest_matching",
        "bayesian",
        "steps",
    )


def test_a_tuning_keeps_masks_unless_it_says_otherwise(tmp_path):
    assert load_tuning(written(tmp_path)).study.storage.keep == "masks"
    said = written(tmp_path, {"storage": {"keep": "all"}})
    assert load_tuning(said).study.storage.keep == "all"
    assert load_tuning(said, ["storage.keep=weights"]).study.storage.keep == "weights"


def test_overrides_reach_the_study_and_the_section(tmp_path):
    tuning = load_tuning(
        written(tmp_path),
        ["tune.candidates=7", "tune.oracle=grid", "replicates=2", "tune.ranges={seed: [1]}"],
    )
    assert (tuning.tune.candidates, tuning.tune.oracle, tuning.study.replicates) == (7, "grid", 2)
    assert tuning.tune.ranges == {"seed": [1]}


def test_the_name_of_the_file_is_the_tunings(tmp_path):
    assert load_tuning(written(tmp_path, {"name": None})).study.name == "mine"


def test_what_is_dumped_is_read_back(tmp_path):
    ranges = {
        "pruning.rate": {"min": 0.1, "max": 0.6, "step": 0.1},
        "search.steps": {"min": "10it", "max": "1000it", "sampling": "log"},
        "data.standardize": [True, False],
        "rewind.to": ["0it", "10it"],
        "training.batch_size": {"min": 10, "max": 60},
    }
    tuning = load_tuning(written(tmp_path, tune={"ranges": ranges, "objective": {"accuracy_at": 0.1}}))
    path = tmp_path / "again.yaml"
    section = {"tune": tuning.tune.model_dump(mode="json")}
    path.write_text(config_file.dump(tuning.study) + yaml.safe_dump(section))
    assert load_tuning(path) == tuning


@pytest.mark.parametrize("section", [None, [], "all", 3])
def test_a_study_without_the_section_is_one_line(tmp_path, section):
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump(settings() | {"tune": section}))
    with pytest.raises(
        LotteryError, match=r"section tune in .*mine\.yaml.* Received: (none|list|str|int)\."
    ) as error:
        load_tuning(path)
    assert "\n" not in str(error.value)


def test_run_refuses_a_tuning_and_names_the_command(tmp_path):
    with pytest.raises(LotteryError, match=r"mine\.yaml is a tuning.*`tf-lottery tune`"):
        config_file.load_config(written(tmp_path))


def test_a_wrong_setting_of_the_study_is_said_as_of_any_study(tmp_path):
    with pytest.raises(LotteryError, match=r"mine\.yaml: unknown key 'pruning\.rat': did you mean 'rate'"):
        load_tuning(written(tmp_path, {"pruning": {"rat": 0.5, "rounds": 1}}))


def test_ranges_are_needed(tmp_path):
    assert refused(tmp_path, ranges={}).startswith("ranges: expected at least one setting")
    path = written(tmp_path)
    path.write_text(yaml.safe_dump({**settings(), "tune": {"tolerance": 0.01}}))
    with pytest.raises(LotteryError, match="tune: ranges: expected at least one setting"):
        load_tuning(path)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ([], r"expected a list of values, or min and max, received \[\]"),
        (0.5, "expected a list of values, or min and max, received 0.5"),
        (None, "expected a list of values, or min and max, received None"),
        ([[0.5]], "expected texts or numbers"),
        ([None, 0.5], "expected texts or numbers"),
        ([0.5, "much"], "expected values of one kind"),
        ([True, 2], "expected values of one kind"),
        ([0.5, 0.5], "expected each value once"),
        ([1, 1.0], "expected each value once"),
        ([0.5, float("nan")], "expected finite numbers"),
        ([0.5, float("inf")], "expected finite numbers"),
        ({"min": 0.1}, r"max: Field required"),
        ({"min": 0.6, "max": 0.1}, "expected min below max, received 0.6 and 0.1"),
        ({"min": 0.5, "max": 0.5}, "expected min below max"),
        ({"min": "20it", "max": "10it"}, "expected min below max, received 20it and 10it"),
        ({"min": "1ep", "max": "900it"}, "numbers, or steps in one unit, received 1ep and 900it"),
        ({"min": 10, "max": "900it"}, "numbers, or steps in one unit, received 10 and 900it"),
        ({"min": "10it", "max": "90it", "step": 5}, "numbers, or steps in one unit"),
        ({"min": "few", "max": "many"}, "Expected steps such as '5000it'.*'few'"),
        ({"min": 0.1, "max": 0.6, "step": 0}, "expected step above 0 that fits"),
        ({"min": 0.1, "max": 0.6, "step": 0.6}, "expected step above 0 that fits"),
        ({"min": 0.1, "max": 0.6, "step": -0.1}, "expected step above 0 that fits"),
        ({"min": "10it", "max": "20it", "step": "0it"}, "expected step above 0 that fits"),
        ({"min": 0, "max": 1, "sampling": "log"}, "expected min above 0 and no step with sampling: log"),
        ({"min": 1, "max": 9, "step": 2, "sampling": "log"}, "expected min above 0 and no step"),
        ({"min": 0.1, "max": 0.6, "sampling": "cubic"}, "sampling: "),
        ({"min": 0.1, "max": 0.6, "steps": 0.1}, "steps: Extra"),
        (
            {"rate": [0.1]},
            "the values of a setting, .* such as pruning.rate.rate: a list",
        ),
        ({}, "expected the values of a setting: a list, or min and max"),
        ({"min": True, "max": 5}, "min"),
        ({"min": 0.1, "max": float("inf")}, "max"),
    ],
)
def test_a_range_that_makes_no_sense_is_one_line_with_the_settings_name(tmp_path, values, said):
    message = refused(tmp_path, ranges={"pruning.rate": values})
    assert re.match(rf"ranges: pruning\.rate[.:].*{said}", message), message


@pytest.mark.parametrize(
    ("tune", "said"),
    [
        ({"tolerance": None}, "expected a tolerance with objective sparsest_matching, such as 0.005"),
        ({"tolerance": -0.1}, "tolerance: .*greater than or equal to 0. Received: -0.1"),
        ({"objective": "densest"}, "objective: expected sparsest_matching, or {accuracy_at: 0.036}.*densest"),
        ({"objective": {"accuracy_at": 1}}, "objective: expected sparsest_matching, or .*below 1"),
        ({"objective": {"accuracy_at": 0.0}}, "objective: expected"),
        ({"objective": {"accuracy_at": True}}, "objective: expected"),
        ({"objective": {"accuracy_at": 0.1, "more": 1}}, "objective: expected"),
        ({"objective": {}}, "objective: expected"),
        ({"oracle": "psychic"}, "oracle: .*'random', 'grid', 'bayesian' or 'hyperband'. Received: 'psychic'"),
        ({"cost": "euros"}, "cost: .*'steps', 'flops' or 'seconds'. Received: 'euros'"),
        ({"cost_weight": 0}, "cost_weight: .*greater than 0"),
        ({"candidates": 0}, "candidates: .*greater than or equal to 1"),
        ({"at_once": 0}, "at_once: "),
        ({"confirm": -1}, "confirm: "),
        ({"down_to": 1.0}, "down_to: .*less than 1"),
        ({"down_to": 0.0}, "down_to: .*greater than 0"),
        ({"resource": "money"}, "resource: "),
        (
            {"budget": "0it"},
            "budget: expected training steps such as 2000000it, or seconds such as 3600s.*'0it'",
        ),
        ({"budget": "5ep"}, "budget: expected training steps.*'5ep'"),
        ({"budget": "0s"}, "budget: expected training steps.*'0s'"),
        ({"budget": "soon"}, "budget: expected training steps.*'soon'"),
        ({"budget": 5000}, "budget: .*valid string. Received: 5000"),
        ({"orakle": "grid"}, "unknown key 'orakle': did you mean 'oracle'"),
    ],
)
def test_a_wrong_setting_of_the_section_is_one_line(tmp_path, tune, said):
    assert re.match(said, refused(tmp_path, **tune))


def test_the_objective_at_a_density_needs_no_tolerance():
    tune = made_up(objective={"accuracy_at": 0.036}, tolerance=None).tune
    assert (tune.at_density, tune.floor, tune.tolerance) == (0.036, 0.036, None)
    assert made_up().tune.at_density is None
    assert made_up(down_to=0.02).tune.floor == 0.02


@pytest.mark.parametrize(
    ("budget", "steps", "seconds"),
    [(None, None, None), ("2000000it", 2_000_000, None), ("3600s", None, 3600.0), ("0.5s", None, 0.5)],
)
def test_a_budget_is_in_steps_or_in_seconds(budget, steps, seconds):
    tune = made_up(budget=budget).tune
    assert (tune.budget_steps, tune.budget_seconds) == (steps, seconds)


@pytest.mark.parametrize(
    ("range_", "unit", "bounds"),
    [
        ({"min": "10it", "max": "90it", "step": "20it"}, "it", (10, 90, 20)),
        ({"min": "1ep", "max": "9ep"}, "ep", (1, 9, None)),
        ({"min": 0.1, "max": 1}, "", (0.1, 1, None)),
    ],
)
def test_steps_have_a_unit_and_bounds_are_numbers(range_, unit, bounds):
    values = RangeConfig.model_validate(range_)
    assert (values.unit, values.bounds) == (unit, bounds)


def test_every_oracle_that_is_named_can_be_chosen():
    assert [made_up(oracle=oracle).tune.oracle for oracle in ORACLES] == list(ORACLES)
