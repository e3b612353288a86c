"""What an arm's own settings can't be, found before anything is trained, and what they may be."""

import numpy as np
import pytest
from sklearn.datasets import load_digits

from tests.fakes import fake_study
from tests.runs.test_check import NothingTrained, one, settings
from tf_lottery.drivers.run_study import run_study
from tf_lottery.errors import LotteryError
from tf_lottery.method.check import check_arms
from tf_lottery.method.plan import foreseen

ZERO = {"model": {"build": "tests.training.networks:zero_output"}, "pruning": {"layer_rates": {}}}
SPARSE = {"rate": 0.9, "layer_rates": {}}
RESTORE = {"to": "6it", "optimizer": "restore"}
ONE_LAYER = {
    "model": {"build": "tests.training.networks:probabilities"},
    "training": {"from_logits": False},
    "pruning": {"layer_rates": {}},
}


def small():
    digits = load_digits()
    x, y = (digits.images[:, ::2, ::2] * 15).astype(np.uint8)[..., None], digits.target
    return {"x_train": x[:1400], "y_train": y[:1400], "x_test": x[1400:], "y_test": y[1400:]}


@pytest.mark.parametrize(
    "changes",
    [
        {"pruning": SPARSE, "arms": one("smart_ratio", rounds=[2])},
        {"pruning": SPARSE | {"scope": "smart_ratio"}},
        {"pruning": SPARSE | {"rounds": 4}},
        {"arms": one("one_shot", pruning={"min_density": 0.9})},
        {"arms": one("one_shot", rewind=RESTORE, training={"optimizer": "sgd"})},
        {"rewind": RESTORE, "arms": one("fork", training={"optimizer": "sgd"})},
        {"arms": one("one_shot", training={"precision": "float64"})},
        {**ZERO, "arms": one("constant_sign")},
        {**ONE_LAYER, "arms": one("transfer", data={"load": "tests.runs.test_check_arms:small"})},
        {"arms": one("fork", training={"optimizer": "sgdd"})},
        {"arms": one("at_init", pruning={"criterion": "movement"})},
        {"arms": one("at_init", pruning={"criterion": "magnitude_increase"})},
        {"search": {"steps": "50it"}, "arms": one("final")},
    ],
    ids=str,
)
def test_refused_before_anything_is_trained(changes, tmp_path):
    with pytest.raises(LotteryError) as caught:
        run_study(settings(**changes), tmp_path / "study", observer=NothingTrained())
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("arm", ["inverted", "constant_sign", "one_shot", "at_init"])
def test_trials_of_what_draws_nothing_are_refused_unless_each_has_an_order_of_its_own(arm):
    arms = {"ticket": {}, arm: {"trials": 2}}
    with pytest.raises(LotteryError, match=f"{arm!r} draws nothing, so all its trials would be the same"):
        foreseen(fake_study(arms=arms))
    with pytest.raises(LotteryError, match="draws nothing"):
        foreseen(fake_study(arms={"at_init": {"trials": 2, "pruning": {"criterion": "synflow"}}}))
    fresh = fake_study(data={"name": "digits", "digest": "d" * 64, "order": "fresh"}, arms=arms)
    assert len({spec.key for spec in foreseen(fresh)}) == 1 + 3 + 6


@pytest.mark.parametrize("control", ["shuffled", "inverted", "random_reinit"])
def test_a_control_on_a_fork_sees_the_forks_order(control):
    study = fake_study(
        pruning={"rounds": 1}, arms={"ticket": {}, "f": {"like": "fork"}, "c": {"like": control, "on": "f"}}
    )
    specs = {spec.arm: spec for spec in foreseen(study) if spec.round}
    assert specs["c"].order_seed == specs["f"].order_seed


def test_a_fork_of_a_fork_is_another_one():
    study = fake_study(pruning={"rounds": 1}, arms={"a": {"like": "fork"}, "b": {"like": "fork", "on": "a"}})
    orders = [s.order_seed for s in foreseen(study) if s.round]
    assert len(set(orders)) == 3


@pytest.mark.parametrize("arm", ["one_shot", "at_init", "smart_ratio"])
def test_the_density_of_a_dense_arm_is_one(arm):
    study = fake_study(pruning={"rounds": 1}, arms={"dense_longer": {}, arm: {"on": "dense_longer"}})
    with pytest.raises(LotteryError, match="densities of arm 'dense_longer', which prunes nothing"):
        check_arms(study)


def test_tickets_of_a_cheaper_search_are_not_held_against_controls_in_full():
    with pytest.raises(LotteryError, match="no arm trains in full what it finds. Add final"):
        check_arms(fake_study(search={"steps": "5it"}))


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"pruning": {"criteria": "random"}}, "did you mean 'criterion'"),
        ({"training": {"stepz": "5it"}}, "did you mean 'steps'"),
        ({"rewind": {"optimizer": "kept"}}, "Received: 'kept'"),
    ],
    ids=str,
)
def test_an_arms_sections_are_refused_as_the_studys_are(settings, said):
    with pytest.raises(LotteryError, match=said):
        fake_study(arms={"a": {"like": "ticket", **settings}})


@pytest.mark.parametrize("section", ["rewind", "pruning"])
@pytest.mark.parametrize("arm", ["at_init", "smart_ratio"])
def test_arms_with_masks_of_their_own_are_not_said_to_have_anothers(arm, section):
    own = {"rewind": {"to": "5it"}, "pruning": {"rate": 0.3}}[section]
    with pytest.raises(LotteryError) as caught:
        check_arms(fake_study(arms={arm: {section: own}}))
    assert "has the masks of arm 'ticket'" not in str(caught.value)


def test_masks_are_shuffled_over_trained_weights_where_none_of_these_is_pruned():
    arms = {"b": {"like": "one_shot", "rewind": {"weights": "trained"}}, "c": {"like": "shuffled", "on": "b"}}
    assert "c" in {spec.arm for spec in foreseen(fake_study(arms=arms))}


def test_an_unknown_kind_of_weights_is_refused_with_the_known_ones():
    with pytest.raises(LotteryError, match=r"arms\.a\.rewind\.weights of rewound, trained. Received: 'kept'"):
        check_arms(fake_study(arms={"a": {"like": "ticket", "rewind": {"weights": "kept"}}}))


@pytest.mark.parametrize(
    "changes",
    [
        {"rewind": {"to": "6it"}, "arms": one("random_reinit", training={"steps": "5it"})},
        {"rewind": {"to": "6it"}, "arms": one("at_init", training={"steps": "5it"})},
        {
            "rewind": {"weights": "trained", "to": "end", "steps": "5it"},
            "arms": one("random_reinit", training={"learning_rate_schedule": {"name": "cosine"}}),
        },
    ],
    ids=str,
)
def test_arms_that_begin_at_step_0_are_not_refused_for_a_rewind_point(changes, tmp_path):
    records = run_study(settings(**changes), tmp_path / "study")
    (arm,) = changes["arms"].keys() - {"ticket"}
    begun = [record for record in records if record.spec.arm == arm]
    assert begun
    assert {record.first_step for record in begun} == {0}
