"""Rules and settings: XLA, threads, strategies, optimizers, losses."""

import numpy as np
import pytest

from tests.training.trainings import trainer
from tf_lottery.config import ModelConfig, TrainingConfig
from tf_lottery.errors import LotteryError
from tf_lottery.training import compile_rule, optimizers, strategy


def network(name):
    return ModelConfig(build=f"tests.training.networks:{name}")


@pytest.mark.parametrize(
    ("model", "setting", "xla"),
    [
        (None, "auto", True),
        (network("convolutional"), "auto", False),
        (network("with_dropout"), "auto", True),
        (network("convolutional"), True, True),
        (None, False, False),
    ],
)
def test_xla_on_a_processor_unless_convolutions(digits, model, setting, xla):
    assert trainer(digits, model, xla=setting).resolved["xla"] is xla


def test_xla_everywhere_on_other_devices_and_never_on_several_replicas(digits):
    model = trainer(digits, network("convolutional")).model
    assert compile_rule.use_xla(model, "auto", "GPU", 1) is True
    assert compile_rule.use_xla(model, "auto", "GPU", 2) is False
    with pytest.raises(LotteryError, match="several replicas"):
        compile_rule.use_xla(model, True, "CPU", 2)


def test_another_number_of_threads_than_the_process_has_is_refused():
    compile_rule.configure(TrainingConfig(threads=1))
    with pytest.raises(
        LotteryError, match="training.threads is 2, but TensorFlow has already started with 1"
    ):
        compile_rule.configure(TrainingConfig(threads=2))


def test_another_float_type_of_keras_is_refused(monkeypatch):
    monkeypatch.setattr("keras.config.floatx", lambda: "float64")
    with pytest.raises(LotteryError, match=r"keras.config.floatx\(\) to be float32. Received: float64"):
        compile_rule.configure(TrainingConfig())


def test_a_loss_of_single_probabilities_takes_sigmoid_outputs(digits):
    model = network("sigmoid")
    assert trainer(digits, model, loss="binary_crossentropy", from_logits=False).evaluate["test"]()[0] > 0
    with pytest.raises(LotteryError, match="Expected a training.loss that takes class labels.*'ctc'"):
        trainer(digits, loss="ctc")


def test_a_model_of_several_inputs_is_refused(digits):
    with pytest.raises(LotteryError, match=r"inputs of shape \(None, 8, 8, 1\)"):
        trainer(digits, network("two_inputs"))


def test_an_unknown_strategy_is_refused():
    with pytest.raises(LotteryError, match="one_device.*Received: 'tpus'"):
        strategy.make("tpus")


@pytest.mark.parametrize(
    ("settings", "received"),
    [
        ({"optimizer": "adamm"}, "adamm"),
        ({"optimizer": "Muon"}, "muon"),
        ({"optimizer": "ScheduleFreeAdamW"}, "schedulefreeadamw"),
        ({"optimizer_options": {"learning_rate": 0.1}}, "optimizer_options.learning_rate"),
        ({"optimizer": "adam", "optimizer_options": {"momentun": 0.9}}, "momentun"),
    ],
)
def test_optimizers_that_do_not_work_are_refused_in_one_line(settings, received):
    with pytest.raises(LotteryError, match=f"Expected .*{received}") as error:
        optimizers.make_optimizer(TrainingConfig(**settings))
    assert "\n" not in str(error.value)


def test_a_loss_without_sparse_labels_gets_them_one_hot():
    labels, outputs = np.array([0, 2]), np.array([[2.0, 0, 0], [0, 0, 1.0]], np.float32)
    sparse = optimizers.make_loss(TrainingConfig(), 3)(labels, outputs)
    dense = optimizers.make_loss(TrainingConfig(loss="categorical_crossentropy"), 3)(labels, outputs)
    assert np.allclose(sparse, dense)
    squared = optimizers.make_loss(TrainingConfig(loss="mean_squared_error"), 3)(labels, outputs)
    assert np.allclose(squared, [1 / 3, 0])


@pytest.mark.parametrize("loss", ["crossentropy", "Adam", ""])
def test_an_unknown_loss_is_refused(loss):
    with pytest.raises(LotteryError, match="Expected .*Keras loss"):
        optimizers.make_loss(TrainingConfig(loss=loss), 3)


def test_probabilities_taken_for_logits_are_refused_and_the_reverse(digits):
    with pytest.raises(LotteryError, match="Received: probabilities. Set training.from_logits=false"):
        trainer(digits, network("probabilities"))
    assert trainer(digits, network("probabilities"), from_logits=False).evaluate["test"]()[0] > 0
    with pytest.raises(LotteryError, match="Received: logits. Set training.from_logits=true"):
        trainer(digits, from_logits=False)
