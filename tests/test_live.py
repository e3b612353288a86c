"""What a terminal and a notebook show of a study while it runs."""

import io
import re
import sys
import types
from importlib.machinery import ModuleSpec

import pytest
from rich.console import Console

from tests.fakes import fake_record, fake_study
from tf_lottery.live import Live, bars, draws, say
from tf_lottery.method.plan import collect, plan
from tf_lottery.runs.observe import Progress
from tf_lottery.store.failures import Failure

ESCAPES = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]")


def console(width=100, **settings):
    return Console(file=io.StringIO(), **{"force_terminal": True, "width": width} | settings)


def begun(study, runs, seconds=60.0, **results):
    """The records of a study's first runs, the specs that can start, and the observer's view of them."""
    records = []
    for _ in range(runs):
        spec = plan(study, records)[0]
        records.append(fake_record(spec, seconds={"total": seconds}, **results))
    return collect(study, records), plan(study, records)


def drawn(live, width=100):
    """The lines that are drawn below the rows."""
    page = Console(file=io.StringIO(), width=width)
    page.print(live._progress.get_renderable())
    return [line.rstrip() for line in page.file.getvalue().splitlines()]


def shown(study, runs, width=100, step=250, **results):
    records, waiting = begun(study, runs, **results)
    live = Live(study, console(width))
    live.planned(records, waiting)
    live.running([Progress(waiting[0], 0, step, 1000)])
    return live


def test_a_study_shows_what_runs_what_is_next_how_long_it_takes_and_the_best_ticket_so_far():
    study = fake_study()
    lines = drawn(shown(study, 3))  # dense, ticket 1, its control; 7 runs in all
    assert re.fullmatch(r"fake +━+[╸╺ ]*━* +3/7 runs", lines[0])
    assert re.match(r"ticket round 2 +.* 250/1,000 steps", lines[1])
    assert lines[2:] == [
        "Next: random_reinit round 2, ticket round 3, random_reinit round 3",
        "Left: about 3.8 minutes",  # 3.75 runs of a minute each
        "Best: round 1, 50.0% of weights: 96.00% test (dense 96.00%)",
    ]


def test_before_there_is_a_dense_network_nothing_is_said_of_a_best_ticket():
    lines = drawn(shown(fake_study(), 0))
    assert not any(line.startswith(("Best:", "Left:")) for line in lines)
    assert "Next: ticket round 1, random_reinit round 1, ticket round 2, 3 more" in lines


def test_a_dense_network_alone_is_told_without_a_ticket():
    assert drawn(shown(fake_study(), 1))[-1] == "Best: none matches yet (dense 96.00% test)"


def test_no_line_is_wider_than_a_narrow_terminal():
    study = fake_study()
    lines = drawn(shown(study, 3, width=40), width=40)
    assert len(lines) == 5
    assert max(map(len, lines)) <= 40


def test_a_rule_that_may_end_the_study_makes_the_time_left_the_most_that_it_takes():
    study = fake_study(arms={"ticket": {}}, pruning={"rounds": 3, "max_accuracy_drop": 0.5})
    assert "Left: at most about 2.8 minutes" in drawn(shown(study, 1))  # 2.75 of 4 runs


def test_where_only_a_rule_ends_the_study_the_time_left_is_not_known():
    study = fake_study(pruning={"rounds": None, "target_density": 0.01})
    lines = drawn(shown(study, 1))
    assert re.search(r"1/\? runs$", lines[0])
    assert not any(line.startswith("Left:") for line in lines)


def test_what_builds_on_a_failed_run_is_not_announced():
    study = fake_study()
    records, waiting = begun(study, 2)  # then round 1 of random_reinit, and round 2 of the ticket
    live = Live(study, console())
    live.failed(Failure(spec=waiting[0], reason="its loss is NaN", when="now", environment={}))
    live.planned(records, waiting[1:])
    live.running([Progress(waiting[1], 0, 1, 1000)])
    assert "Next: random_reinit round 2" in drawn(live)  # its mask takes no training; round 3 never comes


def test_where_the_output_is_no_terminal_there_are_rows_and_nothing_else():
    study = fake_study(arms={"ticket": {}})
    records, waiting = begun(study, 2)
    plain = console(force_terminal=False)
    with Live(study, plain) as live:
        live.planned(records, waiting)
        live.running([Progress(waiting[0], 0, 1, 1000)])
    lines = plain.file.getvalue().splitlines()
    assert [line.split()[0] for line in lines[2:]] == ["ticket", "ticket"]
    assert len(lines) == 4
    assert "\x1b" not in plain.file.getvalue()


def test_on_a_terminal_the_lines_are_drawn_below_the_rows_and_taken_away_at_the_end():
    study = fake_study()
    records, waiting = begun(study, 2)
    terminal = console()
    with Live(study, terminal) as live:
        live.planned(records, waiting)
        live.running([Progress(waiting[0], 0, 1, 1000)])
        live._progress.refresh()
        assert "Best: round 1" in ESCAPES.sub("", terminal.file.getvalue())
    assert terminal.file.getvalue().rstrip().endswith("\x1b[2K")  # the last line is erased


@pytest.fixture
def notebook(monkeypatch):
    """What a notebook has: widgets, and a function that displays them; the widgets that were displayed."""
    displayed = []

    class Output:
        def __enter__(self):
            return self

        def __exit__(self, *exception):
            pass

        def clear_output(self, wait=False):
            pass

        def close(self):
            displayed.append("closed")

    made = {
        "ipywidgets": {"Output": Output},
        "IPython": {},
        "IPython.display": {"display": displayed.append},
    }
    for name, content in made.items():
        module = types.ModuleType(name)
        module.__spec__ = ModuleSpec(name, None)
        module.__dict__.update(content)
        monkeypatch.setitem(sys.modules, name, module)
    return displayed


def test_a_notebook_shows_bars_though_it_is_no_terminal(notebook):
    page = console(force_terminal=False, force_jupyter=True)
    assert not page.is_terminal
    assert draws(page)
    with bars(page) as progress:
        progress.add_task("run", total=2, count="1 of 2")
        progress.refresh()
    assert [each for each in notebook if hasattr(each, "clear_output")]
    assert "closed" in notebook


def test_a_notebook_without_widgets_has_rows_and_no_warning(monkeypatch):
    monkeypatch.setitem(sys.modules, "ipywidgets", None)
    page = console(force_terminal=False, force_jupyter=True)
    assert not draws(page)
    with bars(page) as progress:
        progress.add_task("run", total=2, count="1 of 2")
        progress.refresh()


def test_what_is_quiet_draws_nothing():
    assert not draws(console(quiet=True))


def test_a_terminal_breaks_lines_between_words_and_a_file_does_not_break_them():
    line = "holds      A ticket beats its mask shuffled within layers."
    narrow, plain = console(30), console(30, force_terminal=False)
    for page in (narrow, plain):
        say(page, line, 11)
    assert narrow.file.getvalue().splitlines() == [
        "holds      A ticket beats its",
        "           mask shuffled",
        "           within layers.",
    ]
    assert plain.file.getvalue() == line + "\n"
