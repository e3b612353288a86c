"""`tf-lottery tensorboard`, as typed."""

import http.client
import json
import re
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.cli.test_cli import cli, printed_without, settings


@pytest.fixture
def studies(tmp_path):
    """A directory with the study of version 0.1 in saved_models/."""
    shutil.unpack_archive(Path(__file__).parents[1] / "version_0_1.zip", tmp_path / "saved_models")
    return tmp_path


def test_the_help_takes_no_tensorflow():
    (out,) = printed_without(["tensorflow", "keras", "tensorboard"], ["tensorboard", "--help"])
    assert "--no-open" in out


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["missing"], "Expected a study's directory"),
        (["missing", "--every-run"], "Expected a study's directory"),
        ([], "There is nothing to show in saved_models/"),
        (["--port", "0"], "--port"),
        (["--port", "65536"], "--port"),
    ],
)
def test_what_cannot_be_shown_is_refused(tmp_path, arguments, told):
    code, out, err = cli("tensorboard", *arguments, cwd=tmp_path)
    assert (code, out) == (2, "")
    assert told in err
    assert "Traceback" not in err


def test_a_tuning_without_an_answer_is_told_in_one_line(tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "tuning.yaml").touch()
    code, out, err = cli("tensorboard", "mine", cwd=tmp_path)
    assert (code, out, len(err.splitlines())) == (2, "", 1)
    assert "mine has no answer to show yet" in err


def ask(port, path, host="127.0.0.1"):
    connection = http.client.HTTPConnection(host, port, timeout=60)
    connection.request("GET", path)
    answer = connection.getresponse()
    assert answer.status == 200
    return json.loads(answer.read())


@pytest.mark.slow
@pytest.mark.parametrize("arguments", [["study"], [], ["study", "--every-run"]])
def test_it_serves_on_loopback_only_and_ends_on_ctrl_c(studies, arguments):
    shutil.copytree(studies / "saved_models/study", studies / "saved_models/twin")
    command = [sys.executable, "-m", "tf_lottery", "tensorboard", *arguments, "--no-open"]
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
        **settings(studies, {}),
    )
    try:
        address = urlsplit(re.fullmatch(r"TensorBoard: (http://\S+)\n", process.stdout.readline())[1])
        assert address.hostname == "127.0.0.1"
        assert "_smoothingWeight=0" in address.fragment
        page = ask(address.port, "/data/plugin/custom_scalars/layout")
        titles = [chart["title"] for each in page["category"] for chart in each["chart"]]
        assert "Test accuracy at early stop (%), by round" in titles
        runs = ask(address.port, "/data/runs")
        expected = {"ticket", "random_reinit"} if arguments else {"study/ticket", "twin/ticket"}
        assert expected | {"~hparams"} <= set(runs)
        assert any(run.startswith("every_run/runs/") for run in runs) == ("--every-run" in arguments)
        listening = {family for family in _others() if _answers(family, address.port)}
        assert listening == set()
    finally:
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=300)
    assert process.returncode == 0
    assert out.splitlines()[-1] == "Ended."
    assert err == ""


def _others():
    """This machine's addresses other than 127.0.0.1."""
    found = {info[4][0] for info in socket.getaddrinfo(socket.gethostname(), None)}
    return (found | {"127.0.0.2"}) - {"127.0.0.1", "::1"}


def _answers(host, port):
    try:
        with socket.create_connection((host, port), timeout=5):
            return True
    except OSError:
        return False
