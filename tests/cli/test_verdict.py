"""`tf-lottery verdict`, and the end of `tf-lottery run`, on made-up studies and on a trained one."""

import json

import pytest
from typer.testing import CliRunner

from tests.analysis.made_up import GOOD, made_up, on_disk
from tests.cli.test_cli import printed_without
from tf_lottery.analysis.claims import CLAIMS
from tf_lottery.cli import app
from tf_lottery.cli.study_run import run_and_report
from tf_lottery.errors import LotteryError
from tf_lottery.method.plan import plan
from tf_lottery.store.failures import fail
from tf_lottery.store.store import Store

ARMS = ["ticket", "random_reinit", "shuffled"]


@pytest.fixture(scope="module")
def studies(tmp_path_factory):
    """A directory with three made-up studies under saved_models/."""
    cwd = tmp_path_factory.mktemp("verdicts")
    on_disk(made_up(arms=ARMS), cwd / "saved_models/good")
    on_disk(
        made_up(arms=["ticket", "random_reinit"], test=GOOD | {"random_reinit": 2.0}),
        cwd / "saved_models/bad",
    )
    on_disk(made_up(arms=ARMS, replicates=1), cwd / "saved_models/one")
    return cwd


@pytest.fixture
def told(studies, monkeypatch):
    """What `tf-lottery verdict` prints."""
    monkeypatch.chdir(studies)
    return lambda *arguments: CliRunner().invoke(app, ["verdict", *arguments], catch_exceptions=False).output


def test_a_line_for_each_claim_that_is_tested(told):
    lines = told("good").splitlines()
    assert [line.split()[0] for line in lines] == ["holds"] * 9 + ["untested"]
    assert lines[0] == (
        "holds      There is a winning ticket: it matches, and no control that was trained is as good. "
        "The ticket of round 4 (1.2%) matches, and beats random_reinit, shuffled."
    )
    assert (
        lines[-1] == "untested   14 more claims; `tf-lottery verdict STUDY --all` says what would test each."
    )


def test_a_directory_will_do(told):
    assert told("saved_models/good") == told("good")


def test_all_says_what_would_test_the_others(told):
    lines = told("good", "--all").splitlines()
    assert len(lines) == len(CLAIMS)
    assert lines[:9] == told("good").splitlines()[:9]
    assert "untested   A ticket beats RigL" in told("good", "--all")
    assert "Add arms: {ticket: {}, rigl: {}}." in told("good", "--all")


def strictly(text):
    def refuse(constant):
        raise AssertionError(f"{constant} is no JSON")

    return json.loads(text, parse_constant=refuse)


@pytest.mark.parametrize("name", ["good", "one"])
def test_json_has_an_object_for_each_claim_and_no_infinity(told, name):
    rows = strictly(told(name, "--json"))
    assert [row["claim"] for row in rows] == list(CLAIMS)
    assert {row["study"] for row in rows} == {name}
    row = rows[list(CLAIMS).index("reinitialized_is_worse")]
    assert row["statement"] == "The same mask is worse with weights drawn anew."
    assert row["source"] == "Frankle & Carbin 2018"
    assert row["where"] == {"round": 4, "arm": "random_reinit"}
    effect = row["effect"]
    if name == "one":
        assert (row["answer"], effect["low"], effect["high"], effect["count"]) == ("undecided", None, None, 1)
    else:
        assert row["answer"] == "holds"
        assert effect["low"] == pytest.approx(1 - 4.302652729911275 * 0.05 / 3**0.5)
    assert rows[-1]["effect"] is None


def test_several_studies_are_told_one_by_one_and_together(told):
    out = told("good", "bad")
    first, second, together = out.split("\n\n")
    assert first.splitlines() == ["good:", *told("good").splitlines()]
    assert second.splitlines() == ["bad:", *told("bad").splitlines()]
    assert (
        "reinitialized_is_worse, 2 of 2 studies: not the same in all (good: holds; bad: fails)"
        in together.splitlines()
    )
    assert "more_than_its_layers, 1 of 2 studies: holds (good: holds)" in together.splitlines()
    rows = strictly(told("good", "bad", "--json"))
    assert [row["study"] for row in rows] == ["good"] * len(CLAIMS) + ["bad"] * len(CLAIMS)


def test_interquartile_means_of_few_replicates_are_refused_in_a_line(told):
    with pytest.raises(LotteryError) as error:
        told("good", "--iqm")
    assert str(error.value) == (
        "Expected 10 replicates for --iqm: intervals of interquartile means of fewer aren't to be trusted. "
        "Received 3 in good. Set replicates: 10 or more and run it again, which keeps what is finished, or "
        "leave --iqm out."
    )
    with pytest.raises(LotteryError, match="Received 1 in one"):
        told("one", "--iqm", "--json")


def test_interquartile_means_are_told_and_so_are_they_in_json(told, studies):
    arms = ["ticket", "random_reinit"]
    on_disk(made_up(arms=arms, replicates=10, jitter=0.05), studies / "elsewhere/ten")
    lines = told("elsewhere/ten", "--iqm").splitlines()
    (worse,) = [line for line in lines if "weights drawn anew" in line]
    assert worse.startswith(
        "holds      The same mask is worse with weights drawn anew. Interquartile mean +1."
    )
    assert "10 replicates, 95%). Test accuracy of ticket less that of random_reinit" in worse
    (plain,) = [line for line in told("elsewhere/ten").splitlines() if "weights drawn anew" in line]
    assert "anew. +1.0" in plain
    effects = {
        iqm: {row["claim"]: row["effect"] for row in strictly(told("elsewhere/ten", "--json", *iqm))}
        for iqm in ((), ("--iqm",))
    }
    assert effects["--iqm",]["reinitialized_is_worse"]["statistic"] == "interquartile mean"
    assert effects[()]["reinitialized_is_worse"]["statistic"] == "mean"
    assert effects["--iqm",]["reinitialized_is_worse"] != effects[()]["reinitialized_is_worse"]


def test_runs_that_failed_are_told(told, studies):
    findings = made_up(arms=ARMS, keep=lambda spec: (spec.arm, spec.round) != ("shuffled", 4))
    paths = on_disk(findings, studies / "elsewhere/lacking")
    assert "failed" not in told("elsewhere/lacking")
    for number, spec in enumerate(plan(findings.study, Store(paths).records()), start=1):
        fail(paths, spec, "training diverged")
        runs = "1 run" if number == 1 else f"{number} runs"
        assert told("elsewhere/lacking").splitlines()[-1] == (
            f"{runs} of the study failed, such as by diverging, and can't count for or against a claim; "
            "`tf-lottery show STUDY` names what failed."
        )
    assert number == 3
    assert "3 runs of the study failed" in told("good", "elsewhere/lacking")


def test_a_name_that_doesn_t_exist_is_one_line(told):
    with pytest.raises(
        LotteryError, match=r"name of one in saved_models/ \(bad, good, one\).*'no_such'"
    ) as error:
        told("good", "no_such")
    assert "\n" not in str(error.value)


def test_it_needs_no_tensorflow(studies):
    (out,) = printed_without({"tensorflow", "keras", "matplotlib"}, ["verdict", "good"], cwd=studies)
    assert out.startswith("holds ")


def ran(findings, directory, capsys):
    """What `tf-lottery run` prints of a study that is finished and in which no ticket matches."""
    on_disk(findings, directory)
    assert run_and_report(findings.study, directory) == 0
    return capsys.readouterr().out


def test_a_run_ends_with_the_claims_and_show_does_not(tmp_path, capsys):
    out = ran(made_up(arms=ARMS, validation={"ticket": -1.0}), tmp_path / "study", capsys)
    said, shown = (
        CliRunner().invoke(app, [command, str(tmp_path / "study")], catch_exceptions=False).output
        for command in ("verdict", "show")
    )
    assert f"\n\n{said}\nPicture: " in out
    assert "3 replicates" in said
    assert "One replicate" not in out
    assert "No ticket matches" in shown
    assert "untested" not in shown


def test_a_run_of_one_replicate_ends_with_a_line(tmp_path, capsys):
    out = ran(made_up(arms=ARMS, replicates=1, validation={"ticket": -1.0}), tmp_path / "study", capsys)
    assert "\n\nOne replicate: no claim can be decided. Set replicates: 3.\n\nPicture: " in out
    assert "untested" not in out
