"""Studies of networks that Keras can't copy: trained in place, to the same bits as one that it can."""

import keras
import numpy as np
import pytest

from tests.drivers.test_run_study import SETTINGS, results, study
from tests.runs.test_resume import interrupted
from tests.training.trainings import trainer
from tf_lottery import arrays
from tf_lottery.config import ModelConfig
from tf_lottery.drivers.run_study import run_study
from tf_lottery.errors import LotteryError
from tf_lottery.exports.export import export
from tf_lottery.exports.trained import trained_run
from tf_lottery.layers.in_place import held_in_place
from tf_lottery.paths import StudyPaths

TWO_ROUNDS = {"pruning__rounds": 2, "arms": {"ticket": {}, "random_reinit": {"rounds": [2]}}}


def of(builder, **changes):
    return study(model={"build": f"tests.training.uncopyable:{builder}"}, **TWO_ROUNDS | changes)


def weights(records, directory):
    runs = [StudyPaths(directory).run(record.key) for record in records]
    return [arrays.digest(arrays.load(path)) for run in runs for path in (run.weights_last, run.masks)]


@pytest.fixture(scope="module")
def copied(tmp_path_factory):
    """What a study of the network gives that Keras can copy."""
    directory = tmp_path_factory.mktemp("copied") / "study"
    return weights(run_study(of("copyable"), directory), directory)


@pytest.mark.parametrize("builder", ["no_config", "no_keywords"])
def test_a_network_that_keras_cannot_copy_is_trained_to_the_same_bits(builder, copied, digits, tmp_path):
    assert held_in_place(trainer(digits, of(builder).model, **SETTINGS["training"]).model)
    records = run_study(of(builder), tmp_path / "study")
    assert [r.spec.arm for r in records] == ["ticket", "ticket", "ticket", "random_reinit"]
    assert weights(records, tmp_path / "study") == copied
    assert records[-1].weights_remaining == records[-2].weights_remaining < records[0].weights_remaining


def test_it_goes_on_where_it_stopped_to_the_same_bits(tmp_path):
    training = {"steps": "300it", "evaluate_every": "120it", "learning_rate": 0.01, "xla": False}
    run_study(of("no_config", training=training), tmp_path / "whole/study")
    kept = of("no_config", training=training, storage={"checkpoint_every": "50it"})
    starts = interrupted(kept, tmp_path / "interrupted/study", [200, 100])
    assert [first for *_, first in starts if first]
    assert results(tmp_path / "interrupted/study") == results(tmp_path / "whole/study")


def test_tied_weights_stay_tied(digits, tmp_path):
    records = run_study(of("tied"), tmp_path / "study")
    run = StudyPaths(tmp_path / "study").run(records[2].key)
    mask = arrays.load(run.masks)["encoder/kernel"]
    assert 0 < mask.sum() < mask.size
    found = arrays.load(run.weights_early_stop)
    kernel, bias = found["model/encoder/kernel"], found["model/encoder/bias"]
    assert not kernel[~mask].any()
    x = digits.test.x.reshape(len(digits.test), -1)
    decoded = np.maximum(x @ kernel + bias, 0) @ kernel.T
    outputs = decoded @ found["model/output/kernel"] + found["model/output/bias"]
    correct = np.mean(outputs.argmax(axis=1) == digits.test.y)
    assert correct == pytest.approx(records[2].early_stop_test_accuracy, abs=1e-6)
    exported = trained_run(StudyPaths(tmp_path / "study"), 2, build="tests.training.uncopyable:tied").model
    np.testing.assert_allclose(exported(digits.test.x), outputs, atol=1e-4)


def test_its_architecture_is_the_same_each_time_and_another_network_s_is_another(digits):
    def found(builder):
        config = ModelConfig(build=f"tests.training.uncopyable:{builder}")
        return trainer(digits, config, **SETTINGS["training"]).resolved["architecture"]

    assert found("no_config") == found("no_config")
    assert len({found(builder) for builder in ("no_config", "no_keywords", "copyable", "small")}) == 4


def test_a_builder_that_returns_the_same_model_again_is_refused(tmp_path):
    with pytest.raises(
        LotteryError, match="a builder that returns a new model each time.*no settings"
    ) as said:
        run_study(of("same_again"), tmp_path / "study")
    assert "\n" not in str(said.value)


@pytest.mark.slow
def test_its_rounds_are_exported_or_refused_in_one_line(digits, tmp_path):
    run_study(of("no_config"), tmp_path / "study")
    run = trained_run(StudyPaths(tmp_path / "study"), 2, build="tests.training.uncopyable:no_config")
    settings = {"test_data": (digits.test.x, digits.test.y), "latency": False}
    export(run.model, tmp_path / "saved", "savedmodel", **settings)
    loaded = keras.layers.TFSMLayer(tmp_path / "saved", call_endpoint="serving_default")
    (outputs,) = loaded(digits.test.x).values()
    np.testing.assert_allclose(outputs, run.model(digits.test.x), atol=1e-5)
    with pytest.raises(LotteryError, match="Expected a model that Keras can copy") as said:
        export(run.model, tmp_path / "compact.keras", "compact", **settings)
    assert "\n" not in str(said.value)
