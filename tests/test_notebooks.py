"""The notebooks: what is committed has been run, and they run in a small setting in an empty directory."""

import json
import os
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
NOTEBOOKS = {path.stem: path for path in sorted(ROOT.glob("examples/*.ipynb"))}
MOST_BYTES = 300_000


def outputs(cells):
    return [output for cell in cells if cell["cell_type"] == "code" for output in cell["outputs"]]


def printed(cells):
    return "".join("".join(each["text"]) for each in outputs(cells) if each.get("name") == "stdout")


def executed(name, folder, parameters):
    """Return the notebook's cells, run where no file of ours lies, with other parameters."""
    import nbformat
    from nbclient import NotebookClient

    notebook = nbformat.read(NOTEBOOKS[name], as_version=4)
    (cell,) = (cell for cell in notebook.cells if "parameters" in cell.metadata.get("tags", []))
    assert set(re.findall(r"^(\w+) = ", cell.source, re.M)) == parameters.keys()
    cell.source = "\n".join(f"{name} = {value!r}" for name, value in parameters.items())
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "TF_CPP_MIN_LOG_LEVEL": "3"}
    environment.pop("MPLBACKEND", None)  # so that pictures are shown in the notebook
    client = NotebookClient(notebook, timeout=900, resources={"metadata": {"path": str(folder)}})
    client.execute(env=environment)
    return notebook.cells


def test_there_are_these():
    assert list(NOTEBOOKS) == ["winning_ticket", "your_model"]


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_what_is_committed_was_run_from_top_to_bottom_and_is_small(name):
    text = NOTEBOOKS[name].read_text()
    cells = json.loads(text)["cells"]
    code = [cell for cell in cells if cell["cell_type"] == "code"]
    assert [cell["execution_count"] for cell in code] == list(range(1, len(code) + 1))
    assert not [
        each for each in outputs(cells) if each["output_type"] == "error" or each.get("name") == "stderr"
    ]
    assert len(text) < MOST_BYTES
    assert not re.search(r"(?<![\w.])/(?:tmp|root|home|work)/", text)


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_links_of_notebooks_lead_somewhere(name):
    for cell in json.loads(NOTEBOOKS[name].read_text())["cells"]:
        for target in re.findall(r"\]\(([^)#]+)\)", "".join(cell["source"])):
            if cell["cell_type"] == "markdown" and not target.startswith("http"):
                assert (ROOT / "examples" / target).exists(), target


@pytest.mark.slow
def test_winning_ticket(tmp_path):
    cells = executed("winning_ticket", tmp_path, {"STEPS": "60it", "ROUNDS": 2, "REPLICATES": 1})
    out = printed(cells)
    assert "5 networks were trained." in out
    assert re.search(r"^Dense network: \d\d\.\d\d% test accuracy", out, re.M)
    assert re.search(r"^(holds|fails|undecided|untested) ", out, re.M)
    assert sum("image/png" in each.get("data", {}) for each in outputs(cells)) == 3


@pytest.mark.slow
def test_your_model(tmp_path):
    cells = executed("your_model", tmp_path, {"EPOCHS": 4, "ROUNDS": 2, "TOLERANCE": 0.5})
    out = printed(cells)
    assert re.search(r"^encoder/encoded/kernel .*frozen", out, re.M)
    assert "[True, True, True, True]" in out
    assert "tf_lottery imported: False" in out
    assert float(re.search(r"Largest difference from the model's logits: (\S+)", out)[1]) < 1e-4
    assert "The same digits: True" in out
    assert float(re.search(r"Served test accuracy: ([\d.]+)%", out)[1]) > 40
    weights = dict(re.findall(r"^(dense|ticket) +([\d,]+) weights", out, re.M))
    assert (weights["dense"], weights["ticket"]) == ("46,100", "16,596")
