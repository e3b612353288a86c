"""What a terminal shows of a tuning while it runs."""

import io

import pytest
from rich.console import Console

from tests.fakes import fake_record, fake_spec
from tests.test_live import ESCAPES, console, drawn
from tests.tuning.made_up import candidate_of
from tests.tuning.test_tuned import TUNING, tried
from tf_lottery.cli import tune_live
from tf_lottery.cli.tune_live import TuneLive
from tf_lottery.runs.observe import Progress
from tf_lottery.tuning.outcome import Front
from tf_lottery.tuning.paths import TuningPaths
from tf_lottery.tuning.tuned import Tuned


@pytest.fixture
def clock(monkeypatch):
    """A clock that a test sets: the seconds that have passed."""
    now = [0.0]
    monkeypatch.setattr(tune_live.time, "monotonic", lambda: now[0])
    return now


def shown(live, clock, tmp_path, given, seconds=60.0, trains=True):
    """Candidates are proposed and tried, each after so many seconds."""
    so_far = Tuned(TUNING, TuningPaths(tmp_path), [], Front(TUNING.tune))
    for each in tried(*given):
        live.proposed([each.candidate])
        clock[0] += seconds
        if trains:
            live.finished(fake_record(fake_spec()))
        so_far.tried.append(each)
        live.tried(each, so_far)


def test_it_shows_what_is_tried_what_comes_next_how_long_it_takes_and_the_best(tmp_path, clock):
    live = TuneLive(TUNING, console())
    shown(live, clock, tmp_path, [(0.5, 100), (0.4, 40)])
    live.proposed([candidate_of(TUNING, 2, pruning__rate=0.75)])
    live.planned([], [fake_spec(), fake_spec(round=1), fake_spec(round=2)])
    live.running([Progress(fake_spec(), 0, 25, 100)])
    lines = drawn(live)
    assert "2/" in lines[0]
    assert lines[1].startswith("ticket round 0 ")
    assert "25/100 steps" in lines[1]
    left = TUNING.tune.candidates - 2
    assert lines[2:] == [
        "Now:  2 (pruning.rate 0.75)",
        "Next: ticket round 1, ticket round 2",
        f"Left: at most about {left:.1f} minutes, then {TUNING.tune.confirm} fresh seeds",
        "Best: 1 (pruning.rate 0.25): 40.00% of the weights, 90.00% test, for 40 training steps",
    ]


def test_candidates_that_are_trained_side_by_side_share_their_time(tmp_path, clock):
    live = TuneLive(TUNING, console())
    own, other = tried((0.5, 100), (0.4, 40))
    live.proposed([own.candidate, other.candidate])
    clock[0] = 120.0
    live.finished(fake_record(fake_spec()))
    for count in (1, 2):
        live.tried(other, Tuned(TUNING, TuningPaths(tmp_path), [own, other][:count], Front(TUNING.tune)))
    assert f"at most about {TUNING.tune.candidates - 2:.1f} minutes" in live._progress.notes["Left:"]


def test_candidates_of_an_earlier_session_say_nothing_about_the_time(tmp_path, clock):
    live = TuneLive(TUNING, console())
    shown(live, clock, tmp_path, [(0.5, 100), (0.4, 40)], trains=False)
    assert not any(line.startswith("Left:") for line in drawn(live))


def test_without_a_ticket_nothing_is_best(tmp_path, clock):
    live = TuneLive(TUNING, console())
    shown(live, clock, tmp_path, [None])
    assert "Best: no candidate has a ticket yet" in drawn(live)


def test_fresh_seeds_are_told_and_the_time_of_candidates_is_over(tmp_path, clock):
    terminal = console()
    live = TuneLive(TUNING, terminal)
    shown(live, clock, tmp_path, [(0.5, 100)])
    live.proposed([candidate_of(TUNING, 1, seed=seed, pruning__rate=0.25) for seed in (1, 2)])
    lines = drawn(live)
    assert "Confirming on 2 fresh seeds" in ESCAPES.sub("", terminal.file.getvalue())
    assert "Now:  1 (pruning.rate 0.25)" in lines, "once, not for each seed"
    assert not any(line.startswith("Left:") for line in lines)


def test_where_the_output_is_no_terminal_there_are_rows_and_nothing_else(tmp_path, clock):
    plain = Console(file=io.StringIO(), force_terminal=False, width=100)
    with TuneLive(TUNING, plain) as live:
        shown(live, clock, tmp_path, [(0.5, 100), None])
        live.running([Progress(fake_spec(), 0, 1, 100)])
    lines = plain.file.getvalue().splitlines()
    assert [line.split()[0] for line in lines] == ["#", "0", "1"]


def test_what_is_quiet_prints_nothing(tmp_path, clock):
    quiet = Console(file=io.StringIO(), quiet=True)
    with TuneLive(TUNING, quiet) as live:
        shown(live, clock, tmp_path, [(0.5, 100)])
        live.noted("something")
    assert quiet.file.getvalue() == ""
