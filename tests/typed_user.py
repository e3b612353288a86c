"""A user's code, as a type checker sees it: `make lint` checks it strictly, and nobody runs it.

The calls are those of README.md and docs/keras.md. Where a line says `type: ignore`, the call is wrong: if a
checker accepted it, `warn_unused_ignores` would fail.
"""

from typing import Any, assert_type

import keras
import numpy as np

import tf_lottery as lottery
from tf_lottery.exports.compact.compact import Compacted
from tf_lottery.exports.words.report import Report
from tf_lottery.search.result import SearchResult
from tf_lottery.tuning.search_result import TunedSearches

x, y = np.zeros((100, 8), np.float32), np.zeros(100, np.int32)


def a_search(model: keras.Model) -> None:
    search = lottery.LotterySearch(model, rate=0.2, rounds=10, arms={"shuffled": {}}, directory="search")
    result = search.fit(x, y, validation_data=(x, y), epochs=5)
    assert_type(result, SearchResult)
    assert_type(result.summary(tolerance=0.005), str)
    assert_type(result.densities, list[float])
    assert_type(result.matching_round(tolerance=0.01), int | None)
    result.plot("tickets.png", tolerance=0.005)
    ticket = result.ticket(density=0.11)
    assert_type(ticket, lottery.Ticket)
    lottery.LotterySearch(model, rate="a fifth")  # type: ignore[arg-type]
    lottery.LotterySearch(model, engine="fast")  # type: ignore[arg-type]
    lottery.LotterySearch(model, pruning_rate=0.2)  # type: ignore[call-arg]
    lottery.LotterySearch()  # type: ignore[call-arg]
    result.ticket(rounds=3)  # type: ignore[call-arg]
    result.best()  # type: ignore[attr-defined]


def a_tuning() -> None:
    def build(hp: Any) -> keras.Model:
        model = keras.Sequential([keras.Input((8,)), keras.layers.Dense(hp.Int("units", 50, 300), "relu")])
        model.compile("adam", "mse")
        return model

    def settings(hp: Any) -> dict[str, Any]:
        return {"rate": hp.Float("rate", 0.1, 0.5), "rounds": 6}

    tuner = lottery.LotteryTuner(build, settings, tolerance=0.005, candidates=10, directory="tuned")
    assert_type(tuner.search(x, y, epochs=5), TunedSearches)
    assert_type(tuner.get_best_tickets(1), list[lottery.Ticket])
    lottery.LotteryTuner(build, settings, oracle="hyperband")  # type: ignore[arg-type]


def by_hand(model: keras.Model) -> None:
    prunable = lottery.make_prunable(model, exclude=["output", keras.layers.Conv2D])
    print(lottery.prunable_table(prunable))
    snapshot = lottery.callbacks.RewindSnapshot("1ep", "rewind")
    prunable.fit(x, y, callbacks=[snapshot, lottery.callbacks.SparsityLogger("logs")])
    lottery.prune(prunable, rate=0.2, layer_rates={"output": 0.1})
    if snapshot.kept_at is not None:
        lottery.RewindManager("rewind").restore(snapshot.kept_at, prunable)
    assert_type(lottery.sparsity(prunable), float)
    lottery.set_masks(prunable, lottery.get_masks(prunable))
    plain = lottery.freeze_zeros(lottery.strip(prunable))
    assert_type(lottery.compact(plain), Compacted)
    assert_type(lottery.export(plain, "exports/lenet", test_data=(x, y)), Report)
    lottery.prune(prunable, rate=[0.2])  # type: ignore[arg-type]
    lottery.RewindManager("rewind").restore(snapshot.kept_at, prunable)  # type: ignore[arg-type]
    lottery.export(plain, "exports/lenet", "litert", "int8", (x, y))  # type: ignore[call-arg]
    lottery.callbacks.Snapshot  # type: ignore[attr-defined] # noqa: B018


def tickets(ticket: lottery.Ticket, model: keras.Model) -> None:
    ticket.save("lenet.ticket.npz")
    loaded = lottery.Ticket.load("lenet.ticket.npz")
    loaded.apply(model, weights=None, partial=True)
    control = ticket.reinitialize(seed=1)
    assert_type(control.density, float)
    print(ticket.compare(control))
    ticket.apply(model, weights="last")  # type: ignore[arg-type]
    ticket.reinitialize()  # type: ignore[call-arg]


def studies() -> None:
    records = lottery.run_study(
        "digits_quick", "saved_models/typed", ["pruning.rounds=2"], execution=lottery.Execution(workers=4)
    )
    for record in records:
        assert_type(record, lottery.Record)
        assert_type(record.spec, lottery.RunSpec)
        print(record.spec.arm, record.spec.round, f"{record.density:.1%}", record.early_stop_test_accuracy)
    study = lottery.load_config("digits_quick", ["replicates=2"])
    assert_type(study, lottery.StudyConfig)
    assert_type(lottery.plan(study, records), list[lottery.RunSpec])
    assert_type(lottery.matching_round(records, tolerance=0.005), int | None)
    lottery.run_study(3)  # type: ignore[arg-type]
    lottery.Execution(worker=4)  # type: ignore[call-arg]
    lottery.plan(records)  # type: ignore[call-arg, arg-type]
    lottery.LoterySearch  # type: ignore[attr-defined] # noqa: B018
