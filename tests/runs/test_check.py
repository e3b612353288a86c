"""What doesn't fit the data or the network is refused in one line, before anything is trained."""

import pytest

from tests.runs.pairwise import STEPS, study_of
from tf_lottery import config_file
from tf_lottery.drivers.run_study import run_study
from tf_lottery.errors import LotteryError
from tf_lottery.runs.observe import StudyObserver

RESTORED = {"weights": "trained", "optimizer": "restore"}
TUNED = {"weights": "trained", "to": "end", "steps": "5it"}
COSINE = {"learning_rate_schedule": {"name": "cosine"}}
EPOCHS = {"steps": "3ep", "batch_size": 300}


class NothingTrained(StudyObserver):
    def started(self, spec, first, last):
        pytest.fail(f"{spec.describe()} was trained")


def settings(**changes):
    whole = study_of([])[0].model_dump()
    for group in ("training", "pruning", "data"):
        whole[group] |= changes.pop(group, {})
    return config_file.validate(whole | changes)


def one(arm, **own):
    return {"ticket": {}, arm: own}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"rewind": {"to": f"{STEPS}it"}}, "rewind point before the last step, 20. Received: 20"),
        (
            {"arms": one("late", like="ticket", rewind={"to": "30it"})},
            "before the last step, 20. Received: 30",
        ),
        ({"arms": one("one_shot", rewind={"to": "30it"})}, "before the last step, 20. Received: 30"),
        (
            {"search": {"steps": "5it"}, "rewind": {"to": "6it"}, "arms": one("final")},
            "before the last step, 5. Received: 6",
        ),
        (
            {
                "training": EPOCHS,
                "rewind": {"to": "1ep"},
                "arms": one("one_shot", training={"batch_size": 200}),
            },
            "An epoch of arm 'one_shot' has 6 steps .* 4, so .* unclear. Give it in steps, such as 4it",
        ),
        (
            {"training": EPOCHS, "rewind": {"to": "1ep"}, "search": {"data": 0.5}, "arms": one("final")},
            "An epoch of arm 'final' has 4 steps .* 2, so .* unclear. Give it in steps, such as 2it",
        ),
        ({"training": COSINE, "rewind": TUNED}, "learning rate of cosine is 0 at the end"),
        ({"training": COSINE, "arms": one("one_shot", rewind=TUNED)}, "learning rate of cosine is 0"),
        (
            {"training": COSINE, "rewind": {"to": "5it", "steps": "25it"}},
            "learning rate of cosine is 0 at the end of training",
        ),
        ({"pruning": {"layer_rates": {"conv*": 0.1}}}, "Received: 'conv.*', which sets the rate of none"),
        (
            {"arms": one("a", like="ticket", pruning={"layer_rates": {"conv*": 0.1}})},
            "Received: 'conv.*', which sets the rate of none",
        ),
        (
            {"arms": one("fork", training={"learning_rate_schedule": {"name": "cosin"}})},
            "learning_rate_schedule.name as one of .*'cosin'",
        ),
        (
            {
                "model": {"build": "tests.training.networks:layer_normalized"},
                "pruning": {"layer_rates": {}},
                "arms": one("at_init", pruning={"criterion": "synflow"}, rounds=[2]),
            },
            "synaptic flow of first/kernel is negative",
        ),
        ({"arms": one("transfer", data={"name": "cifar1"})}, "data.name as one of .*'cifar1'"),
        (
            {"arms": one("transfer", data={"load": "tests.runs.pairwise:seven_digits", "validation": 5000})},
            "validation below the 900 training examples. Received: 5000",
        ),
        (
            {
                "model": {"build": "tests.training.networks:fixed_seed"},
                "pruning": {"layer_rates": {}},
                "arms": one("random_reinit"),
            },
            "Expected new weights from a random reinitialization.* Leave the seed out",
        ),
    ],
    ids=str,
)
def test_what_does_not_fit_is_refused_before_anything_is_trained(changes, message, tmp_path):
    with pytest.raises(LotteryError, match=message) as caught:
        run_study(settings(**changes), tmp_path / "study", observer=NothingTrained())
    assert "\n" not in str(caught.value)
