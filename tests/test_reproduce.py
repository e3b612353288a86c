"""Published figures beside ours: each reader on made-up runs with known answers, and a whole document."""

import importlib
import re
import shutil
from pathlib import Path

import pytest
import yaml

from tests.analysis.made_up import made_up
from tf_lottery import config_file
from tf_lottery.drivers.run_study import run_study
from tf_lottery.paths import StudyPaths

BENCHMARKS = Path(__file__).parent.parent / "benchmarks"
PUBLISHED = yaml.safe_load((BENCHMARKS / "published.yaml").read_text())


@pytest.fixture
def figures(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return importlib.import_module("figures")


@pytest.fixture
def reproduce(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return importlib.import_module("reproduce")


@pytest.mark.parametrize(
    ("reader", "arguments", "said"),
    [
        ("accuracy", ["ticket", 2], "96.30 (95.55 to 97.05, n = 3)"),  # 96, 96.3, 96.6: t is 4.3027
        ("gain", ["ticket", 2, "random_reinit"], "+1.00 (0.88 to 1.12, n = 3)"),  # 1.05, 1, 0.95
        ("above_dense", ["ticket", 2], "+1.00 (0.88 to 1.12, n = 3)"),
        ("earlier", [2], "1.50 times earlier (step 400 against 600, n = 3)"),
        ("earlier", [2, "shuffled", 2], "1.00 times earlier (step 400 against 400, n = 3)"),
        ("at_least_dense", ["ticket"], "down to 1.2%, the sparsest that was trained"),
        ("peak", [], "at 50.0%: 96.30, +1.00 (chosen by test accuracy)"),
        ("claim", ["more_than_its_layers"], "**holds** +1.00 points (0.88 to 1.12, 3 replicates, 95%)"),
        ("barrier", ["fork", 2], "0.50 (0.38 to 0.62, n = 3)"),
        ("accuracy", ["ticket", 9], None),
        ("gain", ["ticket", 2, "grasp"], None),
        ("barrier", ["late", 2], None),
        ("claim", ["stable_to_noise"], "**holds** +0.50 points (0.38 to 0.62, 3 replicates, 95%)"),
    ],
)
def test_each_reader_says_what_is_known(figures, reader, arguments, said):
    assert figures.READERS[reader](*arguments)(made_up()) == said


def test_a_dense_round_below_the_dense_network_ends_what_matches(figures):
    worse = made_up(keep=lambda spec: True, test={"ticket": 1.0, "random_reinit": -1.0})
    assert figures.READERS["at_least_dense"]("random_reinit")(worse) == "below it at 50.0%"
    assert figures.READERS["claim"]("beats_set")(made_up(arms=["ticket"])) is None


def test_every_published_line_names_a_preset_its_arms_and_a_reader(figures):
    for section in PUBLISHED["sections"]:
        study = config_file.load_config(section["study"])
        for figure in section["figures"]:
            reader, *arguments = figure["ours"]
            figures.READERS[reader](*arguments)
            arms = [each for each in arguments if isinstance(each, str)]
            assert reader == "claim" or set(arms) <= study.arms.keys(), figure
            rounds = [each for each in arguments if isinstance(each, int)]
            assert all(0 <= each <= study.pruning.rounds for each in rounds), figure
    assert {each["study"] for each in PUBLISHED["for_a_gpu"]} <= config_file.shipped().keys()


@pytest.mark.slow
def test_a_document_has_what_the_records_say_and_marks_what_is_missing(reproduce, tmp_path):
    study = config_file.load_config(
        "digits_quick", ["replicates=2", "training.steps=40it", "pruning.rounds=1", "arms={ticket: {}}"]
    )
    records = run_study(study, tmp_path / "digits_quick")
    section = {"title": "Digits", "differs": "Shorter.", "rounds": [1]}
    figures = [
        {"what": "dense", "paper": 97, "source": "nobody", "ours": ["accuracy", "ticket", 0]},
        {"what": "shuffled", "paper": 96, "source": "nobody", "ours": ["gain", "ticket", 1, "shuffled"]},
    ]
    sections = [
        {"study": "digits_quick", **section, "figures": figures},
        {"study": "papers/vgg19", **section, "title": "VGG", "figures": figures},
    ]
    text = reproduce.document({"sections": sections, "for_a_gpu": []}, tmp_path)
    digits, vgg = text.split("## VGG")
    dense = [100 * r.early_stop_test_accuracy for r in records if r.spec.round == 0]
    row = re.search(
        r"^\| dense \| 97 \| ([\d.]+) \(([-\d.]+) to ([\d.]+), n = 2\) \| nobody \|$", digits, re.M
    )
    assert float(row[1]) == pytest.approx(sum(dense) / 2, abs=0.006)
    assert float(row[3]) - float(row[1]) == pytest.approx(12.706 * abs(dense[0] - dense[1]) / 2, abs=0.02)
    assert "| shuffled | 96 | not run here | nobody |" in digits
    assert re.search(r"^4 runs of 40it, 2 replicates; .*; tensorflow \d", digits, re.M)
    lowest, highest = sorted(dense)
    assert f"| dense network | {sum(dense) / 2:.2f} ({lowest:.2f} to {highest:.2f}) |" in digits
    assert vgg.count("not run here") == 2
    assert "isn't finished" not in digits
    assert reproduce.finished(tmp_path / "digits_quick")
    shutil.rmtree(StudyPaths(tmp_path / "digits_quick").run(records[-1].key).record.parent)
    assert not reproduce.finished(tmp_path / "digits_quick")
    torn = reproduce.document({"sections": sections[:1], "for_a_gpu": []}, tmp_path)
    assert "isn't finished" in torn
    shutil.rmtree(StudyPaths(tmp_path / "digits_quick").runs)
    assert (
        reproduce.document({"sections": sections[:1], "for_a_gpu": []}, tmp_path).count("not run here") == 2
    )
    assert not reproduce.finished(tmp_path / "vgg19")
