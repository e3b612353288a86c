"""Smoke test of what is published: wheels and sdists, installed in a fresh environment and used.

    python tests/smoke.py dist/*.whl dist/*.tar.gz --python python3.12

The command line, every example and every notebook run in an empty directory, with nothing of the checkout on
the path. Call it with the Python of the checkout's environment, whose mypy checks `typed_user.py` against
what is installed.
"""

import argparse
import os
import re
import subprocess
import sys
import tarfile
import tempfile
import time
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PINS = str(ROOT / "constraints.txt")
USED = ("examples", "litert")
"""The extras that examples need, where there are such."""

IMPORTS = """
import sys, tf_lottery
from importlib import metadata, resources
assert metadata.version("tf_lottery") == tf_lottery.__version__
assert tf_lottery.__file__.startswith(sys.prefix), tf_lottery.__file__
assert resources.files("tf_lottery").joinpath("py.typed").is_file()
for name in tf_lottery.__all__:
    getattr(tf_lottery, name)
import keras, numpy, tensorflow
print("tf_lottery", tf_lottery.__version__, "Python", sys.version.split()[0], end=", ")
print("tensorflow", tensorflow.__version__, "keras", keras.__version__, "numpy", numpy.__version__)
"""


class Smoke:
    """An environment, and an empty directory in which its commands run.

    Args:
        folder: A directory for both.
        python: The interpreter that the environment is made with.
        environment: An environment to use again. Default: a fresh one.
    """

    def __init__(self, folder: Path, python: str, environment: Path | None = None):
        self.folder, self.environment = folder, (environment or folder / "environment").absolute()
        if environment is None:
            self.run("a fresh environment", python, "-m", "venv", str(self.environment))

    @property
    def python(self) -> str:
        """The environment's interpreter."""
        return str(self.environment / "bin/python")

    def run(self, title: str, *command: str, cwd: Path | None = None) -> str:
        """Run a command to its end, print how long it took, and return what it printed."""
        began = time.monotonic()
        hidden = ("PYTHON", "VIRTUAL_ENV", "MYPY")
        clean = {name: value for name, value in os.environ.items() if not name.startswith(hidden)}
        clean["TF_CPP_MIN_LOG_LEVEL"] = "3"
        done = subprocess.run(command, cwd=cwd or self.folder, env=clean, capture_output=True, text=True)
        said = "passed" if done.returncode == 0 else "FAILED"
        print(f"  {title:30} {said} {time.monotonic() - began:7.1f} s", flush=True)
        if done.returncode:
            sys.exit(f"{' '.join(command)}\n{done.stdout[-4000:]}\n{done.stderr[-4000:]}")
        return done.stdout

    def install(self, title: str, *what: str) -> None:
        """Install packages at the tested versions."""
        quiet = ("--quiet", "--disable-pip-version-check", "--no-warn-script-location")
        self.run(title, self.python, "-m", "pip", "install", *quiet, "-c", PINS, *what)

    def use(self, empty: Path) -> None:
        """Import the package, and run the command line: list, run, report, export."""
        print("  " + self.run("import", self.python, "-c", IMPORTS, cwd=empty).strip())
        command = str(self.environment / "bin/tf-lottery")
        listed = self.run("list", command, "list", cwd=empty)
        for name in ("digits_quick", "papers/lenet_small", "tune/"):
            assert name in listed, f"{name} isn't listed:\n{listed}"
        self.run("run digits_quick", command, "run", "digits_quick", "--quiet", cwd=empty)
        self.run("report digits_quick", command, "report", "digits_quick", cwd=empty)
        assert (empty / "saved_models/digits_quick/report.html").is_file(), "no report"
        export = ("export", "digits_quick", "--format", "savedmodel", "--output", "served", "--no-latency")
        self.run("export digits_quick", command, *export, cwd=empty)
        assert list(empty.rglob("saved_model.pb")), "no SavedModel"

    def examples(self, root: Path, empty: Path) -> None:
        """Run each example in its small setting, and each notebook as it is."""
        for path in sorted((root / "examples").glob("*.py")):
            text, options = path.read_text(), list[str]()
            if "--small" in text:
                options += ["--small"]
            if "--sentences" in text:  # in place of those that are downloaded
                options += ["--sentences", str(root / "tests/data/sentences_small.json")]
            for package in re.findall(r"`pip install --no-deps ([\w-]+)`", text):
                self.install(f"pip install {package}", "--no-deps", package)
            self.run(path.name, self.python, str(path), *options, cwd=empty)
        notebooks = sorted((root / "examples").glob("*.ipynb"))
        if notebooks:
            self.install("pip install nbclient", "nbclient", "ipykernel")
        for path in notebooks:
            copy = empty / path.name  # a notebook runs where it lies
            copy.write_text(path.read_text())
            self.run(path.name, str(self.environment / "bin/jupyter-execute"), str(copy), cwd=empty)

    def types(self, empty: Path) -> None:
        """Check a user's typed code strictly against what is installed."""
        user = empty / "typed_user.py"
        user.write_text((ROOT / "tests/typed_user.py").read_text())
        mypy = (sys.executable, "-m", "mypy", "--strict", "--ignore-missing-imports")
        environment = ("--python-executable", self.python, "--cache-dir", str(empty / "cache"))
        self.run("a user's types", *mypy, *environment, str(user), cwd=empty)


def unpacked(artifact: Path, folder: Path) -> Path:
    """Return the directory that an sdist unpacks to; of a wheel, the checkout."""
    if artifact.suffix != ".gz":
        return ROOT
    with tarfile.open(artifact) as packed:
        packed.extractall(folder, filter="data")
    return folder / artifact.name.removesuffix(".tar.gz")


def main() -> None:
    """Test each artifact that is named."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("artifacts", nargs="+", type=Path)
    parser.add_argument("--python", default=sys.executable, help="the Python to test on")
    parser.add_argument("--environment", type=Path, help="an environment to use in place of a fresh one")
    parser.add_argument("--tests", nargs="*", default=[], help="tests that an unpacked sdist passes, too")
    options = parser.parse_args()
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = ",".join(extra for extra in USED if extra in settings["optional-dependencies"])
    with tempfile.TemporaryDirectory() as folder:
        smoke = Smoke(Path(folder), options.python, options.environment)
        for artifact in options.artifacts:
            began = time.monotonic()
            print(artifact.name, flush=True)
            root, empty = unpacked(artifact, Path(folder)), Path(folder) / f"empty{artifact.suffix}"
            empty.mkdir()
            if options.environment or artifact != options.artifacts[0]:
                smoke.run("pip uninstall", smoke.python, "-m", "pip", "uninstall", "--yes", "tf_lottery")
            smoke.install("pip install", f"tf_lottery[{extras}] @ {artifact.resolve().as_uri()}")
            smoke.use(empty)
            smoke.examples(root, empty)
            smoke.types(empty)
            if options.tests and root != ROOT:
                smoke.install("pip install pytest", "pytest")
                pytest = (smoke.python, "-m", "pytest", "-q", "-m", "not slow and not exhaustive")
                print(smoke.run("tests of the sdist", *pytest, *options.tests, cwd=root).strip()[-300:])
            print(f"  {'in all':30} passed {time.monotonic() - began:7.1f} s", flush=True)


if __name__ == "__main__":
    main()
