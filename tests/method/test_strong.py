"""Arms whose masks are trained: their recipes, what waits for them, and what is refused."""

import pytest

from tests.fakes import fake_record, fake_spec, fake_study
from tests.method.test_refusals import assert_helps
from tf_lottery.config import RewindConfig
from tf_lottery.errors import LotteryError
from tf_lottery.method.check import check_arms
from tf_lottery.method.ledger import ledger
from tf_lottery.method.plan import foreseen, plan
from tf_lottery.method.spec import RunSpec

CONTROLS = ("random_reinit", "keep_signs", "constant_sign", "reshuffle", "shuffled", "fork", "transfer")


def specs_of(arm, study):
    return [spec for spec in foreseen(study) if spec.arm == arm]


def learned(kind="learned", **own):
    return {"rounds": [1], "supermask": {"kind": kind}, **own}


def test_a_run_starts_from_step_0_and_says_how_many_weights_stay_but_by_no_criterion():
    study = fake_study(
        pruning={"rounds": 3, "rate": 0.3, "criterion": "snip", "scope": "global"},
        rewind={"to": "500it"},
        arms={"supermask": {"pruning": {"scope": "erk"}, "supermask": {"rescale": True}}},
    )
    dense = foreseen(study)[0]
    runs = specs_of("supermask", study)
    assert [spec.pruning.rounds for spec in runs] == [1, 2, 3]
    for spec in runs:
        assert (spec.root, spec.parent, spec.masks_of) == (dense.key, None, None)
        assert (spec.start, spec.rewind) == ("rewind", RewindConfig())
        assert (spec.pruning.criterion, spec.pruning.seed, spec.pruning.examples) == ("supermask", 0, 0)
        assert (spec.pruning.scope, spec.pruning.counted, spec.pruning.rate) == ("erk", None, 0.3)
        assert (spec.supermask.kind, spec.supermask.rescale) == ("edge_popup", True)
        assert spec.has_masks
        assert not spec.trains_under_masks
    assert len({spec.supermask.seed for spec in runs}) == 1
    assert len({spec.key for spec in runs}) == 3


def test_the_criterion_that_is_not_used_changes_no_key():
    one, two = (
        fake_study(pruning={"rounds": 1, "criterion": criterion}, arms={"supermask": {}})
        for criterion in ("magnitude", "random")
    )
    assert [spec.key for spec in specs_of("supermask", one)] == [
        spec.key for spec in specs_of("supermask", two)
    ]


def test_trials_and_replicates_draw_scores_of_their_own():
    study = fake_study(replicates=2, pruning={"rounds": 1}, arms={"supermask": {"trials": 2}})
    runs = specs_of("supermask", study)
    assert len({spec.supermask.seed for spec in runs}) == 4


@pytest.mark.parametrize("kind", ["learned", "signed"])
def test_a_density_that_is_learned_is_no_part_of_the_recipe(kind):
    keys = set()
    for round in (1, 3):
        (spec,) = specs_of("supermask", fake_study(arms={"supermask": learned(kind, rounds=[round])}))
        assert (spec.round, spec.pruning) == (round, None)
        assert spec.has_masks
        keys.add(spec.key)
    assert len(keys) == 1, "wherever it stands, it is the same run"


def test_the_engine_of_a_study_that_leaves_the_choice_changes_no_key():
    keys = [
        [
            spec.key
            for spec in specs_of(
                "supermask", fake_study(training={"engine": engine}, arms={"supermask": learned()})
            )
        ]
        for engine in ("dense", "auto")
    ]
    assert keys[0] == keys[1]


def test_a_spec_without_a_supermask_has_the_key_that_it_had_before():
    spec = fake_spec()
    assert "supermask" not in spec.model_dump(exclude_defaults=True)
    (run,) = specs_of("supermask", fake_study(pruning={"rounds": 1}, arms={"supermask": {}}))
    again = RunSpec.model_validate_json(run.model_dump_json())
    assert (again, again.key) == (run, run.key)
    without = run.supermask.model_copy(update={"constant": False, "rescale": False})
    assert run.model_copy(update={"supermask": without}).key == run.key


@pytest.mark.parametrize("kind", ["edge_popup", "learned"])
@pytest.mark.parametrize("control", CONTROLS)
def test_controls_take_the_masks_of_the_finished_run(control, kind):
    own = {"training": {"optimizer": "sgd"}} if control == "transfer" else {}
    arms = {"supermask": learned(kind), "above": {"like": control, "on": "supermask", **own}}
    study = fake_study(pruning={"rounds": 1}, arms=arms)
    (strong,), (above,) = specs_of("supermask", study), specs_of("above", study)
    assert above.masks_of == strong.key
    assert above.root == strong.root
    assert (above.parent, above.pruning, above.supermask) == (None, None, None)
    assert len(above.edits) == (control == "shuffled")
    higher = {**arms, "higher": {"like": "fork", "on": "above"}}
    (spec,) = specs_of("higher", fake_study(pruning={"rounds": 1}, arms=higher))
    assert (spec.masks_of, spec.edits, spec.start) == (strong.key, above.edits, above.start)


def test_controls_wait_until_the_masks_are_trained():
    arms = {"supermask": learned(), "fork": {"on": "supermask"}}
    study = fake_study(pruning={"rounds": 1}, arms=arms)
    (dense,) = plan(study, [])
    records = [fake_record(dense)]
    ready = plan(study, records)
    assert [spec.arm for spec in ready] == ["ticket", "supermask"]
    records.append(fake_record(ready[0]))
    assert [spec.arm for spec in plan(study, records)] == ["supermask"]
    records.append(fake_record(ready[1]))
    assert [spec.arm for spec in plan(study, records)] == ["fork"]


def test_a_controls_search_is_the_training_of_its_masks_and_that_takes_no_other():
    arms = {"supermask": {"rounds": [1]}, "fork": {"on": "supermask"}}
    study = fake_study(pruning={"rounds": 1}, arms=arms)
    entries = {entry.record.spec.arm: entry for entry in ledger([fake_record(s) for s in foreseen(study)])}
    assert entries["supermask"].search.runs == 0
    assert entries["fork"].search.runs == 1


@pytest.mark.parametrize(
    ("arm", "message"),
    [
        ({"pruning": {"criterion": "snip"}}, "trains its scores, so its pruning takes no criterion"),
        ({"supermask": {"kind": "learned"}}, r"so all its rounds would be the same run\. .*rounds: \[1\]"),
        (
            learned("signed", rounds=[1, 2]),
            r"learns its density \(supermask.kind signed\), so all",
        ),
        (learned(pruning={"scope": "erk"}), "learns its density .* takes no pruning of its own"),
        (
            {"pruning": {"scope": "global", "min_density": 0.1}},
            "'global', which knows no min_density",
        ),
        ({"rewind": {"to": "5it"}}, "takes no rewind of its own"),
        ({"supermask": {"kinds": "learned"}}, r"arms\.supermask\.supermask\.kinds'"),
        ({"supermask": {"threshold": 0.1}}, "threshold with kind: signed only"),
        ({"supermask": {"kind": "signed", "constant": True}}, "no constant with kind: signed"),
    ],
    ids=str,
)
def test_what_does_not_fit_is_refused_in_one_line(arm, message):
    with pytest.raises((LotteryError, ValueError), match=message) as caught:
        check_arms(fake_study(arms={"supermask": arm}))
    assert_helps(str(caught.value).splitlines()[0])


def test_a_study_that_restores_its_optimizer_may_train_scores_with_another():
    study = fake_study(
        rewind={"to": "5it", "optimizer": "restore"},
        arms={"supermask": {"training": {"optimizer": "sgd"}}},
    )
    check_arms(study)
    assert {spec.rewind for spec in specs_of("supermask", study)} == {RewindConfig()}


def test_masks_that_were_trained_have_no_scores_to_invert():
    study = fake_study(arms={"supermask": {}, "inverted": {"on": "supermask"}})
    with pytest.raises(LotteryError, match="'inverted' inverts .* arm 'supermask'"):
        foreseen(study)
