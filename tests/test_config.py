import pytest
from pydantic import ValidationError

from tf_lottery.config import StudyConfig

ARMS_OF_MANY = {"random_reinit": {"trials": 1000}}


def study(**settings):
    return StudyConfig.model_validate({"name": "s", "pruning": {"rounds": 3}} | settings)


def test_defaults_are_the_lenet_protocol_of_the_paper():
    defaults = study()
    assert (defaults.training.steps, defaults.training.batch_size) == ("50000it", 60)
    assert (defaults.training.optimizer, defaults.training.learning_rate) == ("adam", 0.0012)
    assert (defaults.pruning.rate, defaults.pruning.scope) == (0.2, "layer")
    assert (defaults.rewind.to, defaults.rewind.optimizer) == ("0it", "reset")
    assert list(defaults.arms) == ["ticket", "random_reinit"]


@pytest.mark.parametrize(
    "settings",
    [
        {"unheard_of": 1},
        {"data": {"order": "shuffled"}},
        {"data": {"validation": 0}},
        {"model": {"name": "lenet_300_100", "build": "package.module:function"}},
        {"model": {"build": "package.module"}},
        {"training": {"batch_size": 0}},
        {"training": {"steps": "5000"}},
        {"training": {"steps": 5000}},
        {"training": {"learning_rate": 0}},
        {"training": {"learning_rate": float("nan")}},
        {"training": {"threads": 0}},
        {"pruning": {}},
        {"pruning": {"rounds": 3, "rate": 0}},
        {"pruning": {"rounds": 3, "rate": 1}},
        {"pruning": {"rounds": 3, "layer_rates": {"output": 1.0}}},
        {"pruning": {"rounds": 3, "scope": 1}},
        {"pruning": {"rounds": 3, "scope": "global", "layer_rates": {"output": 0.1}}},
        {"pruning": {"target_density": 0}},
        {"pruning": {"max_accuracy_drop": -0.01}},
        {"rewind": {"to": "halfway"}},
        {"arms": {"random_reinit": {"rounds": []}}},
        {"arms": {"random_reinit": {"rounds": [0]}}},
        {"arms": {"random_reinit": {"trials": 0}}},
        {"arms": {"ticket": {"trials": 2}}},
        {"arms": {"../../elsewhere": {"like": "ticket"}}},
        {"arms": {"a/b": {"like": "ticket"}}},
        {"arms": {"": {"like": "ticket"}}},
        {"arms": {"ticket": {"rounds": [1]}}},
        {"replicates": 0},
        {"replicates": 10**12},
        {"pruning": {"rounds": 10**12}},
        {"arms": {"random_reinit": {"trials": 10**12}}},
        {"arms": {"random_reinit": {"rounds": [10**12]}}},
        {"training": {"batch_size": 10**12}},
        {"training": {"threads": 10**12}},
        {"data": {"validation": 10**12}},
        {"data": {"split_seed": 2**63}},
        {"seed": 2**63},
        {"seed": -1},
        {"name": "../outside"},
        {"name": ""},
    ],
    ids=str,
)
def test_settings_out_of_range_are_refused(settings):
    with pytest.raises(ValidationError):
        study(**settings)


@pytest.mark.parametrize(
    "settings",
    [
        {"replicates": 10_000, "pruning": {"rounds": 49}},
        {"replicates": 499, "pruning": {"rounds": 1000}},
        {"replicates": 100, "pruning": {"rounds": 9}, "arms": {"random_reinit": {"trials": 1000}}},
        {
            "replicates": 900,
            "pruning": {"rounds": 100},
            "arms": {"random_reinit": {"trials": 1000, "rounds": [7, 7, 101]}},
        },
        {"seed": 2**63 - 1},
    ],
    ids=str,
)
def test_studies_that_somebody_might_train_are_allowed(settings):
    assert study(**settings)


@pytest.mark.parametrize(
    ("settings", "runs"),
    [
        ({"replicates": 10_000, "pruning": {"rounds": 50}}, "1,010,000"),
        ({"replicates": 10_000, "pruning": {"target_density": 0.1}, "arms": ARMS_OF_MANY}, "10,020,000"),
        ({"replicates": 1000, "pruning": {"rounds": 1000}, "arms": ARMS_OF_MANY}, "1,001,001,000"),
    ],
    ids=str,
)
def test_more_runs_than_anyone_trains_are_refused_as_a_whole(settings, runs):
    with pytest.raises(ValidationError, match=f"at most 1,000,000 runs .*received {runs}"):
        study(**settings)


@pytest.mark.parametrize("setting", ["steps", "evaluate_every"])
def test_a_training_of_no_steps_or_endless_evaluation_is_refused(setting):
    with pytest.raises(ValidationError):
        study(training={setting: "0it"})


@pytest.mark.parametrize(
    "rule", [{"rounds": 0}, {"target_density": 0.1}, {"max_accuracy_drop": 0.0}], ids=str
)
def test_any_one_stop_rule_is_enough(rule):
    assert study(pruning=rule).pruning.model_dump(exclude_defaults=True) == rule


def test_global_scope_may_leave_layers_out():
    pruning = study(pruning={"rounds": 3, "scope": "global", "layer_rates": {"output": 0}}).pruning
    assert pruning.layer_rates == {"output": 0}


def test_the_ticket_arm_is_always_there_and_first():
    assert list(study(arms={"random_reinit": {}}).arms) == ["ticket", "random_reinit"]
    assert list(study(arms={}).arms) == ["ticket"]


def test_a_study_cannot_be_changed_after_validation():
    validated = study()
    with pytest.raises(ValidationError):
        validated.replicates = 2


@pytest.mark.parametrize(
    "further",
    [
        {"description": "other words"},
        {"replicates": 5},
        {"tolerance": 0.01},
        {"arms": {"random_reinit": {"trials": 3}}},
        {"data": {"digest": "d" * 64}},
        {"pruning": {"rounds": 20, "target_density": 0.01, "max_accuracy_drop": 0.1}},
    ],
    ids=str,
)
def test_how_far_a_study_goes_does_not_change_what_its_runs_are(further):
    assert study().same_runs_as(study(**further))


@pytest.mark.parametrize(
    "other",
    [
        {"seed": 1},
        {"data": {"validation": 100}},
        {"data": {"split_seed": 1}},
        {"data": {"share": 0.5}},
        {"data": {"standardize": True}},
        {"model": {"name": "conv_2"}},
        {"training": {"learning_rate": 0.1}},
        {"pruning": {"rounds": 3, "rate": 0.3}},
        {"pruning": {"rounds": 3, "layer_rates": {"output": 0.1}}},
        {"rewind": {"to": "500it"}},
    ],
    ids=str,
)
def test_studies_of_different_runs_are_told_apart(other):
    assert not study().same_runs_as(study(**other))
