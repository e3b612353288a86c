"""Searches that are kept: gone on with, repeated, damaged, of others."""

import keras
import numpy as np
import pytest

from tests import fresh
from tests.search.models import FIT, TRAIN, Spy, X, Y, search, small, with_state
from tf_lottery.errors import LotteryError
from tf_lottery.lock import held


class Interrupt(keras.callbacks.Callback):
    """Raises in the middle of a training, counted from 0."""

    def __init__(self, at):
        super().__init__()
        self.left = at

    def on_train_begin(self, logs=None):
        self.left -= 1

    def on_train_batch_end(self, batch, logs=None):
        if self.left < 0 and batch == 2:
            raise KeyboardInterrupt


def results(found):
    """What must not depend on how often a search was interrupted."""
    return [(r.key, r.history, r.epochs, r.value, r.epoch, r.digests["masks"]) for r in found.records]


def bits(found):
    """Masks and last weights, whatever Keras called the layers."""
    return [
        [
            value.tobytes()
            for part in (found._store.masks(r.key), found._store.weights(r.key))
            for value in part.values()
        ]
        for r in found.records
    ]


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A search that nothing interrupted."""
    directory = tmp_path_factory.mktemp("whole") / "new"
    return search(with_state, directory=directory, rewind_to="1ep").fit(*TRAIN, **FIT, callbacks=[Spy()])


def test_equal_seeds_give_equal_bits_and_others_do_not(whole):
    again = search(with_state, rewind_to="1ep").fit(*TRAIN, **FIT, callbacks=[Spy()])
    assert results(again) == results(whole)
    assert bits(again) == bits(whole)
    other = search(with_state, seed=1, rounds=1).fit(*TRAIN, **FIT, callbacks=[Spy()])
    assert other.history[0] != whole.history[0]


CONTINUE = """
import sys
from tests import devices
from tests.search import test_directory
from tests.search.models import FIT, TRAIN, Spy, search, with_state
spy = Spy()
if sys.argv[2:]:  # callbacks are part of what a search is, by name
    spy = type("Spy", (test_directory.Interrupt,), {})(int(sys.argv[2]))
try:
    search(with_state, directory=sys.argv[1], rewind_to="1ep").fit(*TRAIN, **FIT, callbacks=[spy])
    print("trained", len(spy.begun))
except KeyboardInterrupt:
    print("interrupted")
"""


def in_a_fresh_process(*arguments):
    return fresh.check(*arguments, script=CONTINUE).strip()


def test_an_interrupted_search_goes_on_to_the_same_records(whole, tmp_path):
    class Spy(Interrupt):  # of the same name: callbacks are part of what a search is
        pass

    with pytest.raises(KeyboardInterrupt):
        search(with_state, directory=tmp_path, rewind_to="1ep").fit(*TRAIN, **FIT, callbacks=[Spy(2)])
    from tests.search.models import Spy

    spy = Spy()
    found = search(with_state, directory=tmp_path, rewind_to="1ep").fit(*TRAIN, **FIT, callbacks=[spy])
    assert len(spy.begun) == 1  # no finished round is trained again
    assert results(found) == results(whole)
    assert bits(found) == bits(whole)
    # More rounds go on from the last.
    more = search(with_state, directory=tmp_path, rewind_to="1ep", rounds=3).fit(
        *TRAIN, **FIT, callbacks=[spy]
    )
    assert len(spy.begun) == 2
    assert [r.weights_remaining for r in more.rounds] == [740, 370, 185, 93]
    assert results(more)[:3] == results(whole)


@pytest.mark.slow
def test_a_fresh_process_goes_on_to_the_same_records(tmp_path):
    # All in processes of their own: what other tests set in this one (determinism, XLA) changes bits.
    assert in_a_fresh_process(tmp_path / "whole") == "trained 3"
    assert in_a_fresh_process(tmp_path / "new", 2) == "interrupted"
    assert in_a_fresh_process(tmp_path / "new") == "trained 1"
    spy = Spy()
    whole, found = (
        search(with_state, directory=tmp_path / name, rewind_to="1ep").fit(*TRAIN, **FIT, callbacks=[spy])
        for name in ("whole", "new")
    )
    assert not spy.begun
    assert results(found) == results(whole)
    assert bits(found) == bits(whole)


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    """A finished search of one round, to be copied."""
    directory = tmp_path_factory.mktemp("kept")
    search(rounds=1, directory=directory).fit(*TRAIN, **{**FIT, "epochs": 1})
    return directory


def wider():
    model = keras.Sequential(
        [keras.Input((64,)), keras.layers.Dense(11, "relu"), keras.layers.Dense(10, "softmax")]
    )
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"], jit_compile=False)
    return model


def rather_tanh():
    model = small()
    model.get_layer("hidden").activation = keras.activations.tanh
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"], jit_compile=False)
    return model


def smoothed():
    model = small()
    model.compile(
        "adam",
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
        jit_compile=False,
    )
    return model


@pytest.mark.parametrize(
    ("settings", "fit", "differs"),
    [
        ({"rate": 0.4}, {}, "pruning"),
        ({"scope": "global"}, {}, "pruning"),
        ({"min_density": 0.1}, {}, "pruning"),
        ({"rewind_to": "1it"}, {}, "rewind"),
        ({"seed": 1}, {}, "seed"),
        ({"monitor": "val_loss"}, {}, "monitor"),
        ({"include": "hidden"}, {}, "network"),
        ({"model": wider}, {}, "network"),
        ({"model": rather_tanh}, {}, "network"),
        ({"model": smoothed}, {}, "network"),
        ({"model": lambda: small(keras.optimizers.Adam(0.1))}, {}, "network"),
        ({}, {"batch_size": 16}, "fit"),
        ({}, {"epochs": 2}, "fit"),
        ({}, {"class_weight": dict.fromkeys(range(10), 2.0)}, "fit"),
        ({}, {"validation_freq": 1}, "fit"),
        ({}, {"callbacks": [keras.callbacks.TerminateOnNaN()]}, "fit"),
        ({}, {"x": TRAIN[0] * 2}, "data"),
        ({}, {"sample_weight": np.ones(128)}, "data"),
    ],
)
def test_another_searchs_directory_is_refused(kept, settings, fit, differs):
    arguments = {"x": TRAIN[0], "y": TRAIN[1], **FIT, "epochs": 1} | fit
    with pytest.raises(LotteryError) as caught:
        search(directory=kept, **{"rounds": 1, **settings}).fit(**arguments)
    assert "\n" not in str(caught.value)
    assert str(caught.value).endswith(
        f" holds another search, which differs in {differs}. Use another directory."
    )


def again(directory, **settings):
    """The search of `kept`, with how many trainings it took."""

    trained = []
    found = search(directory=directory, **{"rounds": 1, **settings})
    learn, runner = found._runner, None

    def watched(*arguments):
        nonlocal runner
        runner = learn(*arguments)
        run = runner.run
        runner.run = lambda spec: (run(spec), trained.append(spec.round))[0]
        return runner

    found._runner = watched
    return found.fit(*TRAIN, **{**FIT, "epochs": 1}), trained


def copied(kept, tmp_path):
    import shutil

    shutil.copytree(kept, tmp_path / "copy")
    return tmp_path / "copy"


@pytest.mark.slow
def test_numpy_numbers_and_controls_added_later_go_on(kept, tmp_path):
    directory = copied(kept, tmp_path)
    found, trained = again(directory)
    assert trained == []
    found, trained = again(directory, controls=1)
    assert trained == [1]
    assert [r.spec.arm for r in found.records] == ["ticket", "ticket", "random_reinit"]
    arguments = {**FIT, "epochs": 1, "batch_size": np.int64(32)}
    assert len(search(directory=directory, rounds=1).fit(*TRAIN, **arguments).records) == 2


@pytest.mark.parametrize(
    ("round", "name", "trains"),
    [
        (1, "record.json", [1]),
        pytest.param(0, "masks.npz", [0], marks=pytest.mark.exhaustive),
        (0, "rewind/0it.npz", [0]),
        pytest.param(0, "record.json", [0], marks=pytest.mark.exhaustive),
    ],
)
def test_a_damaged_file_is_set_aside_and_its_run_trained_again(kept, tmp_path, round, name, trains):
    directory = copied(kept, tmp_path)
    whole, _ = again(directory)
    path = directory / "runs" / whole.rounds[round].key[:16] / name
    damaged = bytearray(path.read_bytes())
    damaged[len(damaged) // 2] ^= 1
    path.write_bytes(damaged)
    found, trained = again(directory, rounds=2)
    # What needs the file notices: the next round's masks, weights that it rewinds to.
    assert trained in ([*trains, 2], [2])
    assert results(found)[:2] == results(whole)
    assert len(found.records) == 3
    if trained != [2]:
        assert len(list((directory / "damaged").iterdir())) == 1


def test_two_searches_on_one_directory_are_refused(tmp_path):
    with held(tmp_path / ".lock") as mine:
        assert mine
        with pytest.raises(LotteryError) as caught:
            search(rounds=1, directory=tmp_path).fit(*TRAIN, **FIT)
    expected = f"{tmp_path} is in use by another search. Stop that search first."
    assert str(caught.value) == expected


def test_a_directory_of_something_else_is_refused_and_left_alone(tmp_path):
    (tmp_path / "thesis.tex").write_text("x")
    with pytest.raises(LotteryError) as caught:
        search(directory=tmp_path).fit(*TRAIN, **FIT)
    assert "isn't a search's directory: it holds thesis.tex. Use a new or empty" in str(caught.value)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]
    with pytest.raises(LotteryError, match="directory"):
        search(directory=tmp_path / "thesis.tex").fit(*TRAIN, **FIT)


def test_a_damaged_search_file_is_refused(kept, tmp_path):
    directory = copied(kept, tmp_path)
    file = directory / "search.json"
    for text in ("", "{", "[]", file.read_text().replace('"seed": 0', '"seed": 3')):
        file.write_text(text)
        with pytest.raises(LotteryError, match="fails its checksum.*Use another directory") as caught:
            search(rounds=1, directory=directory).fit(X, Y, validation_split=0.2)
        assert "\n" not in str(caught.value)


class Unnamed(keras.Model):
    """Its layers have the numbers that Keras gives them."""

    def __init__(self):
        super().__init__()
        self.parts = [keras.layers.Dense(10, bias_initializer="normal") for _ in range(3)]

    def build(self, shape):
        for part, width in zip(self.parts, (64, 10, 10), strict=True):
            part.build((None, width))
        super().build(shape)

    def call(self, x):
        for part in self.parts:
            x = part(x)
        return x


def unnamed():
    model = Unnamed()
    model.build((None, 64))
    model.compile(
        "adam",
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
        jit_compile=False,
    )
    return model


@pytest.mark.slow
def test_trained_networks_of_runs_whose_layers_had_other_numbers(tmp_path):
    first = search(unnamed, rounds=1, directory=tmp_path).fit(*TRAIN, **{**FIT, "epochs": 1})
    for _ in range(9):
        keras.layers.Dense(1)
    found = search(unnamed, rounds=2, directory=tmp_path).fit(*TRAIN, **{**FIT, "epochs": 1})
    assert results(found)[:2] == results(first)
    for round in (1, 2):
        kept = found._store.weights(found.rounds[round].key, "early_stop")
        trained = found.trained(round=round)
        for value, expected in zip(trained.get_weights(), kept.values(), strict=True):
            assert (value == expected).all()


def numbered():
    model = keras.Sequential([keras.Input((64,)), keras.layers.Dense(10, "relu"), keras.layers.Dense(10)])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile("adam", loss, metrics=["accuracy"], jit_compile=False)
    return model


def test_tickets_of_runs_whose_layers_have_other_numbers_than_the_dense_runs(tmp_path):
    fit = {**FIT, "epochs": 1}
    first = search(numbered, rounds=1, directory=tmp_path).fit(*TRAIN, **fit)
    theta_0 = list(first.ticket(round=0).weights.values())
    keras.layers.Dense(1)
    ticket = search(numbered, rounds=2, directory=tmp_path).fit(*TRAIN, **fit).ticket(round=2)
    assert not ticket.masks.keys() & first.ticket(round=1).masks.keys(), "numbers differ"
    assert ticket.masks.keys() <= ticket.weights.keys() == ticket.trained.keys()
    for (path, value), original in zip(ticket.weights.items(), theta_0, strict=True):
        kernel_mask = ticket.masks.get(path, np.ones(value.shape, bool))
        assert (value == np.where(kernel_mask, original, 0)).all()


def test_a_damaged_dense_run_begins_from_the_weights_that_the_search_began_with(tmp_path):
    first = search(small(), directory=tmp_path / "new", rounds=1).fit(*TRAIN, **FIT)
    start = first.ticket(round=0).weights["hidden/kernel"]
    (tmp_path / "new/runs" / first.records[0].key[:16] / "weights_last.npz").write_bytes(b"junk")
    keras.utils.set_random_seed(17)  # searches leave seeds behind, and earlier tests may have left the same
    other = small()
    assert (other.get_layer("hidden").kernel.numpy() != start).any()
    again = search(other, directory=tmp_path / "new", rounds=2).fit(*TRAIN, **FIT)
    assert again.theta_0 == "the weights that the search began with, kept in its directory"
    assert (again.ticket(round=0).weights["hidden/kernel"] == start).all()
    (tmp_path / "new/theta_0.npz").write_bytes(b"junk")
    with pytest.raises(LotteryError, match="Received: .*theta_0.npz"):
        search(other, directory=tmp_path / "new", rounds=2).fit(*TRAIN, **FIT)


def test_a_trained_control_is_had_as_well_as_a_ticket(tmp_path):
    result = search(small, rounds=1, controls=2).fit(*TRAIN, **FIT)
    controls = [record for record in result.records if record.spec.arm == "random_reinit"]
    for index, record in enumerate(controls):
        _, accuracy = result.trained(round=1, control=index).evaluate(*FIT["validation_data"], verbose=0)
        assert accuracy == pytest.approx(record.value, abs=1e-6)
    with pytest.raises(LotteryError, match="Expected one of the 2 controls of round 1.*Received: 2"):
        result.trained(round=1, control=2)
