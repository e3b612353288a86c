"""What the documents promise, held against the code."""

import re
from pathlib import Path

import numpy as np
import yaml

from tf_lottery import config_file
from tf_lottery.analysis.claims import CLAIMS, judge
from tf_lottery.analysis.findings import Findings
from tf_lottery.method.arms import ARMS, CHAINS
from tf_lottery.method.check import check_arms
from tf_lottery.method.spec import Record, RunSpec
from tf_lottery.models.build import MODELS
from tf_lottery.pruning.criteria import CRITERIA
from tf_lottery.pruning.patterns import PATTERNS
from tf_lottery.pruning.scopes import SCOPES
from tf_lottery.ticket import Ticket

ROOT = Path(__file__).parent.parent
ARCHITECTURE = (ROOT / "docs/architecture.md").read_text()


def test_the_contracts_are_frozen():
    """Change these on purpose only: other rooms, and files on disk, build on them."""
    assert set(RunSpec.model_fields) == {
        *("arm", "replicate", "round", "trial", "data", "model", "training", "order_seed", "start"),
        *("init_seed", "pretrained", "weights", "rewind", "root", "parent", "pruning", "masks_of", "edits"),
        *("snapshots", "transfer_seed", "updates", "until", "small", "supermask"),
    }
    assert {*Record.model_fields, *Record.model_computed_fields} == {
        *(
            "version",
            "key",
            "spec",
            "weights_total",
            "weights_remaining",
            "parameters_total",
            "layers",
        ),
        *("first_step", "last_step", "early_stop_iteration", "best_validation_loss"),
        *("early_stop_validation_accuracy", "early_stop_test_loss", "early_stop_test_accuracy"),
        *("final_validation_loss", "final_validation_accuracy", "final_test_loss", "final_test_accuracy"),
        *("steps_per_second", "seconds", "resolved", "checks", "digests", "files", "environment"),
        *("density", "density_all_parameters", "effective_density"),
        *("spent", "effective_remaining", "effective"),
    }


def test_the_fields_of_a_spec_are_described():
    section = ARCHITECTURE.split("### `RunSpec`")[1].split("###")[0]
    for field in set(RunSpec.model_fields) - {"arm", "replicate", "round", "trial"}:
        assert f"`{field}`" in section, field


def test_ten_lines_of_numpy_read_a_ticket(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    mask = np.array([[True, False], [True, True]])
    Ticket({"a/kernel": mask}, {"a/kernel": np.where(mask, 2.0, 0.0)}, {}, {"study": "s"}).save(
        "winning_ticket.npz"
    )
    (code,) = [c for c in re.findall(r"```python\n(.*?)```", ARCHITECTURE, re.S) if "np.load" in c]
    names = {}
    exec(code, names)
    assert names["header"]["provenance"] == {"study": "s"}
    assert (names["masks"]["a/kernel"] == mask).all()
    assert (names["weights"]["a/kernel"] == [[2, 0], [2, 2]]).all()


def test_the_paper_protocol_is_what_the_paper_says():
    study = config_file.load_config("mnist_lenet")
    assert study.training.steps == "50000it"
    assert study.training.batch_size == 60
    assert study.training.evaluate_every == "100it"
    assert (study.training.optimizer, study.training.learning_rate) == ("adam", 0.0012)
    assert (study.pruning.rate, study.pruning.layer_rates) == (0.2, {"output": 0.1})
    assert (study.pruning.rounds, study.pruning.scope, study.rewind.to) == (20, "layer", "0it")
    assert (study.replicates, study.arms["random_reinit"].trials) == (5, 3)
    assert study.data.validation == 5000


def test_the_protocols_of_papers_are_what_the_papers_say():
    def told(name):
        study = config_file.load_config(f"papers/{name}")
        training = study.training
        assert (training.optimizer, training.optimizer_options["momentum"]) == ("sgd", 0.9)
        schedule = training.learning_rate_schedule
        steps = (training.steps, training.batch_size, training.learning_rate, schedule.warmup)
        return (*steps, schedule.drops, schedule.factor, training.weight_decay, study.rewind.to)

    epochs = ["80ep", "120ep"]
    assert told("vgg19") == ("160ep", 64, 0.1, "10000it", epochs, 0.1, 1e-4, "0it")
    assert told("vgg16") == ("160ep", 128, 0.1, "0it", epochs, 0.1, 1e-4, "1000it")
    assert told("resnet18") == ("30000it", 128, 0.01, "0it", ["20000it", "25000it"], 0.1, 1e-4, "0it")
    assert told("resnet56") == ("182ep", 128, 0.1, "0it", ["91ep", "136ep"], 0.1, 2e-4, "12ep")
    drops = [f"{number}0000it" for number in (3, 6, 9)]
    assert told("wrn22_2") == ("97656it", 128, 0.1, "0it", drops, 0.2, 5e-4, "0it")
    drops = ["25000it", "50000it", "75000it"]
    assert told("lenet5") == ("100000it", 100, 0.1, "0it", drops, 0.1, 5e-4, "0it")


def test_the_demo_is_what_it_is_said_to_be():
    study = config_file.load_config("mnist_lenet_demo")
    assert int(study.training.steps.removesuffix("it")) >= 6000
    assert study.pruning.rounds == 15
    assert study.arms["random_reinit"].rounds == [3, 7, 11, 13, 15]


def test_links_and_pictures_of_the_documents_exist():
    for document in [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")]:
        for target in re.findall(r"\]\(([^)#]+)\)", document.read_text()):
            if not target.startswith("http"):
                assert (document.parent / target).exists(), (document.name, target)


def test_make_help_names_every_target():
    makefile = (ROOT / "Makefile").read_text()
    described = set(re.findall(r"^([a-z-]+):.*## \S", makefile, re.M))
    assert {
        "demo",
        "test",
        "test-slow",
        "test-all",
        "coverage",
        "lint",
        "bench",
        "tensorboard",
        "dist",
        "smoke",
        "clean",
        "help",
    } <= described


def test_the_page_of_the_method_lists_every_arm_criterion_scope_network_and_its_examples_are_sound():
    page = (ROOT / "docs/method.md").read_text()
    for name in (*CHAINS, *ARMS, *CRITERIA, *SCOPES, *MODELS):
        assert f"`{name}`" in page, name
    for name in PATTERNS:
        assert re.search(f"`{name}[`:]", page), name
    for text in re.findall(r"```yaml\n(.*?)```", page, re.S):
        settings = yaml.load(text, config_file._Loader)
        check_arms(config_file.validate({"name": "page", "pruning": {"rounds": 15}} | settings))


def test_the_page_of_the_method_lists_every_claim_as_it_is_stated():
    page = (ROOT / "docs/method.md").read_text()
    study = config_file.load_config("digits_quick")
    for told in judge(Findings(study, [])):
        assert f"| `{told.name}` | {told.statement.rstrip('.')} |" in page
    assert len(CLAIMS) == len(re.findall(r"^\| `\w+` \|", page.split("## Verdicts")[1].split("## ")[0], re.M))
