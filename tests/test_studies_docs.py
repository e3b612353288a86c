"""What docs/studies.md and the README promise of studies: their Python and YAML, as it stands there."""

import re
from pathlib import Path

import numpy as np

from tf_lottery import config_file
from tf_lottery.data.augment import make_augment
from tf_lottery.ticket import Ticket
from tf_lottery.training.learning_rates import make_learning_rates

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
PAGE = (ROOT / "docs/studies.md").read_text()


def block(language, text, page=PAGE):
    (found,) = [b for b in re.findall(rf"```{language}\n(.*?)```", page, re.S) if text in b]
    return found


def test_a_whole_study_from_python(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    exec(block("python", "run_study"), {})
    rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert [row[:3] for row in rows] == [
        ["ticket", "0", "100.0%"],
        ["ticket", "1", "80.2%"],
        ["ticket", "2", "64.3%"],
        ["random_reinit", "2", "64.3%"],
    ]


def test_the_yaml_is_a_valid_study(tmp_path):
    file = tmp_path / "study.yaml"
    file.write_text(block("yaml", "small_net"))
    study = config_file.load_config(file)
    assert study.arms["random_reinit"].trials == 3


def test_the_deeper_yaml_is_a_valid_study_of_things_that_there_are(tmp_path):
    file = tmp_path / "deeper.yaml"
    file.write_text(block("yaml", "resnet20"))
    study = config_file.load_config(file)
    assert study.training.precision == "mixed_bfloat16"
    assert make_augment(study.data.augment, (32, 32, 3)) is not None
    rates = make_learning_rates(study.training, steps_per_epoch=351)
    assert np.allclose(rates(np.array([0, 351, 91 * 351, 181 * 351])), [0.1 / 351, 0.1, 0.01, 0.001])


def test_the_yaml_of_the_readme_is_a_valid_study(tmp_path):
    file = tmp_path / "study.yaml"
    file.write_text(block("yaml", "small_net", README))
    study = config_file.load_config(file)
    assert list(study.arms) == ["ticket", "random_reinit", "shuffled", "one_shot"]
    assert len(README.splitlines()) <= 150


def test_every_shipped_config_is_named_in_the_list_of_presets():
    assert "tf-lottery list" in PAGE
    presets = (ROOT / "docs/papers.md").read_text()
    assert "docs/papers.md" in README
    for name in config_file.shipped():
        assert f"`{name}`" in presets
    for name in re.findall(r"`((?:papers/|mnist_lenet|cifar10_)[a-z0-9_]+)`", presets + README + PAGE):
        assert name in config_file.shipped()


def test_a_ticket_is_read(tmp_path, monkeypatch, capsys):
    path = tmp_path / "saved_models/mnist_lenet_demo/winning_ticket.npz"
    mask = np.arange(12).reshape(3, 4) % 4 == 0
    Ticket({"output/kernel": mask}, {"output/kernel": np.where(mask, 0.5, 0)}).save(path)
    monkeypatch.chdir(tmp_path)
    exec(block("python", "Ticket.load"), {})
    assert "25.0% of the weights" in capsys.readouterr().out
