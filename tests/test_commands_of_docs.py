"""Every command of the documents, as typed: run on a small study of the same name, or said why not."""

import re
import shlex
import shutil
from pathlib import Path

import click
import numpy as np
import pytest
import typer

from tests.cli.test_cli import SMALL, cli
from tests.cli.test_closer import QUICK
from tf_lottery import config_file
from tf_lottery.cli import app

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted(ROOT.glob("docs/*.md"))]

WHY_NOT = {
    r"run (mnist_lenet|mnist_lenet_demo|cifar10_resnet20|papers/\w+|deeper\.yaml)\b(?!.*dry)": (
        "minutes to days; tests/test_presets.py has each of them"
    ),
    r"tune tune/\w+$": "hours; tests/cli/test_tune.py runs tunings",
    r"run saved_models/mnist_lenet/best.yaml": "what a tuning writes; tests/cli/test_tune.py runs it",
    r"run study.yaml --executor ray": "tests/drivers run on a Ray cluster of two nodes",
    r"run study.yaml --set training.strategy=multi_worker": "several machines; tests/runs begin two workers",
    r"run study.yaml --workers": "more processes than the tests have cores; tests/test_extending.py runs two",
    r"--import my_": "modules of the user's own: tests/test_extending.py runs them",
    r"tensorboard ": "serves until Ctrl-C; tests/cli/test_tensorboard.py begins and ends it",
    r"data mnist|run mnist_lenet --dry-run|tune .*--dry-run": "fetches MNIST from a package registry",
    r"export mnist_lenet_demo --within 0.2$": "every format, half a minute: tests/cli/test_export_run.py",
}
"""Commands that aren't run here, as patterns, and the reason."""

LIKE = (
    *("mnist_lenet_demo", "mnist_lenet_field", "lenet_small", "lenet_sanity", "lenet_connectivity"),
    "digits_quick",
)
"""The studies that documents name: here they are copies of a small one."""


def commands():
    """Return our commands in the blocks and tables of all documents: page and command."""
    found = []
    for page in PAGES:
        if page.name == "commands.md":  # made from the command line itself
            continue
        for language, block in re.findall(r"^```(\w*)\n(.*?)^```$", page.read_text(), re.S | re.M):
            for line in block.splitlines() if language in ("", "text", "bash") else ():
                line = re.sub(r"\s+#.*", "", line).removeprefix(".venv/bin/").strip()
                if line.startswith("tf-lottery "):
                    found.append((page.name, line))
        rows = re.findall(r"^\| `(tf-lottery [^`]+)` \|", page.read_text(), re.M)
        found += [(page.name, row) for row in rows]
    return found


OURS = sorted({command for _, command in commands() if command.startswith("tf-lottery ")})


def arguments(command):
    command = re.sub(r"--import \w+ ", "", command).replace("STUDY", "lenet_small")
    return shlex.split(command.removeprefix("tf-lottery ").replace("$SLURM_ARRAY_TASK_ID", "1"))


def test_documents_have_commands_and_no_others_than_are_known():
    assert len(OURS) >= 35
    for pattern in WHY_NOT:
        assert any(re.search(pattern, command) for command in OURS), f"{pattern} is in no document"


@pytest.mark.parametrize("command", OURS)
def test_a_command_has_arguments_that_it_takes(command):
    name, *given = arguments(command)
    group = typer.main.get_command(app)
    sub = group.get_command(click.Context(group), name)
    assert sub is not None, name
    taken = sub.make_context(name, list(given)).params
    config = taken.get("config", "")
    if config and not config.endswith((".yaml", "mnist_lenet_tune")) and not config.startswith("tune/"):
        assert config in config_file.shipped()


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """A directory with what documents name: small studies, a config, a model, data."""
    cwd = tmp_path_factory.mktemp("world")
    arms = "arms={ticket: {}, random_reinit: {rounds: [2]}, fork: {rounds: [0, 2]}}"
    settings = [part for setting in (*QUICK, arms, "replicates=2") for part in ("--set", setting)]
    assert cli("run", "digits_quick", *SMALL, *settings, cwd=cwd)[0] == 0
    for name in LIKE[:-1]:
        shutil.copytree(cwd / "saved_models/digits_quick", cwd / "saved_models" / name)
    small = {"steps": "40it", "evaluate_every": "20it", "xla": "false"}
    (cwd / "study.yaml").write_text(
        "data: {name: digits, validation: 200}\n"
        f"training: {{{', '.join(f'{key}: {value}' for key, value in small.items())}}}\n"
        "pruning: {rounds: 1}\nmodel: {name: mlp, kwargs: {sizes: [20]}}\nreplicates: 1\n"
    )
    images = np.random.default_rng(0).random((60, 8, 8, 1), "float32")
    classes = np.arange(60) % 10
    parts = {"x_train": images, "y_train": classes, "x_test": images, "y_test": classes}
    np.savez(cwd / "my.npz", **parts)
    import keras

    layers = [keras.Input((8, 8, 1)), keras.layers.Flatten(), keras.layers.Dense(10)]
    keras.Sequential(layers).save(cwd / "my_model.keras")
    return cwd


@pytest.mark.slow
@pytest.mark.parametrize(
    "command", [c for c in OURS if not any(re.search(pattern, c) for pattern in WHY_NOT)]
)
def test_a_command_runs(command, world):
    given = [each.replace("15", "2").replace("/shared/", "shared/") for each in arguments(command)]
    quick = ["--no-latency"] if given[0] == "export" else []
    if given[:2] == ["run", "digits_quick"]:
        quick = [*SMALL, "--set", "training.engine=dense", "--output", "saved_models/as_typed"]
    code, _, err = cli(*given, *quick, cwd=world)
    assert code == 0, err
