"""Modules of one's own that a study, or the command line, names."""

import sys

import pytest

from tests import fresh
from tests.drivers.test_run_study import study
from tf_lottery import config_file, importing
from tf_lottery.drivers.execution import Execution
from tf_lottery.drivers.run_study import make_executor, run_study
from tf_lottery.errors import LotteryError
from tf_lottery.importing import import_function, import_modules, imported
from tf_lottery.paths import StudyPaths
from tf_lottery.runs.observe import StudyObserver
from tf_lottery.store.store import Store


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A current directory of the test's own, after which nothing counts as imported."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [each for each in sys.path if each != str(tmp_path)])
    monkeypatch.setattr(importing, "_imported", {})
    monkeypatch.setattr(sys, "modules", dict(sys.modules))
    return tmp_path


def test_modules_of_the_current_directory_are_imported_once(here):
    (here / "adds_one.py").write_text("import builtins\nbuiltins.added = getattr(builtins, 'added', 0) + 1\n")
    import_modules(["adds_one", "adds_one"])
    import_modules(["adds_one"])
    import builtins

    assert (builtins.added, imported()) == (1, ["adds_one"])
    del builtins.added


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (None, "ModuleNotFoundError: No module named 'adds_badly'"),
        ("1 / 0", "ZeroDivisionError: division"),
        ("import sys; sys.exit(0)", "SystemExit: 0"),
    ],
)
def test_what_cannot_be_imported_is_one_line(here, text, reason):
    if text:
        (here / "adds_badly.py").write_text(text)
    with pytest.raises(LotteryError, match=rf"Expected imports as .*'adds_badly' \({reason}[^\n]*$"):
        run_study(study(imports=["adds_badly"]), here / "study")
    assert not (here / "study").exists()
    assert imported() == []


@pytest.mark.parametrize("name", ["my module", "my_module:function", "../mine", "my.", ""])
def test_names_of_modules_are_checked(name):
    with pytest.raises(LotteryError, match=r"imports\.0"):
        study(imports=[name])


def test_imports_are_kept_in_the_studys_file_and_in_no_key():
    plain, importing_one = study(), study(imports=["json"])
    assert importing_one.same_runs_as(plain)
    assert "imports:\n- json" in config_file.dump(importing_one)


def test_a_function_in_a_script_that_exits_is_one_line(here):
    (here / "exits.py").write_text("def mine(): ...\nraise SystemExit(0)\n")
    with pytest.raises(LotteryError, match=r"Expected model.build as .*'exits:mine' \(SystemExit: 0\)"):
        import_function("exits:mine", "model.build")


def test_worker_processes_import_whatever_the_driver_has_imported(here):
    import_modules(["colorsys"], "--import")
    store = Store(StudyPaths(here / "study"))
    workers = make_executor(study(), store, StudyObserver(), Execution(workers=2))
    assert workers._settings["imports"] == ["colorsys"]


def test_reading_a_study_imports_nothing(here):
    (here / "study.yaml").write_text("imports: [adds_badly]\npruning: {rounds: 1}\n")
    assert config_file.load_config("study.yaml").imports == ["adds_badly"]


def test_the_command_line_imports_what_the_user_names(here):
    (here / "adds_an_arm.py").write_text(
        "from tf_lottery.method.arms import ARMS\nARMS['mine'] = ARMS['fork']\n"
    )
    command = ("run", "digits_quick", "--dry-run", "--set", "arms.mine={}", "--set", "x.y=1")
    for options, said in (
        ((), "unknown key 'x'"),
        (("--import", "adds_an_arm"), "unknown key 'x'"),
        (("--import", "nothing_here"), "Expected --import as importable modules"),
    ):
        code, _, err = fresh.run(*options, *command, module="tf_lottery", cwd=here)
        assert (code, said in err, err.strip().count("\n")) == (2, True, 0)
    code, _, err = fresh.run("--import", "adds_an_arm", *command[:-2], module="tf_lottery", cwd=here)
    assert (code, err) == (0, "")
