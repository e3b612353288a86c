import keras
import numpy as np
import pytest
from keras import layers

import tf_lottery as lottery


class Subclassed(keras.Model):
    def __init__(self):
        super().__init__()
        self.dense = layers.Dense(3)

    def call(self, x):
        return self.dense(x)


def nested_and_shared():
    inputs = keras.Input((4,))
    shared = layers.Dense(4, "relu", name="shared")
    block = keras.Sequential([keras.Input((4,)), layers.Dense(4, name="inner")], name="block")
    return keras.Model(inputs, layers.Dense(2, name="output")(block(shared(shared(inputs)))))


def test_nested_and_shared_layers_are_found_once_and_compute_the_same():
    plain = nested_and_shared()
    model = lottery.make_prunable(plain)
    x = np.random.default_rng(0).normal(size=(5, 4)).astype(np.float32)
    assert set(lottery.get_masks(model)) == {"shared/kernel", "block/inner/kernel", "output/kernel"}
    assert (model(x).numpy() == plain(x).numpy()).all()


def test_strip_gives_a_plain_model_with_equal_outputs_and_zeros_baked_in(tmp_path):
    model = lottery.make_prunable(nested_and_shared())
    lottery.prune(model, rate=0.5)
    plain = lottery.strip(model)
    x = np.random.default_rng(0).normal(size=(5, 4)).astype(np.float32)
    assert (plain(x).numpy() == model(x).numpy()).all()
    assert np.count_nonzero(plain.get_layer("shared").kernel) == 8
    assert not any("mask" in variable.path for variable in plain.variables)
    plain.save(tmp_path / "plain.keras")
    assert "tf_lottery" not in keras.models.load_model(tmp_path / "plain.keras").to_json()


def test_compile_settings_are_carried_over():
    plain = nested_and_shared()
    plain.compile(keras.optimizers.Adam(0.007), "mse", metrics=["mae"])
    model = lottery.make_prunable(plain)
    assert model.compiled
    assert float(model.optimizer.learning_rate) == pytest.approx(0.007)
    assert model.loss == "mse"


def test_training_goes_on_after_conversion_as_it_would_have_in_the_plain_model():
    x, y = np.random.default_rng(0).normal(size=(2, 32, 4)).astype(np.float32)
    y = y[:, :2]
    plain = nested_and_shared()
    plain.compile(keras.optimizers.Adam(0.01), "mse")
    plain.fit(x, y, epochs=2, shuffle=False, verbose=0)
    model = lottery.make_prunable(plain)
    assert int(model.optimizer.iterations) == int(plain.optimizer.iterations) > 0
    for network in (plain, model):
        network.fit(x, y, epochs=2, shuffle=False, verbose=0)
    for ours, theirs in zip(model.trainable_variables, plain.trainable_variables, strict=True):
        assert ours.numpy().tobytes() == theirs.numpy().tobytes()
    stripped = lottery.strip(model)
    assert int(stripped.optimizer.iterations) == int(model.optimizer.iterations)


def test_a_loss_that_keras_could_not_read_from_a_file_is_carried_over():
    def my_loss(y, outputs):
        return keras.ops.mean(outputs - y)

    plain = nested_and_shared()
    plain.compile("adam", my_loss, metrics=[keras.metrics.MeanAbsoluteError(name="error")])
    model = lottery.make_prunable(plain)
    history = model.fit(np.ones((4, 4)), np.ones((4, 2)), verbose=0).history
    assert set(history) == {"loss", "error"}
    assert model.loss is my_loss


def test_weights_that_stay_dense_are_named():
    class Own(layers.Layer):
        def build(self, shape):
            self.matrix = self.add_weight(shape=(shape[-1], 3), name="matrix")

        def call(self, x):
            return x @ self.matrix

    with pytest.warns(UserWarning, match="stay dense: own/matrix. Declare"):
        lottery.make_prunable(keras.Sequential([keras.Input((2,)), Own(name="own"), layers.Dense(2)]))


def test_a_model_with_a_layer_that_keras_cannot_copy_is_made_prunable_in_place():
    class WithoutConfig(layers.Layer):
        def __init__(self, dense):
            super().__init__()
            self.dense = dense

        def call(self, x):
            return self.dense(x)

        def get_config(self):
            raise NotImplementedError

    plain = keras.Sequential([keras.Input((4,)), WithoutConfig(layers.Dense(3)), layers.Dense(2)])
    x = np.ones((3, 4), np.float32)
    before = plain(x).numpy()
    model = lottery.make_prunable(plain)
    assert model is plain
    assert len(lottery.get_masks(model)) == 2
    assert (model(x).numpy() == before).all()


def test_frozen_layers_stay_frozen():
    plain = nested_and_shared()
    plain.get_layer("shared").trainable = False
    model = lottery.make_prunable(plain)
    assert [v.path.split("/")[-2] for v in model.trainable_variables if v.name == "kernel"] == [
        "inner",
        "output",
    ]


def built_subclass():
    model = Subclassed()
    model(np.zeros((1, 2), np.float32))
    return model


@pytest.mark.parametrize(
    ("make", "received"),
    [
        (lambda: 3, "int"),
        (lambda: keras.Sequential([layers.Dense(3)]), "not built"),
        (lambda: lottery.make_prunable(nested_and_shared()), "already prunable"),
        (lambda: keras.Sequential([keras.Input((3,)), layers.ReLU()]), "ReLU"),
        (lambda: Subclassed(), "not built"),
        (lambda: lottery.make_prunable(built_subclass()), "already prunable"),
    ],
)
def test_what_cannot_be_made_prunable_is_refused_in_one_line(make, received):
    with pytest.raises(lottery.LotteryError, match=f"Expected .*Received: .*{received}") as error:
        lottery.make_prunable(make())
    assert "\n" not in str(error.value)


def test_a_plain_model_is_refused_where_a_prunable_one_is_needed():
    for call in (lottery.strip, lottery.get_masks, lottery.sparsity, lottery.prune):
        with pytest.raises(lottery.LotteryError, match="make_prunable"):
            call(nested_and_shared())


def test_an_activation_that_has_the_name_of_another_is_carried_over():
    from tests.training.networks import own_relu

    model = own_relu((8, 8, 1), 3)
    x = np.random.default_rng(0).normal(size=(5, 8, 8, 1)).astype(np.float32)
    copy = lottery.make_prunable(model)
    assert copy(x).numpy().tobytes() == model(x).numpy().tobytes()
    assert lottery.strip(copy)(x).numpy().tobytes() == model(x).numpy().tobytes()


def test_another_backend_of_keras_is_refused(monkeypatch):
    plain = nested_and_shared()
    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    for call in (lottery.make_prunable, lottery.LotterySearch, lottery.freeze_zeros):
        with pytest.raises(lottery.LotteryError, match="Expected Keras on TensorFlow.*Received: jax"):
            call(plain)
