"""Fresh Python processes that are quick to have.

A process that imports TensorFlow takes seconds to begin. These are forked from a server that has
imported it and done nothing else: they begin at once, and nothing that a test did is in them. How a
process begins and ends (what it prints first, what it imports, whether TensorFlow's threads let it end)
is tested with real ones, by `subprocess`.
"""

import multiprocessing
import os
import runpy
import signal
import sys
import tempfile
from pathlib import Path

PATIENCE = 900
"""Seconds after which a process hangs, on the slowest machine."""
FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(["tests.preloaded"])


def _run(module, script, arguments, cwd, environment, out, err):
    """What a forked process does: it becomes `python -m module` or `python -c script`."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for number, path in ((1, out), (2, err)):
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(file, number)
        os.close(file)
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(cwd)
    sys.path.insert(0, str(cwd))
    sys.argv = [module or "-c", *arguments]
    if module:
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    else:
        exec(compile(script, "<script>", "exec"), {"__name__": "__main__"})


class Fresh:
    """A process that was begun, with the face of `subprocess.Popen`."""

    def __init__(self, *arguments, module=None, script=None, cwd=None, env=None, joined=False):
        self._folder = tempfile.TemporaryDirectory()
        out, err = (os.path.join(self._folder.name, name) for name in ("out", "err"))
        self._printed = (out, out if joined else err)
        given = [str(argument) for argument in arguments]
        environment = dict(os.environ if env is None else env)
        settings = (module, script, given, str(cwd or os.getcwd()), environment, *self._printed)
        self._process = FORKS.Process(target=_run, args=settings)
        self._process.start()

    @property
    def pid(self):
        return self._process.pid

    @property
    def returncode(self):
        return self._process.exitcode

    def send_signal(self, number):
        os.kill(self.pid, number)

    def kill(self):
        self._process.kill()

    def wait(self):
        self._process.join(PATIENCE)
        if self.returncode is None:
            self.kill()
            raise TimeoutError(f"no end after {PATIENCE} s")
        return self.returncode

    def communicate(self):
        """Wait; return what was printed, and the errors."""
        self.wait()
        out, err = (Path(path).read_text() if os.path.exists(path) else "" for path in self._printed)
        self._folder.cleanup()
        return out, err


def run(*arguments, **settings):
    """Run to the end; return the exit code, what was printed, and the errors."""
    process = Fresh(*arguments, **settings)
    out, err = process.communicate()
    return process.returncode, out, err


def check(*arguments, **settings):
    """Run to the end, which must be a good one; return what was printed."""
    code, out, err = run(*arguments, **settings)
    assert code == 0, err
    return out
