"""Every preset as `run --dry-run` looks at it: on small images, with a narrow network."""

import re

import numpy as np
import pytest

from tf_lottery import config_file
from tf_lottery.cli.dry_run import dry_run
from tf_lottery.config_file import load_config
from tf_lottery.drivers.execution import Execution

SIZES = {"mnist": (28, 1), "fashion_mnist": (28, 1), "cifar10": (32, 3), "digits": (8, 1)}


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    """Files of scikit-learn's digits, enlarged to the sizes of the presets' images."""
    from sklearn.datasets import load_digits

    digits, folder = load_digits(), tmp_path_factory.mktemp("images")
    files = {}
    for name, (pixels, channels) in SIZES.items():
        near = np.arange(pixels) * 8 // pixels
        x = digits.images[:, near][:, :, near].astype(np.uint8)[..., None].repeat(channels, -1)
        parts = {"x_train": x[:1400], "x_test": x[1400:]}
        parts |= {"y_train": digits.target[:1400], "y_test": digits.target[1400:]}
        files[name] = folder / f"{name}.npz"
        np.savez(files[name], **parts)
    return files


@pytest.mark.slow
@pytest.mark.parametrize("name", config_file.shipped())
def test_every_preset_is_planned_without_training_anything(name, images, tmp_path, monkeypatch):
    monkeypatch.setattr("tf_lottery.runs.timing.time_a_run", lambda spec, steps, trainers: (0.01, 1000))
    study = load_config(name)
    small = ["data.name=npz", f"data.path={images[study.data.name]}", "data.validation=200"]
    small += ["training.threads=1"]
    if study.model.name != "lenet_300_100":
        small += ["model.kwargs.width=0.1"]
    if study.training.steps.endswith("ep"):  # of which there are fewer steps here
        small += ["training.learning_rate_schedule.warmup=0it"]
    lines = "\n".join(dry_run(load_config(name, small), tmp_path / "study", Execution(workers=1)))
    assert "nothing is trained" in lines
    (runs, steps) = re.search(
        r"^To train: (?:at least )?([\d,]+) runs, ([\d,]+) steps$", lines, re.M
    ).groups()
    assert 0 < int(runs.replace(",", "")) < int(steps.replace(",", ""))
    assert not (tmp_path / "study").exists()
