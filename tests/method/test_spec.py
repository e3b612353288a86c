import hashlib
import json

import pytest
from pydantic import ValidationError

from tests.fakes import fake_record, fake_spec, fake_study
from tf_lottery.config import DataConfig, LearningRateConfig, ModelConfig, RewindConfig, TrainingConfig
from tf_lottery.method.recipe import Pruning
from tf_lottery.method.spec import Record, RunSpec

DATA = {"digest": "d" * 64}


def pruned(**pruning):
    settings = {"criterion": "magnitude", "scope": "layer", "rate": 0.2} | pruning
    return fake_spec(
        round=1,
        start="rewind",
        rewind=RewindConfig(),
        root="r" * 64,
        parent="p" * 64,
        pruning=Pruning(**settings),
    )


@pytest.mark.parametrize(
    "labels", [{"arm": "random_reinit"}, {"replicate": 1}, {"round": 4}, {"trial": 2}], ids=str
)
def test_labels_are_not_part_of_the_key(labels):
    assert fake_spec(**labels, start="initialize").key == fake_spec().key


def test_the_digest_stands_for_the_datas_name_and_place():
    here = DataConfig(name="npz", path="here.npz", **DATA)
    there = DataConfig(name="digits", **DATA)
    assert fake_spec(data=here).key == fake_spec(data=there).key


@pytest.mark.parametrize("pipeline", ["resident", "stream"])
def test_the_pipeline_changes_no_bit_and_no_key(pipeline):
    assert fake_spec(data=DataConfig(pipeline=pipeline, **DATA)).key == fake_spec(data=DataConfig(**DATA)).key


def test_augmentations_their_options_and_their_order_change_the_key():
    padded = {"pad_and_crop": {"padding": 2}}
    several = [
        {},
        {"flip": {}},
        padded,
        {"pad_and_crop": {"padding": 3}},
        {"flip": {}, **padded},
        {**padded, "flip": {}},
    ]
    keys = [fake_spec(data=DataConfig(augment=augment, **DATA)).key for augment in several]
    assert len(set(keys)) == len(several)


def test_a_study_differs_in_the_order_of_augmentations_but_not_in_its_pipeline():
    def study(**data):
        return fake_study(data={"name": "digits", "digest": "d" * 64, **data})

    one, other = {"flip": {}, "pad_and_crop": {}}, {"pad_and_crop": {}, "flip": {}}
    assert study(augment=one).same_runs_as(study(augment=one, pipeline="stream"))
    assert not study(augment=one).same_runs_as(study(augment=other))


@pytest.mark.parametrize(
    "settings",
    [
        {"data": DataConfig(digest="e" * 64)},
        {"data": DataConfig(validation=100, **DATA)},
        {"data": DataConfig(split_seed=1, **DATA)},
        {"model": ModelConfig(name="conv_2")},
        {"model": ModelConfig(build="package.module:function")},
        {"model": ModelConfig(kwargs={"width": 2})},
        {"training": TrainingConfig(steps="10it")},
        {"training": TrainingConfig(batch_size=61)},
        {"training": TrainingConfig(evaluate_every="10it")},
        {"training": TrainingConfig(optimizer="sgd")},
        {"training": TrainingConfig(learning_rate=0.1)},
        {"training": TrainingConfig(optimizer_options={"momentum": 0.9})},
        {"training": TrainingConfig(learning_rate_schedule=LearningRateConfig(warmup="5it"))},
        {"training": TrainingConfig(weight_decay=0.1)},
        {"training": TrainingConfig(precision="mixed_bfloat16")},
        {"training": TrainingConfig(xla=False)},
        {"training": TrainingConfig(threads=2)},
        {"training": TrainingConfig(deterministic=False)},
        {"order_seed": 2},
        {"start": "reinitialize"},
        {"init_seed": 0},
        {"init_seed": 1},
        {"rewind": RewindConfig(to="500it")},
        {"rewind": RewindConfig(optimizer="restore")},
        {"root": "r" * 64},
        {"parent": "p" * 64},
    ],
    ids=str,
)
def test_whatever_determines_the_result_changes_the_key(settings):
    assert fake_spec(**settings).key != fake_spec().key


@pytest.mark.parametrize(
    "pruning",
    [
        {"criterion": "random"},
        {"scope": "global"},
        {"rate": 0.3},
        {"layer_rates": {"output": 0.1}},
        {"seed": 7},
    ],
    ids=str,
)
def test_how_masks_are_made_changes_the_key(pruning):
    assert pruned(**pruning).key != pruned().key


def test_the_order_of_patterns_decides_rates_and_so_the_key():
    first, second = {"conv1": 0.1, "conv*": 0.3}, {"conv*": 0.3, "conv1": 0.1}
    assert pruned(layer_rates=first).key != pruned(layer_rates=second).key


def test_a_default_that_is_written_out_gives_the_same_key():
    implicit = fake_spec(training=TrainingConfig(), model=ModelConfig())
    written = TrainingConfig.model_validate(TrainingConfig().model_dump())
    data = DataConfig(validation=5000, split_seed=0, order="replay", **DATA)
    explicit = fake_spec(
        training=written, model=ModelConfig(kwargs={}), data=data, trial=0, snapshots=("0it",)
    )
    assert explicit.key == implicit.key


def test_the_default_model_written_out_gives_the_same_key():
    assert fake_spec(model=ModelConfig(name="lenet_300_100")).key == fake_spec(model=ModelConfig()).key


def test_a_key_is_the_same_on_every_machine():
    spec = fake_spec()
    canonical = {
        "data": {"digest": "d" * 64},
        "model": {"name": "lenet_300_100"},
        "order_seed": 1,
        "start": "initialize",
        "training": {},
        "version": 2,
    }
    text = json.dumps(canonical, separators=(",", ":"))
    assert spec.key == hashlib.sha256(text.encode()).hexdigest()


def test_a_changed_copy_has_a_key_of_its_own():
    spec = fake_spec()
    assert spec.model_copy(update={"order_seed": 2}).key == fake_spec(order_seed=2).key  # before it is read
    assert spec.key
    assert spec.model_copy(update={"order_seed": 2}).key == fake_spec(order_seed=2).key


def test_a_spec_survives_json():
    spec = pruned(layer_rates={"output": 0.1})
    found = RunSpec.model_validate_json(spec.model_dump_json())
    assert found == spec
    assert found.key == spec.key


def test_a_record_survives_json():
    record = fake_record(pruned())
    computed = set(Record.model_computed_fields)
    content = json.loads(record.model_dump_json(exclude=computed))
    found = Record.model_validate(content)
    assert found == record
    assert found.spec.key == record.key


def test_unknown_fields_are_refused():
    with pytest.raises(ValidationError):
        fake_spec(unheard_of=1)


def test_density_counts_prunable_weights_and_all_parameters():
    record = fake_record(fake_spec(round=1))
    assert (record.weights_total, record.weights_remaining, record.parameters_total) == (1024, 512, 1040)
    assert record.density == 0.5
    assert record.density_all_parameters == (1040 - 512) / 1040


def test_a_row_is_flat_and_holds_labels_counts_and_accuracies():
    row = fake_record(fake_spec("random_reinit", 2, 1, 3)).row()
    assert [row[label] for label in ("arm", "replicate", "round", "trial")] == ["random_reinit", 1, 2, 3]
    assert (row["weights_remaining"], row["density"]) == (256, 0.25)
    assert row["early_stop_test_accuracy"] == 0.96
    assert all(isinstance(value, str | int | float | None) for value in row.values())
    assert json.loads(json.dumps(row)) == row


def test_describe_says_where_a_run_stands():
    assert fake_spec("ticket", 2, 1).describe() == "ticket replicate 1 round 2"
    assert fake_spec("random_reinit", 2, 0, 3).describe() == "random_reinit replicate 0 round 2 trial 3"
