"""`LotteryTuner`: what it finds, how it goes on, what it refuses."""

import gc
import json
import math
import weakref
from types import SimpleNamespace

import keras
import keras_tuner
import numpy as np
import pytest
from keras import layers

import tf_lottery as lottery
from tests.search.models import TABLE, TARGET, TRAIN, VALIDATION
from tf_lottery.errors import LotteryError, StudyError
from tf_lottery.lock import held
from tf_lottery.paths import StudyPaths
from tf_lottery.search.record import SearchStore
from tf_lottery.tuning.blueprint import Blueprint
from tf_lottery.tuning.oracle import Asker
from tf_lottery.tuning.search_result import SearchTune

BUILT = weakref.WeakSet()
TOLERANCE = 0.1
STEPS = 2


class Counted(keras.callbacks.Callback):
    """Counts trainings, and interrupts one of them."""

    def __init__(self, interrupts=None):
        super().__init__()
        self.begun, self._interrupts = 0, interrupts

    def on_train_begin(self, logs=None):
        self.begun += 1

    def on_train_batch_end(self, batch, logs=None):
        if self.begun == self._interrupts:
            raise KeyboardInterrupt


def build(hp):
    hidden = layers.Dense(hp.Choice("units", [8, 12, 16, 20]), "relu")
    model = keras.Sequential([keras.Input((64,)), hidden, layers.Dense(10, "softmax")])
    optimizer = keras.optimizers.Adam(0.01)
    model.compile(optimizer, "sparse_categorical_crossentropy", metrics=["accuracy"], run_eagerly=True)
    BUILT.add(model)
    return model


def settings(hp):
    return {"rate": hp.Float("rate", 0.3, 0.7), "rounds": 2}


def tuner(hypermodel=build, search=settings, **arguments):
    standard = {"tolerance": TOLERANCE, "oracle": "random", "candidates": 3, "verbose": 0}
    return lottery.LotteryTuner(hypermodel, search, **standard | arguments)


def fit(tuner, callback=None, **arguments):
    standard = {"validation_data": VALIDATION, "epochs": 1, "batch_size": 64}
    return tuner.search(*TRAIN, callbacks=[callback or Counted()], **standard | arguments)


def records(tried):
    """The records of a candidate's search, by round."""
    found = SearchStore(StudyPaths(tried.directory)).records()
    return sorted(found, key=lambda record: record.spec.round)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A tuning of two candidates, and then of three; and what both trained."""
    BUILT.clear()
    counted, directory = Counted(), tmp_path_factory.mktemp("whole") / "new"
    first = fit(tuner(directory=directory, candidates=2), counted)
    made = tuner(directory=directory)
    result = fit(made, counted)
    gc.collect()
    return SimpleNamespace(
        alive=len(BUILT),
        tuner=made,
        first=first,
        after_two=first.summary(),
        result=result,
        counted=counted,
        trained=counted.begun,
    )


def test_the_first_candidate_has_the_defaults_and_the_others_are_drawn(whole):
    values = [each.values for each in whole.result.tried]
    assert values[0] == {"units": 8, "rate": 0.3}
    assert len({json.dumps(each) for each in values}) == 3
    for each in values:
        assert each["units"] in (8, 12, 16, 20)
        assert 0.3 <= each["rate"] <= 0.7
        assert float(f"{each['rate']:.4g}") == each["rate"]
    assert whole.result.ended == "3 candidates were tried"


def test_each_candidate_is_its_own_search(whole):
    for tried in whole.result.tried:
        rounds = records(tried)
        total = 64 * tried.values["units"] + tried.values["units"] * 10
        assert rounds[0].weights_total == total
        kept = [math.floor(size * tried.values["rate"]) for size in (total * 64 // 74, total * 10 // 74)]
        assert abs(total - sum(kept) - rounds[1].weights_remaining) <= 2  # each layer rounds


def test_the_objective_is_what_the_records_say(whole):
    reference = records(whole.result.tried[0])[0].value
    for tried in whole.result.tried:
        rounds = [(r.density, r.value) for r in records(tried)]
        needed = max(rounds[0][1], reference) - TOLERANCE - 1e-12
        last = 0
        while last + 1 < len(rounds) and rounds[last + 1][1] >= needed:
            last += 1
        assert (tried.outcome.ticket.round if tried.outcome.ticket else 0) == last
        expected = math.log(rounds[last][0])
        if last + 1 < len(rounds):  # accuracy falls below what is needed in between
            (above, before), (below, after) = rounds[last], rounds[last + 1]
            share = min(1, max(0, (before - needed) / (before - after))) if before > after else 0
            expected = (1 - share) * math.log(above) + share * math.log(below)
        cost = STEPS * (max(last, 1) + 1)
        assert math.log(tried.outcome.value) == pytest.approx(expected)
        assert tried.outcome.cost == cost
        assert tried.score == pytest.approx(expected + 0.5 * math.log(cost))
        assert len(rounds) in (3, last + 2)  # no round is trained after the first that fails


def test_the_best_come_first_and_have_tickets(whole):
    ranked = whole.result.ranked
    assert ranked
    assert [each.score for each in ranked] == sorted(each.score for each in ranked)
    assert {each.number for each in ranked} == {e.number for e in whole.result.tried if e.outcome.ticket}
    best = whole.tuner.get_best_hyperparameters(9)
    assert [each.values for each in best] == [each.values for each in ranked]
    assert best[0].get("units") == ranked[0].values["units"]


def test_tickets_and_models_are_those_of_the_records_and_nothing_is_trained_for_them(whole):
    tickets, (model, *_) = whole.tuner.get_best_tickets(2), whole.tuner.get_best_models(2)
    assert len(tickets) == min(2, len(whole.result.ranked))
    for ticket, tried in zip(tickets, whole.result.ranked, strict=False):
        assert ticket.density == tried.outcome.ticket.density
        assert ticket.provenance["round"] == tried.outcome.ticket.round
    kernels = [np.asarray(layer.kernel) for layer in model.layers]
    assert type(model.layers[0]) is layers.Dense
    kept = sum(np.count_nonzero(kernel) for kernel in kernels) / sum(kernel.size for kernel in kernels)
    assert kept == pytest.approx(tickets[0].density)
    right = np.mean(np.argmax(model(VALIDATION[0]), -1) == VALIDATION[1])
    assert right == pytest.approx(whole.result.best.outcome.ticket.accuracy)
    assert whole.counted.begun == whole.trained


def test_no_model_is_held_in_memory(whole):
    assert whole.alive == 0


def test_the_summary_has_a_row_for_each_candidate(whole, capsys):
    whole.tuner.results_summary()
    lines = capsys.readouterr().out.splitlines()
    columns = "# units rate matches to round density val_accuracy dense steps score"
    assert " ".join(lines[0].split()) == columns
    assert lines[1].split()[:2] == ["*", str(whole.result.best.number)]
    assert lines[4].startswith("* Best candidate, units ")
    whole.tuner.results_summary(1)
    assert "... and 2 more of 3 candidates." in capsys.readouterr().out


def test_an_interrupted_tuning_goes_on_in_the_middle_of_a_candidate(whole, tmp_path):
    first, second = Counted(len(records(whole.result.tried[0])) + 2), Counted()
    with pytest.raises(KeyboardInterrupt):
        fit(tuner(directory=tmp_path, candidates=2), first)
    found = fit(tuner(directory=tmp_path, candidates=2), second)
    assert found.tried[1].outcome == whole.result.tried[1].outcome
    assert found.summary() == whole.after_two
    trained = sum(len(records(each)) for each in found.tried)
    assert first.begun + second.begun == trained + 1  # only the run in progress began anew


def test_more_candidates_go_on_from_the_last(whole):
    assert "2 candidates were tried" in whole.first.ended
    assert [each.values for each in whole.result.tried[:2]] == [each.values for each in whole.first.tried]
    assert whole.trained == sum(len(records(each)) for each in whole.result.tried)


def test_a_candidate_that_fails_sinks_nothing_and_is_not_tried_again(tmp_path):
    calls = []

    def fragile(hp):
        units, rate = hp.Choice("units", [8, -1, 12]), 0.01
        calls.append(units)
        if units == 12:
            rate = hp.Choice("learning_rate", [1e38, 0.01])  # only asked for here
        hidden = layers.Dense(units, "relu")
        model = keras.Sequential([keras.Input((64,)), hidden, layers.Dense(10, "softmax")])
        model.compile(keras.optimizers.SGD(rate), "sparse_categorical_crossentropy", run_eagerly=True)
        return model

    def tune():
        made = tuner(fragile, {"rounds": 1}, oracle="grid", directory=tmp_path, candidates=9, tolerance=9.0)
        return fit(made)

    found = tune()
    assert [each.values["units"] for each in found.tried] == [8, -1, 12, 12]
    assert [bool(each.failure) for each in found.tried] == [False, True, True, False]
    assert "positive integer" in found.tried[1].failure
    assert "diverged" in found.tried[2].failure
    assert found.ended == "the ranges hold no more candidates"
    assert "Candidate 1 failed: ValueError: " in found.summary()
    assert found.best.number in (0, 3)
    calls.clear()
    assert tune().summary() == found.summary()
    assert -1 not in calls


def test_a_loss_is_compared_in_its_own_units(tmp_path):
    def table(hp):
        model = keras.Sequential([keras.Input((10,)), layers.Dense(hp.Choice("units", [4, 8]), "relu")])
        model.add(layers.Dense(1))
        model.compile(keras.optimizers.Adam(0.01), "mse", run_eagerly=True)
        return model

    made = tuner(table, {"rate": 0.5}, objective={"accuracy_at": 0.3}, tolerance=None, candidates=1)
    found = made.search(TABLE, TARGET, validation_split=0.2, epochs=1, batch_size=48)
    assert (found.monitor, found.mode, len(found.tried)) == ("val_loss", "min", 1)
    for tried in found.tried:
        rounds = [(r.density, r.value) for r in records(tried)]
        assert [density for density, _ in rounds] == [1, 0.5, 0.25]  # no further than is needed
        share = math.log(0.3 / 0.5) / math.log(0.25 / 0.5)
        loss = rounds[1][1] + share * (rounds[2][1] - rounds[1][1])
        assert -tried.outcome.value == pytest.approx(loss)
        assert tried.score == pytest.approx(math.log(loss) + 0.5 * math.log(3 * STEPS))
        assert f"{loss:.4g}" in found.summary()
    assert made.get_best_tickets(1)[0].density == 0.25


class Model(keras_tuner.HyperModel):
    def declare_hyperparameters(self, hp):
        hp.Float("rate", 0.2, 0.4)

    def build(self, hp):
        return build(hp)


def test_a_hypermodel_is_taken():
    def search(hp):
        return {"rate": hp.get("rate")}

    blueprint = Blueprint(Model(), search, SearchTune(tolerance=0.1))
    hp = blueprint.space()
    assert hp.values == {"rate": 0.2, "units": 8}
    assert blueprint.settings(hp) == {"rate": 0.2, "rounds": 10, "until": 0.1}


@pytest.mark.parametrize(
    ("objective", "given", "expected"),
    [
        ("sparsest_matching", {"rounds": 3}, {"rounds": 3, "until": 0.1}),
        ("sparsest_matching", {"until": 0.5}, {"until": 0.5}),
        ("sparsest_matching", {"pattern": "2:4"}, {"pattern": "2:4", "until": 0.1}),
        ({"accuracy_at": 0.3}, {"rounds": 3}, {"rounds": 3, "target_density": 0.3}),
        ({"accuracy_at": 0.3}, {"target_density": 0.1}, {"target_density": 0.1}),
    ],
)
def test_rounds_end_where_the_objective_needs_no_more(objective, given, expected):
    blueprint = Blueprint(build, given, SearchTune(objective=objective, tolerance=0.1))
    assert blueprint.settings(keras_tuner.HyperParameters()) == expected


@pytest.mark.parametrize("oracle", ["grid", "random", "bayesian"])
def test_the_space_grows_by_what_is_asked_of_it(oracle):
    def ask(hp):
        return [hp.Choice(f"units_{each}", [1, 2]) for each in range(hp.Int("layers", 1, 2))]

    def proposals(count):
        space = keras_tuner.HyperParameters()
        ask(space)
        asker, found = Asker(SearchTune(oracle=oracle, tolerance=0.1), space), []
        while len(found) < count and (proposal := asker.ask()):
            hp = asker.hyperparameters(proposal[0])
            found.append((hp.get("layers"), *ask(hp)))
            asker.tell(proposal[0], float(sum(found[-1])))
        asker.close()
        return found

    found = proposals(12)
    assert {each for each in found if len(each) == 3} >= {(2, 1, 1), (2, 2, 2)}
    assert found == proposals(12)


def uncompiled(hp):
    hp.Int("units", 1, 2)
    return keras.Sequential([keras.Input((64,)), layers.Dense(10)])


def asks_for_nothing(hp):
    return build(keras_tuner.HyperParameters())


class Own(Model):
    def fit(self, hp, model, *args, **kwargs):
        return model.fit(*args, **kwargs)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"tolerance": None}, "expected a tolerance with objective sparsest_matching"),
        ({"tolerance": -1}, "tolerance: input should be greater than or equal to 0. Received: -1"),
        ({"objective": "densest"}, "expected sparsest_matching, or .* received densest"),
        ({"objective": {"accuracy_at": 2}}, "received {'accuracy_at': 2}"),
        ({"oracle": "hyperband"}, "'random', 'grid' or 'bayesian'. Received: 'hyperband'"),
        ({"candidates": 0}, "candidates: .*Received: 0"),
        ({"cost": "euros"}, "cost: .*Received: 'euros'"),
        ({"cost": "flops"}, "since a search around fit knows no FLOPs"),
        ({"hypermodel": 3}, "Expected a function hp -> compiled model.*Received: int"),
        ({"hypermodel": Own()}, "Expected a HyperModel without a fit of its own.*Received: Own"),
        ({"hypermodel": uncompiled}, "Expected a compiled model"),
        ({"hypermodel": lambda hp: hp.Int("a", 1, 2)}, "one that returns 1"),
        ({"hypermodel": lambda hp: hp.Int("a")}, "can't be called with the default values .TypeError: "),
        ({"hypermodel": asks_for_nothing, "search": {}}, "Received: functions that ask for nothing"),
        ({"search": {"rates": 0.2}}, "Expected arguments of LotterySearch in search .*Received: 'rates'"),
        ({"search": lambda hp: {"directory": "x"}}, "Expected search without directory, which the tuner"),
        ({"search": {"seed": 3}}, "Expected search without seed, which the tuner gives"),
        ({"search": 0.2}, "Expected search as arguments of LotterySearch.*Received: 0.2"),
        ({"search": {"rate": 2}}, "Expected rate between 0 and 1, as a fraction. Received: 2"),
        ({"validation_data": None}, "Expected validation_data or validation_split"),
        ({"epoch": 1}, "Expected arguments of fit .*Received: 'epoch'"),
    ],
)
def test_bad_calls_are_refused_in_one_line(given, message, tmp_path):
    counted = Counted()
    data = {name: value for name, value in given.items() if name in ("validation_data", "epoch")}
    with pytest.raises(LotteryError, match=message) as caught:
        fit(tuner(directory=tmp_path, **{k: v for k, v in given.items() if k not in data}), counted, **data)
    assert "\n" not in str(caught.value)
    assert not counted.begun
    assert not list(tmp_path.glob("candidate_*/search.json"))


def test_tickets_before_a_search_are_refused():
    with pytest.raises(LotteryError, match="Call search first"):
        tuner().get_best_tickets()
    assert tuner().get_best_hyperparameters() == []


def test_the_directory_of_something_else_is_refused(whole, tmp_path):
    root = whole.tuner._files.root
    for other in ({"oracle": "grid"}, {"seed": 1}, {"tolerance": 0.2}, {"objective": {"accuracy_at": 0.5}}):
        (name,) = other
        with pytest.raises(StudyError, match=f"holds another tuning, which differs in {name}"):
            fit(tuner(directory=root, **other))
    with pytest.raises(StudyError, match="holds another tuning, which differs in ranges"):
        fit(tuner(search={"rate": 0.5}, directory=root))
    with pytest.raises(StudyError, match="candidate_000 holds another search, which differs in data"):
        fit(tuner(directory=root), validation_data=TRAIN)
    with held(root / ".lock"), pytest.raises(StudyError, match="is in use by another tuning"):
        fit(tuner(directory=root))
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(StudyError, match="isn't a LotteryTuner's directory: it holds notes.txt"):
        fit(tuner(directory=tmp_path))


def test_a_damaged_file_is_named(whole, tmp_path):
    for name in ("tuning.json", "candidates.json"):
        root = tmp_path / name.removesuffix(".json")
        (root / "candidate_000").mkdir(parents=True)
        (root / "candidate_000" / "search.json").write_text("{}")
        for each in ("tuning.json", "candidates.json"):
            text = (whole.tuner._files.root / each).read_text()
            (root / each).write_text(text[:-9] if each == name else text)
        with pytest.raises(StudyError, match=f"{name} is missing or damaged"):
            fit(tuner(directory=root))
