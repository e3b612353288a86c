"""`tf-lottery ledger` on made-up studies: tables, comparisons at equal cost, and JSON."""

import pytest
from typer.testing import CliRunner

from tests.analysis.made_up import made_up, on_disk
from tests.analysis.test_matched import priced
from tests.cli.test_cli import printed_without
from tests.cli.test_verdict import strictly
from tf_lottery.cli import app

ARMS = ["ticket", "random_reinit", "rigl", "dense_longer"]


@pytest.fixture(scope="module")
def studies(tmp_path_factory):
    """A directory with two made-up studies under saved_models/, of three replicates and of one."""
    cwd = tmp_path_factory.mktemp("ledgers")
    on_disk(priced(made_up(arms=ARMS)), cwd / "saved_models/good")
    on_disk(priced(made_up(arms=ARMS, replicates=1)), cwd / "saved_models/one")
    return cwd


@pytest.fixture
def told(studies, monkeypatch):
    """What `tf-lottery ledger` prints."""
    monkeypatch.chdir(studies)
    return lambda *arguments: CliRunner().invoke(app, ["ledger", *arguments], catch_exceptions=False).output


def test_it_tells_what_was_spent_and_what_was_reached(told):
    first, second, words = told("good").split("\n\n")
    assert len(first.splitlines()) == len(second.splitlines()) == 2 + 1 + 4 * len(ARMS)
    row = next(line for line in second.splitlines() if line.startswith("rigl "))
    assert row.split() == ["rigl", "1", "512", "95.30", "100", "1.00", "0.005", "0.50"]
    assert words.startswith("All 51 runs: ")


def test_matched_says_what_the_cost_would_have_bought_otherwise(told):
    words, *tables = told("good", "--matched").split("\n\n")
    assert words.splitlines()[3] == (
        "Within as many steps the dense network reached 95.30% (-1.00 points, -1.12 to -0.88); at 1/5 of the "
        "steps rigl reached 95.30% (-1.00 points, -1.12 to -0.88)."
    )
    assert words.splitlines()[4].endswith("Add arms: {ticket: {}, small_dense: {}}.")
    assert [table.splitlines()[0] for table in tables] == [
        "At the cost of round 2 of ticket:",
        "At the cost of round 4 of ticket:",
    ]
    assert tables[1].splitlines()[3].split() == ["ticket", "4", "1.2%", "96.30", "5.00", "1.86", "3"]


@pytest.mark.parametrize("name", ["good", "one"])
def test_json_has_all_of_it_and_no_infinity(told, name):
    found = strictly(told(name, "--json"))
    assert strictly(told(name, "--json", "--matched")) == found
    assert {row["arm"] for row in found["rounds"]} == set(ARMS)
    last = found["matched"][-1]
    assert (last["round"], last["cost"]["steps"], last["times_steps"]) == (4, 500, 5.0)
    assert [offer["arm"] for offer in last["offers"]] == [
        "dense network",
        "random_reinit",
        "rigl",
        "dense_longer",
    ]
    effect = last["offers"][0]["effect"]
    assert effect["low"] is None if name == "one" else effect["low"] < -1


def test_it_needs_no_tensorflow(studies):
    commands = ["ledger", "good"], ["ledger", "good", "--matched"]
    plain, matched = printed_without({"tensorflow", "keras", "matplotlib"}, *commands, cwd=studies)
    assert "All 51 runs" in plain
    assert matched.startswith("The ticket of round 2 ")
