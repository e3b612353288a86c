"""What the sparse engine lacks: `sparse` refuses it in one line, `auto` steps aside and says why."""

import pytest

from tests.runs.test_check import NothingTrained
from tests.runs.test_engines import of_engine, study
from tf_lottery.cli.dry_run import dry_run
from tf_lottery.drivers.execution import Execution
from tf_lottery.drivers.run_study import run_study
from tf_lottery.errors import LotteryError

OWN, NETWORKS = "tests.training.sparse.lacking", "tests.training.networks"


def network(name, where=OWN):
    return {"model": {"build": f"{where}:{name}"}}


LACKING = {
    "layer": (network("layer_normalized", NETWORKS), "layer 'norm' (LayerNormalization)"),
    "depthwise": (network("depthwise"), "layer 'each' (DepthwiseConv2D)"),
    "custom layer": (network("custom"), "layer 'double' (Doubled)"),
    "setting of a layer": (network("grouped"), "groups of layer 'conv' (Conv2D)"),
    "frozen": (network("frozen"), "layer 'conv', which is frozen"),
    "shared": (network("shared"), "layer 'twice', which is called more than once"),
    "at each pixel": (network("per_pixel"), "inputs that aren't vectors of layer 'dense' (Dense)"),
    "activity": (
        network("activity_regularized", NETWORKS),
        "activity_regularizer of layer 'hidden' (Dense)",
    ),
    "penalty": (network("penalized"), "activity_regularizer of layer 'relu' (ReLU)"),
    "integers": (network("integers"), "inputs of type int32"),
    "rows": (network("beside"), "axis of layer 'below' (Concatenate)"),
    "not copied": (network("no_config", "tests.training.uncopyable"), "a model that Keras can't copy"),
    "optimizer": ({"training": {"optimizer": "rmsprop"}}, "optimizer rmsprop"),
    "loss": ({"training": {"loss": "categorical_hinge"}}, "loss categorical_hinge"),
    "probabilities": (
        {**network("probabilities", NETWORKS), "training": {"from_logits": False}},
        "from_logits: false",
    ),
    "precision": ({"training": {"precision": "mixed_bfloat16"}}, "precision mixed_bfloat16"),
    "averages": (
        {"training": {"optimizer_options": {"use_ema": True, "ema_overwrite_frequency": 10}}},
        "optimizer_options.use_ema",
    ),
    "accumulation": (
        {"training": {"optimizer_options": {"gradient_accumulation_steps": 2}}},
        "optimizer_options.gradient_accumulation_steps",
    ),
    "replicas": ({"training": {"strategy": "mirrored"}}, "training on 2 replicas"),
}
QUICK = ("layer", "optimizer", "replicas")
TRAINED = [case if case in QUICK else pytest.param(case, marks=pytest.mark.slow) for case in LACKING]


def of(case, engine):
    changes = dict(LACKING[case][0])
    own = {"steps": "20it", "evaluate_every": "20it", "xla": False, "engine": engine}
    pruning = {"rate": 0.8, "rounds": 1, "layer_rates": {}}
    return study(**{**changes, "training": {**own, **changes.get("training", {})}, "pruning": pruning})


@pytest.mark.parametrize("case", LACKING)
def test_sparse_refuses_it_in_one_line_before_anything_is_trained(case, tmp_path):
    config, directory = of(case, "sparse"), tmp_path / "study"
    with pytest.raises(LotteryError) as run:
        run_study(config, directory, observer=NothingTrained())
    with pytest.raises(LotteryError) as dry:
        dry_run(config, directory, Execution(workers=1))
    expected = f"training.engine auto or dense, since the sparse engine lacks {LACKING[case][1]}. Received:"
    assert expected in str(run.value)
    assert str(dry.value) == str(run.value)
    assert "\n" not in str(run.value)
    assert not directory.exists()


@pytest.mark.parametrize("case", TRAINED)
def test_auto_steps_aside_and_says_why(case, tmp_path):
    config, lacking = of(case, "auto"), LACKING[case][1]
    lines = dry_run(config, tmp_path, Execution(workers=1))
    assert f"Engine:   dense, since the sparse engine lacks {lacking}" in lines
    records = run_study(config, tmp_path)
    assert [of_engine(record) for record in records] == [
        ("dense", "the run has no masks"),
        ("dense", f"the sparse engine lacks {lacking}"),
    ]


def test_a_dry_run_says_where_the_sparse_engine_trains(tmp_path):
    config = study(training={"steps": "20it", "evaluate_every": "20it"})
    assert "Engine:   sparse, where few enough weights remain" in dry_run(
        config, tmp_path, Execution(workers=1)
    )
    dense = study(training={"steps": "20it", "evaluate_every": "20it", "engine": "dense"})
    assert not any(line.startswith("Engine") for line in dry_run(dense, tmp_path, Execution(workers=1)))


def test_an_arms_own_training_is_checked(tmp_path):
    arms = {"ticket": {}, "fork": {"training": {"engine": "sparse", "optimizer": "rmsprop"}}}
    config = study(training={"engine": "dense", "xla": False}, arms=arms)
    with pytest.raises(LotteryError, match=r"sparse engine lacks optimizer rmsprop\. Received: sparse$"):
        run_study(config, tmp_path / "study", observer=NothingTrained())
