import re

import pytest

from tests.fakes import fake_study
from tf_lottery.errors import LotteryError
from tf_lottery.method.check import check_arms
from tf_lottery.method.plan import foreseen

GLOBAL = {"rounds": 3, "scope": "global"}
RATES = {"rounds": 3, "layer_rates": {"output": 0.1}}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"arms": {"pretrain": {"like": "ticket"}}}, "before round 0 are called 'pretrain'"),
        ({"arms": {"a": {"like": "at_innit"}}}, r"arms\.a\.like of ticket, .*'at_innit'"),
        ({"arms": {"dense_longer": {"pruning": {"rate": 0.5}}}}, "takes no pruning of its own. Leave it out"),
        ({"arms": {"dense_longer": {"trials": 2}}}, "takes no rounds, trials or on"),
        (
            {"arms": {"dense_longer": {"on": "random_reinit"}, "random_reinit": {}}},
            "on as a chain that prunes",
        ),
        ({"arms": {"fork": {"data": {"share": 0.5}}}}, "takes no data of its own. Give it to 'ticket'"),
        ({"arms": {"at_init": {"rewind": {"to": "5it"}}}}, "takes no rewind of its own"),
        (
            {"search": {"steps": "5it"}, "arms": {"final": {"on": "random_reinit"}, "random_reinit": {}}},
            r"arms\.final\.on as a chain, which finds masks. Received: 'random_reinit'",
        ),
        (
            {"search": {"steps": "5it"}, "rewind": {"steps": "5it"}, "arms": {"final": {}}},
            "search.steps and rewind.steps both say",
        ),
        (
            {
                "arms": {
                    "x": {"like": "ticket", "rewind": {"weights": "trained", "to": "end", "steps": "2it"}},
                    "one": {"like": "one_shot", "on": "x", "rewind": {"weights": "rewound"}},
                }
            },
            "arms.one.rewind: expected weights: trained",
        ),
        (
            {
                "arms": {
                    "moved": {"like": "transfer", "data": {"share": 0.5}},
                    "once": {"like": "one_shot", "on": "moved"},
                }
            },
            "prunes the network of the study's own data, so it can't be on arm 'moved'",
        ),
        (
            {"arms": {"x": {"like": "ticket", "pruning": {"rounds": None}}}},
            r"arms\.x\.pruning\.rounds, target_density or max_accuracy_drop",
        ),
        ({"arms": {"transfer": {}}}, "needs data or training of its own"),
        ({"arms": {"final": {}}}, "the study has no search. Add search"),
        ({"arms": {"one_shot": {"pruning": {"rate": 0.5}}}}, "takes only criterion, .* Received: rate"),
        (
            {"arms": {"at_init": {"pruning": {"criterion": "snap"}}}},
            r"arms\.at_init\.pruning\.criterion.*'snap'",
        ),
        ({"arms": {"at_init": {"pruning": {"scope": "model"}}}}, r"arms\.at_init\.pruning\.scope.*'model'"),
        ({"pruning": {"rounds": 3, "scope": "model"}}, r"Expected pruning\.scope as one of layer.*'model'"),
        ({"pruning": {**RATES, "scope": "ekr"}}, r"Expected pruning\.scope as one of layer.*'ekr'"),
        ({"pruning": {**RATES, "scope": "erk"}}, "expected layer_rates of 0 .* since scope is erk"),
        (
            {"pruning": GLOBAL, "arms": {"one_shot": {"pruning": {"scope": "layer"}}}},
            "can't have scope 'layer', since arm 'ticket' counts its weights over all layers",
        ),
        (
            {"pruning": RATES, "arms": {"a": {"like": "ticket", "pruning": {"scope": "erk"}}}},
            r"arms\.a\.pruning: expected layer_rates of 0 .* since scope is erk",
        ),
        (
            {"rewind": {"weights": "trained", "optimizer": "restore"}},
            r"rewind\.optimizer: restore .* isn't kept. Set storage\.keep: all",
        ),
    ],
    ids=str,
)
def test_settings_that_do_not_go_together_are_refused_in_one_line(settings, message):
    with pytest.raises(LotteryError, match=message) as caught:
        check_arms(fake_study(**settings))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "settings",
    [
        {"pruning": RATES, "arms": {"one_shot": {"pruning": {"scope": "global", "criterion": "movement"}}}},
        {
            "pruning": RATES,
            "arms": {"snip": {"like": "at_init", "pruning": {"criterion": "snip", "scope": "erk"}}},
        },
        {"pruning": GLOBAL, "arms": {"one_shot": {"pruning": {"scope": "erk"}}}},
        {"rewind": {"weights": "trained", "optimizer": "restore"}, "storage": {"keep": "all"}},
        {"arms": {"late": {"like": "ticket", "rewind": {"to": "5it"}}, "a": {"like": "fork", "on": "late"}}},
    ],
    ids=str,
)
def test_settings_that_go_together_are_taken(settings):
    study = fake_study(**settings)
    check_arms(study)
    assert {spec.arm for spec in foreseen(study)} == study.arms.keys()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"rewind": {"to": "end"}}, "weights: trained, since the rewind point is the end"),
        ({"rewind": {"to": "end", "weights": "trained"}}, "expected steps, such as 20ep"),
        ({"rewind": {"to": "ends"}}, "'ends'"),
        ({"search": {}}, "expected steps, data or early_bird"),
        ({"pretrain": {"file": "a.keras", "steps": "5it"}}, "expected file, or steps"),
        ({"pretrain": {"digest": "a"}}, "expected digest with a file"),
        ({"pretrain": {"training": {"stepz": "2it"}}}, r"pretrain\.training\.stepz"),
        ({"pretrain": {"data": {"share": 2.0}}}, r"pretrain\.data\.share"),
        ({"search": {"data": 1.5}}, "1.5"),
        ({"arms": {"a": {"like": "ticket", "training": {"threads": 2}}}}, "a process has one only"),
        ({"arms": {"a": {"like": "ticket", "training": {"stepz": "2it"}}}}, r"arms\.a\.training\.stepz"),
        (
            {"arms": {"a": {"like": "transfer", "data": {"name": "npz", "digest": 5}}}},
            r"arms\.a\.data\.digest",
        ),
    ],
    ids=str,
)
def test_sections_that_are_wrong_by_themselves_are_refused(settings, message):
    with pytest.raises((LotteryError, ValueError), match=message):
        fake_study(**settings)


def test_an_arms_other_data_takes_nothing_of_the_studys_but_how_it_is_split():
    study = fake_study(
        data={"name": "npz", "path": "here.npz", "digest": "d" * 64, "validation": 7},
        arms={"moved": {"like": "transfer", "data": {"name": "digits"}}},
    )
    data = study.of_arm("moved").data
    assert (data.name, data.path, data.digest, data.validation) == ("digits", None, None, 7)
    assert re.match("d+", study.data.digest)
