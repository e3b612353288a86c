"""Exit codes of `run` and `tune`, and of what the system refuses: docs/cli.md lists them."""

import pytest

from tests.fakes import fake_study
from tests.tuning.test_tuned import TUNING, tried
from tf_lottery import __main__, cli, terminal
from tf_lottery.cli import study_run, tune_run
from tf_lottery.tuning.outcome import Front
from tf_lottery.tuning.paths import TuningPaths
from tf_lottery.tuning.tuned import Tuned

ENDS = [(KeyboardInterrupt(), 130), (terminal.Ended(143), 143), (terminal.Ended(129), 129)]


def raising(error):
    def raises(*arguments, **settings):
        raise error

    return raises


@pytest.mark.parametrize("quiet", [False, True])
@pytest.mark.parametrize(("end", "code"), ENDS)
def test_what_is_interrupted_says_so_and_how_to_go_on(end, code, quiet, monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(study_run, "run_in", raising(end))
    monkeypatch.setattr(tune_run, "run_tuning", raising(end))
    assert study_run.run_and_report(fake_study(), tmp_path / "study", quiet=quiet) == code
    assert tune_run.tune_and_report(TUNING, tmp_path / "tuning", quiet=quiet) == code
    lines = capsys.readouterr().out.splitlines()
    told = [line for line in lines if line.endswith("Repeat the command to go on.")]
    assert len(told) == 2
    assert (lines == told) == quiet


@pytest.mark.parametrize("quiet", [False, True])
def test_a_tuning_without_a_ticket_ends_with_one(quiet, monkeypatch, tmp_path, capsys):
    paths = TuningPaths(tmp_path / "tuning")
    paths.root.mkdir()
    found = Tuned(TUNING, paths, tried(None, None), Front(TUNING.tune), ended="the ranges are exhausted")
    monkeypatch.setattr(tune_run, "run_tuning", lambda *arguments: found)
    assert tune_run.tune_and_report(TUNING, paths.root, quiet=quiet) == 1
    out, err = capsys.readouterr()
    if quiet:
        assert out == f"Result: {paths.root}\n"
        assert err.splitlines() == [
            "candidate 0 failed: it failed",
            "candidate 1 failed: it failed",
            "No candidate has a matching ticket. Allow for more tolerance, or train longer.",
        ]
    else:
        assert "No candidate has a matching ticket." in out
        assert err == ""


def test_what_the_system_refuses_is_one_line_and_one(monkeypatch, capsys):
    monkeypatch.setattr(cli, "app", raising(OSError(28, "No space left on device", "study")))
    with pytest.raises(SystemExit) as end:
        __main__.main()
    assert end.value.code == 1
    assert capsys.readouterr().err == "Error: [Errno 28] No space left on device: 'study'\n"


def test_ctrl_c_anywhere_else_ends_with_130(monkeypatch, capsys):
    monkeypatch.setattr(cli, "app", raising(KeyboardInterrupt()))
    with pytest.raises(SystemExit) as end:
        __main__.main()
    assert end.value.code == 130
    assert capsys.readouterr().out == "Interrupted.\n"
