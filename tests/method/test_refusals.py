"""Every arm with every section of settings: taken where the arm reads it, else refused in one line."""

import re
from itertools import product

import pytest

from tests.fakes import fake_study
from tf_lottery.errors import LotteryError
from tf_lottery.method.arms import ARMS, CHAINS
from tf_lottery.method.check import check_arms
from tf_lottery.method.plan import foreseen

EVERY = (*CHAINS, *ARMS)
PRUNED = ("ticket", "one_shot", "at_init")
DRAWN = ("static", "set", "rigl")
CHANGING = ("gradual", "set", "rigl")
REWOUND = ("ticket", "dense_longer", "one_shot")
SINGLE = tuple(ARMS)
OTHER_DATA = {"name": "fashion_mnist", "digest": "e" * 64}

GOOD = [  # settings, the arms that read them
    ({"pruning": {"criterion": "random"}}, (*PRUNED, "gradual")),
    ({"pruning": {"scope": "erk"}}, (*PRUNED, "gradual", *DRAWN, "supermask")),
    ({"pruning": {"scope": "global", "criterion": "snip", "examples": 50}}, PRUNED),
    ({"pruning": {"min_density": 0.05}}, (*PRUNED, "gradual", *DRAWN, "supermask")),
    ({"supermask": {"constant": True}}, ("supermask",)),
    ({"rounds": [1], "supermask": {"kind": "learned"}}, ("supermask",)),
    ({"pruning": {"rate": 0.5}}, ("ticket",)),
    ({"pruning": {"rounds": 2}}, ("ticket",)),
    ({"pruning": {"layer_rates": {"output": 0.1}}}, ("ticket",)),
    ({"pruning": {"target_density": 0.3}}, ("ticket",)),
    ({"pruning": {"max_accuracy_drop": 0.1}}, ("ticket",)),
    ({"rewind": {"to": "5it"}}, REWOUND),
    ({"rewind": {"to": "5it", "optimizer": "restore"}}, REWOUND),
    ({"rewind": {"weights": "trained"}}, REWOUND),
    ({"rewind": {"weights": "trained", "to": "end", "steps": "5it"}}, REWOUND),
    ({"updates": {"every": "5it", "end": 0.5}}, CHANGING),
    ({"updates": {"begin": 0.2}}, ("gradual",)),
    ({"updates": {"fraction": 0.2}}, ("set", "rigl")),
    ({"training": {"learning_rate": 0.1}}, EVERY),
    ({"training": {"steps": "70it"}}, EVERY),
    ({"data": OTHER_DATA}, ("ticket", "transfer")),
    ({"data": {"share": 0.5}}, ("ticket", "transfer")),
    ({"rounds": [2]}, SINGLE),
    ({"rounds": [0]}, ("fork",)),
    ({"trials": 2}, SINGLE),
    ({"on": "chain"}, (*SINGLE, "dense_longer")),
]
"""Settings that some arms read."""
NOT_DRAWN = ("one_shot", "at_init", "gradual", "constant_sign", "inverted", "final", "transfer")
OPEN = {("trials", arm) for arm in NOT_DRAWN}
"""Whether trials are refused where nothing is drawn is left open here."""

BAD = [
    {"pruning": {"criterion": "snap"}},
    {"pruning": {"scope": "model"}},
    {"pruning": {"rate": 1.0}},
    {"pruning": {"rate": "half"}},
    {"pruning": {"rounds": -1}},
    {"pruning": {"min_density": 1.0}},
    {"pruning": {"examples": 0}},
    {"updates": {"every": "0it"}},
    {"updates": {"begin": 0.8}},
    {"updates": {"fraction": 1.0}},
    {"updates": {"end": 1.5}},
    {"rewind": {"to": "end"}},
    {"rewind": {"weights": "trained", "to": "end"}},
    {"rewind": {"to": "5"}},
    {"rewind": {"to": "-5it"}},
    {"rewind": {"weights": "kept"}},
    {"rewind": {"optimizer": "keep"}},
    {"rewind": {"steps": "0it"}},
    {"rewind": {"weights": "trained", "optimizer": "restore"}},  # storage.keep isn't `all`
    {"training": {"steps": "0it"}},
    {"training": {"threads": 2}},
    {"training": {"strategy": "mirrored"}},
    {"training": {"deterministic": False}},
    {"data": {"share": 0.0}},
    {"data": {"share": 1.5}},
    {"data": {"name": "npz", "load": "a:b"}},
    {"data": {"path": "here.npz"}},
    {"supermask": {"kind": 3}},
    {"supermask": {"threshold": 0.1}},
    {"rounds": []},
    {"rounds": [-1]},
    {"trials": 0},
    {"on": "nobody"},
    {"on": "itself"},
    {"like": "at_innit"},
    {"start": "rewind"},
]
"""Settings that no arm takes."""


def study_with(arm, settings):
    """A study with an arm of this function, and what it needs; the chain `chain` is there to be on."""
    needs = {"transfer": {"training": {"optimizer": "sgd"}}}.get(arm, {})
    name = arm if arm == "ticket" else "tested"
    settings = {k: name if v == "itself" and arm != "ticket" else v for k, v in settings.items()}
    own = {"like": arm, **needs, **settings} if name == "tested" else settings
    arms = {"ticket": {}, "chain": {"like": "ticket", "pruning": {"rate": 0.6}}, name: own}
    return fake_study(arms=arms, **({"search": {"steps": "5it"}} if arm == "final" else {}))


def plans(arm, settings):
    study = study_with(arm, settings)
    check_arms(study)
    foreseen(study)
    return study


def assert_helps(message):
    """One line that says what was expected, or what is wrong and what to do."""
    assert "\n" not in message
    assert len(message) < 400
    advice = r"[Ee]xpected |unknown key|[Ii]nput should|takes only|Leave |Give |Name |Use |Set |Add |Choose "
    assert re.search(advice, message), message


CASES = [
    (arm, settings, arm in arms)
    for settings, arms in GOOD
    for arm in EVERY
    if not {(key, arm) for key in settings} & OPEN
]


@pytest.mark.parametrize(("arm", "settings", "taken"), CASES, ids=str)
def test_an_arm_takes_what_it_reads_and_refuses_all_else(arm, settings, taken):
    if taken:
        plans(arm, settings)
        return
    with pytest.raises(LotteryError) as caught:
        plans(arm, settings)
    assert_helps(str(caught.value))
    assert ("tested" if arm != "ticket" else "ticket") in str(caught.value)


@pytest.mark.parametrize("settings", BAD, ids=str)
def test_what_no_arm_takes_is_refused_by_every_arm_in_one_line(settings):
    for arm in EVERY:
        if arm == "ticket" and "like" in settings:
            continue
        with pytest.raises(LotteryError) as caught:
            plans(arm, settings)
        assert_helps(str(caught.value))


@pytest.mark.parametrize(
    ("arm", "needed"), [("final", "Add search"), ("transfer", "Give it some, such as data")]
)
def test_an_arm_that_lacks_what_it_is_about_is_refused(arm, needed):
    with pytest.raises(LotteryError, match=needed) as caught:
        check_arms(fake_study(arms={arm: {}}))
    assert_helps(str(caught.value))


def arm_of(function):
    needs = {"transfer": {"data": OTHER_DATA}}.get(function, {})
    return {"like": function, **needs}


REDRAWN = ("random_reinit", "keep_signs", "constant_sign", "reshuffle")
IMPOSSIBLE = [
    *(
        ("inverted", on)
        for on in ("shuffled", "inverted", "transfer", "dense_longer", *CHANGING, "supermask")
    ),
    *product((*REDRAWN, "shuffled", "inverted", "fork", "transfer"), ("small_dense",)),
    *(("transfer", on) for on in (*REDRAWN, "dense_longer", "transfer")),
    ("shuffled", "dense_longer"),
    *product(REDRAWN, REDRAWN),
]


@pytest.mark.parametrize("on", [arm for arm in EVERY if arm not in ("ticket", "final")])
@pytest.mark.parametrize("control", [*REDRAWN, "shuffled", "inverted", "fork", "transfer"])
def test_controls_of_controls(control, on):
    study = fake_study(arms={"below": arm_of(on), "above": {**arm_of(control), "on": "below"}})
    check_arms(study)
    if (control, on) not in IMPOSSIBLE:
        specs = foreseen(study)
        assert any(spec.arm == "above" for spec in specs) or control == on
        return
    with pytest.raises(LotteryError, match="above") as caught:
        foreseen(study)
    assert_helps(str(caught.value))


@pytest.mark.parametrize("control", ["shuffled", "transfer"])
def test_trained_weights_are_no_start_for_other_masks_or_data(control):
    study = fake_study(rewind={"weights": "trained"}, arms={"above": arm_of(control)})
    with pytest.raises(LotteryError, match="'above'") as caught:
        foreseen(study)
    assert_helps(str(caught.value))
