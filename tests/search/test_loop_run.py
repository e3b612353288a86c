"""The compiled loop as a search's engine: the same search, the same start, clear refusals."""

import keras
import numpy as np
import pytest
from keras import layers

import tf_lottery as lottery
from tf_lottery.training.sparse.engine import SparseEngine


def build():
    model = keras.Sequential(
        [keras.Input((64,)), layers.Dense(30, "relu", name="hidden"), layers.Dense(10, name="output")]
    )
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(0.01), loss, metrics=["accuracy"])
    return model


@pytest.fixture(scope="module")
def data(digits):
    flat = [split.x.reshape(len(split), -1) for split in (digits.train, digits.validation)]
    return {"x": flat[0], "y": digits.train.y, "validation_data": (flat[1], digits.validation.y)}


@pytest.fixture(scope="module")
def results(data):
    settings = {"rate": 0.5, "rounds": 2, "controls": 1, "rewind_to": "1ep", "verbose": 0}
    return [
        lottery.LotterySearch(build, engine=engine, **settings).fit(**data, epochs=4)
        for engine in ("loop", "fit")
    ]


def test_the_loop_finds_what_fit_finds(results, data):
    loop, fit = results
    assert loop.densities == fit.densities
    for ours, theirs in zip(loop.records, fit.records, strict=True):
        assert (ours.spec.arm, ours.spec.round) == (theirs.spec.arm, theirs.spec.round)
        assert ours.value == pytest.approx(theirs.value, abs=0.06)
        assert set(ours.history) == set(theirs.history)
        # An epoch of `fit` has one more step, of the examples that don't fill a batch.
        assert ours.epochs == theirs.epochs
    assert loop.rounds[0].value > 0.9


def test_records_say_what_a_run_spent(results, data):
    """The last batch of an epoch of `fit` may be smaller, so its examples aren't known, nor are its FLOPs."""
    for result in results:
        assert all(r.spent.steps == r.last_step - r.first_step > 0 for r in result.records)
        assert all(0 < r.effective_density <= r.density for r in result.records)
    loop, fit = (result.rounds[1] for result in results)
    assert loop.spent.examples == loop.spent.steps * 32
    assert loop.spent.flops_dense == 3 * 2 * loop.weights_total * loop.spent.examples
    assert (fit.spent.examples, fit.spent.flops_dense) == (None, None)


def test_the_sparse_engine_finds_what_the_loop_finds(results, data, monkeypatch):
    trained = []
    engine = SparseEngine.__init__

    def begin(self, *arguments):
        engine(self, *arguments)
        trained.append(self)

    monkeypatch.setattr(SparseEngine, "__init__", begin)
    settings = {"rate": 0.5, "rounds": 2, "controls": 1, "rewind_to": "1ep", "verbose": 0}
    ours = lottery.LotterySearch(build, engine="sparse", **settings).fit(**data, epochs=4)
    loop, _ = results
    assert len(trained) == 4, "two rounds and their controls; round 0 has no masks"
    assert ours.densities == loop.densities
    for mine, other in zip(ours.records, loop.records, strict=True):
        assert (mine.spec.arm, mine.spec.round) == (other.spec.arm, other.spec.round)
        assert (mine.first_step, mine.last_step) == (other.first_step, other.last_step)
        assert mine.value == pytest.approx(other.value, abs=0.03)
        assert mine.history["loss"] == pytest.approx(other.history["loss"], rel=0.05)
    masks, weights = (ours.ticket(round=2), loop.ticket(round=2))
    differing = sum(int((masks.masks[path] != weights.masks[path]).sum()) for path in masks.masks)
    assert differing < 0.02 * sum(mask.size for mask in masks.masks.values())
    dense = [result._store.weights(result.rounds[0].key) for result in (ours, loop)]
    assert all(dense[0][name].tobytes() == dense[1][name].tobytes() for name in dense[0])


def unusual(what):
    def make():
        model = build()
        optimizer = {
            "lion": lambda: keras.optimizers.Lion(0.001),
            "schedule": lambda: keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(0.01, 100)),
            "excluded": lambda: keras.optimizers.AdamW(0.01),
        }.get(what, lambda: keras.optimizers.Adam(0.01))()
        if what == "excluded":
            optimizer.exclude_from_weight_decay(var_names=["bias"])
        if what == "layer":
            model = keras.Sequential(
                [*model.layers[:1], layers.LayerNormalization(name="norm"), *model.layers[1:]]
            )
            model.build((None, 64))
        model.compile(
            optimizer, keras.losses.SparseCategoricalCrossentropy(from_logits=True), metrics=["accuracy"]
        )
        return model

    return make


@pytest.mark.parametrize(
    ("what", "named"),
    [
        ("lion", "optimizer lion"),
        ("schedule", "a learning rate that isn't a number"),
        ("excluded", "excluded from weight decay"),
        ("layer", "'norm' .LayerNormalization"),
    ],
)
def test_what_the_sparse_engine_lacks_is_refused_in_one_line(what, named, data):
    search = lottery.LotterySearch(unusual(what), rounds=1, engine="sparse", verbose=0)
    with pytest.raises(lottery.LotteryError, match=named) as caught:
        search.fit(**data, epochs=1)
    assert "engine='loop'" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_both_start_from_the_same_weights(results):
    loop, fit = (result.ticket(round=0).weights for result in results)
    states = [result._store.rewind_point(result.rounds[0].key, 0) for result in results]
    kernels = [name for name in states[0] if name.endswith("kernel")]
    assert len(kernels) == 2
    assert all((states[0][name] == states[1][name]).all() for name in kernels)
    assert loop.keys() == fit.keys()


def test_the_trained_network_is_as_good_as_the_table_says(results, data):
    loop, _ = results
    for record in loop.rounds:
        model = loop.trained(round=record.spec.round)
        _, accuracy = model.evaluate(*data["validation_data"], verbose=0)
        assert accuracy == pytest.approx(record.value, abs=1e-6)


def test_monitored_by_the_loss(data):
    search = lottery.LotterySearch(build, rounds=1, monitor="val_loss", engine="loop", verbose=0)
    result = search.fit(**data, epochs=2)
    assert result.rounds[1].value == min(result.history[1]["val_loss"])


@pytest.mark.parametrize(
    ("changes", "received"),
    [
        ({"callbacks": [keras.callbacks.EarlyStopping()]}, "callbacks"),
        ({"class_weight": {0: 1.0}}, "class_weight"),
        ({"y": "one_hot"}, "labels of shape"),
        ({"validation_data": [1, 2, 3]}, "validation_data"),
    ],
)
def test_what_the_loop_is_not_made_for_is_refused_in_one_line(data, changes, received):
    arguments = {**data, **changes}
    if isinstance(arguments["y"], str):
        arguments["y"] = np.eye(10)[data["y"]]
    with pytest.raises(lottery.LotteryError, match=f"Received: .*{received}.*engine='fit'") as error:
        lottery.LotterySearch(build, rounds=1, engine="loop", verbose=0).fit(**arguments)
    assert "\n" not in str(error.value)


def test_another_loss_or_monitor_is_refused(data):
    def regression():
        model = keras.Sequential([keras.Input((64,)), layers.Dense(1)])
        model.compile("adam", "mse")
        return model

    for model, settings, received in ((regression, {}, "mse"), (build, {"monitor": "val_auc"}, "val_auc")):
        with pytest.raises(lottery.LotteryError, match=f"Received: .*{received}"):
            lottery.LotterySearch(model, rounds=1, engine="loop", verbose=0, **settings).fit(**data)


@pytest.mark.parametrize("engine", ["loop", "sparse"])
@pytest.mark.parametrize(
    ("compiled", "received"),
    [
        ({"reduction": "sum"}, "a loss with reduction 'sum'"),
        ({"reduction": None}, "a loss with reduction None"),
        ({"loss_weights": [0.1]}, "loss_weights"),
    ],
)
def test_losses_that_arent_the_mean_are_refused(data, engine, compiled, received):
    def make():
        model, settings = build(), dict(compiled)
        weights = settings.pop("loss_weights", None)
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True, **settings)
        model.compile(keras.optimizers.Adam(0.01), loss, loss_weights=weights, metrics=["accuracy"])
        return model

    with pytest.raises(lottery.LotteryError, match=f"Received: {received}"):
        lottery.LotterySearch(make, rounds=1, engine=engine, verbose=0).fit(**data)
