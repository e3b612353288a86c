"""The claim that tickets are stable, on connections that are made up."""

import pytest

from tests.fakes import fake_study, run_to_the_end
from tf_lottery.analysis.claims import CLAIMS, judge
from tf_lottery.analysis.connectivity import Connection
from tf_lottery.analysis.findings import Findings
from tf_lottery.analysis.stability import stable_to_noise
from tf_lottery.method.plan import collect


def findings(barriers=None, arms=None):
    """A study of as many replicates as there are barriers, each of two pairs with half and 1.5 times it."""
    study = fake_study(arms=arms or {"fork": {}}, replicates=len(barriers or [0]))
    records = collect(study, run_to_the_end(study))
    connections = [
        Connection("fork", "ticket", number, round, 0.25, "0it", ("ticket", "fork"), errors(part * height))
        for number, height in enumerate(barriers or [])
        for round in (1, 2, 3)
        for part in (0.5, 1.5)
    ]
    return Findings(study, records, connections)


def errors(height):
    return {"validation": (0.0, 50.0, 0.0), "test": (3.0, 3.0 + height, 3.0)}


@pytest.mark.parametrize(
    ("barriers", "answer"),
    [
        ([0.1, 0.2, 0.3], "holds"),
        ([9.0, 9.5, 10.0], "fails"),
        ([0.5, 2.0, 4.0], "undecided"),
        ([0.1], "undecided"),
    ],
)
def test_barriers_on_test_data_decide(barriers, answer):
    found = stable_to_noise(findings(barriers))
    assert found.answer == answer
    assert found.effect.mean == pytest.approx(sum(barriers) / len(barriers))
    assert found.effect.count == len(barriers)


def test_without_a_fork_it_says_what_to_add():
    found = stable_to_noise(findings(arms={"random_reinit": {}}))
    assert found.answer == "untested"
    assert "Add arms: {ticket: {}, fork: {}}" in found.why


def test_what_is_not_measured_is_asked_for():
    found = stable_to_noise(findings())
    assert found.answer == "untested"
    assert "Run `tf-lottery connectivity fake`" in found.why


def test_it_is_told_with_the_others():
    told = {each.name: each for each in judge(findings([0.1, 0.2]))}
    assert list(told) == list(CLAIMS)
    assert told["stable_to_noise"].source == "Frankle et al. 2020"
