"""Output that nobody takes, `kill`, a terminal that closes: the work goes on, or is tidied up."""

import json
import os
import pty
import select
import signal
import subprocess
import sys
import time

import pytest

from tests import fresh
from tests.cli.test_cli import SMALL, settings
from tests.drivers.test_processes import children

LONG = ["run", "digits_quick", "--set", "training.steps=100000it", "--set", "pruning.rounds=1"]
LONG += ["--set", "training.xla=false", "--set", "storage.checkpoint_every=1000it"]
HIDDEN, SHOWN = b"\x1b[?25l", b"\x1b[?25h"
TOLD = "Standard output can't be written (No space left on device); the work goes on without it.\n"
INTO = "import os, sys\nfrom tf_lottery.__main__ import main\n"


def typed(command, cwd, redirected):
    """A command in a shell of its own: exit code and errors."""
    line = f"{sys.executable} -m tf_lottery {command} {redirected}"
    run = subprocess.run(["bash", "-c", line], text=True, capture_output=True, **settings(cwd, {}))
    return run.returncode, run.stderr


@pytest.fixture(scope="module")
def deaf(tmp_path_factory):
    """A directory in which digits_quick was run, its output to a full disk; code and errors."""
    cwd = tmp_path_factory.mktemp("deaf")
    into = f"{INTO}os.dup2(os.open('/dev/full', os.O_WRONLY), 1)\nmain()"
    code, _, err = fresh.run("run", "digits_quick", *SMALL, script=into, **settings(cwd, {}))
    return cwd, code, err


def test_a_study_goes_on_to_its_end_where_its_output_cannot_be_written(deaf):
    cwd, code, err = deaf
    assert (code, err) == (0, TOLD)
    study = cwd / "saved_models/digits_quick"
    assert len(list(study.glob("runs/*/record.json"))) == 4
    assert (study / "tickets.png").exists()


@pytest.mark.parametrize(
    ("redirected", "told"), [("> /dev/full", TOLD), ("> /dev/full 2> /dev/full", ""), (">&-", "")]
)
def test_python_s_own_end_makes_no_traceback_of_it(deaf, redirected, told):
    command = " ".join(["run", "digits_quick", *SMALL])
    assert typed(command, deaf[0], redirected) == (0, told)


def test_nor_does_a_reader_that_has_read_enough(deaf):
    command = " ".join(["run", "digits_quick", *SMALL])
    code, err = typed(command, deaf[0], "| (exec <&-; sleep 0.1); exit ${PIPESTATUS[0]}")
    assert (code, err) == (0, TOLD.replace("No space left on device", "Broken pipe"))


def test_what_has_no_letters_in_the_terminal_s_encoding_ends_nothing():
    script = (
        "from tf_lottery import terminal\nwith terminal.unheard(): print('schön ━')\n"
        "import sys; assert not isinstance(sys.stdout, terminal._Forgiving)"
    )
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, env=environment, check=True)
    assert (run.stdout, run.stderr) == (b"sch?n ?\n", b"")


@pytest.mark.parametrize("command", ["list", "show digits_quick --json"])
def test_other_commands_say_that_their_output_is_lost(deaf, command):
    code, err = typed(command, deaf[0], "> /dev/full")
    assert code == 1
    assert err == "Error: [Errno 28] No space left on device\n"
    assert typed(command, deaf[0], "| true")[1] == ""


class OnTerminal:
    """A command on a terminal of its own."""

    def __init__(self, *arguments, cwd):
        self.master, slave = pty.openpty()
        into = (
            # Whoever started the tests may ignore it, as nohup does.
            f"{INTO}import signal; signal.signal(signal.SIGHUP, signal.SIG_DFL)\n"
            f"os.setsid()\ntty = os.open({os.ttyname(slave)!r}, os.O_RDWR)\n"
            "for each in (0, 1, 2): os.dup2(tty, each)\nos.close(tty)\n"
            "sys.stdout = open(1, 'w', closefd=False)\nmain()"
        )
        environment = {"TERM": "xterm", "TF_LOTTERY_DATA": str(cwd / "cache")}
        self.process = fresh.Fresh(*arguments, script=into, cwd=cwd, env={**os.environ, **environment})
        self.printed = b""
        self._slave = slave

    def read(self):
        while select.select([self.master], [], [], 0.05)[0]:
            try:
                self.printed += os.read(self.master, 65536)
            except OSError:  # nobody is left on the other side
                return

    def until(self, done):
        """Read what it prints until something holds."""
        while not done():
            self.read()
            assert self.process.returncode is None, self.printed.decode()
        os.close(self._slave)


def progress(study):
    """How many steps each run in progress has trained, by the files that say so."""
    return {path: json.loads(path.read_text())[0] for path in study.glob("runs/*/progress.json")}


@pytest.mark.slow
def test_kill_shows_the_cursor_again_and_ends_the_workers(tmp_path):
    study = tmp_path / "study"
    shown = OnTerminal(*LONG, "--workers", "2", "--output", study, cwd=tmp_path)
    shown.until(lambda: list(study.glob("runs/*/checkpoint.npz")))
    workers = children(study)
    assert workers
    shown.process.send_signal(signal.SIGTERM)
    while shown.process.returncode is None:
        shown.read()
    shown.read()
    os.close(shown.master)
    assert shown.process.returncode == 143
    assert shown.printed.count(HIDDEN) == shown.printed.count(SHOWN) > 0
    assert shown.printed.rindex(SHOWN) > shown.printed.rindex(HIDDEN)
    assert b"Repeat the command to go on." in shown.printed
    assert b"Traceback" not in shown.printed
    assert not children(study)
    before = progress(study)
    again = fresh.Fresh(
        *LONG, "--workers", "1", "--output", study, module="tf_lottery", **settings(tmp_path, {})
    )
    while not any(step > before.get(path, 0) for path, step in progress(study).items()):  # it trains by now
        assert again.returncode is None, again.communicate()
        time.sleep(0.05)
    again.send_signal(signal.SIGTERM)
    assert again.communicate()[1] == ""
    assert again.returncode == 143


@pytest.mark.slow
def test_a_terminal_that_closes_ends_the_study_in_order(tmp_path):
    study = tmp_path / "study"
    shown = OnTerminal(*LONG, "--workers", "1", "--output", study, cwd=tmp_path)
    shown.until(lambda: list(study.glob("runs/*/progress.json")))
    os.close(shown.master)
    assert shown.process.wait() == 129


def test_what_ignores_a_signal_goes_on_ignoring_it():
    script = (
        "import os, signal; from tf_lottery import terminal\n"
        "signal.signal(signal.SIGHUP, signal.SIG_IGN)\n"
        "with terminal.unwound(): os.kill(os.getpid(), signal.SIGHUP)\n"
        "try:\n    with terminal.unwound(): os.kill(os.getpid(), signal.SIGTERM)\n"
        "finally: print(signal.getsignal(signal.SIGTERM) is signal.SIG_DFL)"
    )
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert (run.returncode, run.stdout, run.stderr) == (143, "True\n", "")


def ended(script, *arguments, cwd=None):
    """A process of its own: exit code, output and errors."""
    command = [sys.executable, "-c", script, *arguments]
    run = subprocess.run(command, capture_output=True, text=True, cwd=cwd)
    return run.returncode, run.stdout, run.stderr


@pytest.mark.parametrize(("name", "code"), [("SIGTERM", 143), ("SIGHUP", 129)])
def test_a_signal_that_something_swallows_still_ends_the_work(name, code):
    script = (
        "import os, signal; from tf_lottery import terminal\n"
        f"signal.signal(signal.{name}, signal.SIG_DFL)\n"  # whoever started the tests may ignore it
        "terminal.check_signals()\n"
        "with terminal.unwound():\n"
        "    terminal.check_signals()\n"
        f"    try: os.kill(os.getpid(), signal.{name})\n"
        "    except: print('swallowed', flush=True)\n"
        "    try: terminal.check_signals()\n"
        "    finally: print('cleaned up', flush=True)\n"
        "    print('went on')\n"
    )
    assert ended(script) == (code, "swallowed\ncleaned up\n", "")


BUILDER = """
import os, signal
import keras

class Block(keras.layers.Layer):
    def __init__(self, **settings):
        super().__init__(**settings)
        self.inner = keras.layers.Dense(8)

    def call(self, x):
        os.kill(os.getpid(), signal.SIGTERM)
        return self.inner(x)

def network(input_shape, classes):
    x = keras.Input(input_shape)
    block = Block()
    block._build_by_run_for_single_pos_arg((None, *input_shape))  # its `except` is bare
    return keras.Model(x, keras.layers.Dense(classes, name="output")(keras.layers.Flatten()(x)))
"""


@pytest.mark.slow
def test_a_signal_while_keras_builds_the_network_ends_the_study(tmp_path):
    (tmp_path / "networks.py").write_text(BUILDER)
    build = ["--set", "model={build: 'networks:network'}", "--workers", "1", "--output", "study"]
    code, out, err = fresh.run(
        "run", "digits_quick", *SMALL, *build, module="tf_lottery", **settings(tmp_path, {})
    )
    assert (code, err) == (143, "")
    assert "Repeat the command to go on." in out
    assert not list(tmp_path.glob("study/runs/*/failed.json"))
    assert not list(tmp_path.glob("study/runs/*/record.json"))
