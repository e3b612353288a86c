"""Searches that compare several arms."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import tf_lottery as lottery
from tests.search.models import FIT, TRAIN, Spy, X, Y, same, search, small, state, with_state
from tests.search.test_rounds import masked
from tf_lottery.config import RewindConfig
from tf_lottery.errors import LotteryError, StudyError
from tf_lottery.search.afresh import label_of
from tf_lottery.search.arms import Arms
from tf_lottery.search.settings import SearchPruning

LAST = {"rounds": [2]}
ARMS = {
    "random_reinit": LAST | {"trials": 2},
    "keep_signs": LAST,
    "constant_sign": LAST,
    "reshuffle": LAST,
    "shuffled": LAST,
    "inverted": LAST,
    "fork": LAST,
    "one_shot": LAST,
    "at_init": LAST,
    "smart_ratio": LAST,
    "dense_longer": {},
    "drawn": {"like": "ticket", "pruning": {"criterion": "random", "rounds": 1}},
    "increase": {"like": "one_shot", "rounds": [1], "pruning": {"criterion": "magnitude_increase"}},
    "kept": {"like": "ticket", "rewind": {"weights": "trained", "to": "1ep"}},
    "kept_reinit": {"like": "random_reinit", "on": "kept"} | LAST,
}
RUNS = [
    ("ticket", 0, 0),
    *((arm, 1, 0) for arm in ("ticket", "dense_longer", "drawn", "increase", "kept")),
    *(("ticket", 2, 0), ("random_reinit", 2, 0), ("random_reinit", 2, 1)),
    *((arm, 2, 0) for arm in list(ARMS)[1:10]),
    *((arm, 2, 0) for arm in ("dense_longer", "kept", "kept_reinit")),
]
HIDDEN, OUTPUT = "hidden/kernel", "output/kernel"


class Halve(keras.callbacks.Callback):
    """Halves the learning rate after each epoch."""

    factor = 0.5

    def on_epoch_end(self, epoch, logs=None):
        rate = float(self.model.optimizer._learning_rate.numpy())
        self.model.optimizer.learning_rate = self.factor * rate


class Compared:
    """A search with many arms, as the callbacks and the directory show it.

    Args:
        root: A directory for the search and its logs.
    """

    def __init__(self, root):
        self.root, self.model = root, with_state()
        self.before, self.spy = state(self.model), None
        self.found = self.go_on(ARMS)
        keys = dict.fromkeys((r.key, label_of(r.spec)) for r in self.found.records)
        self.begun = {key: (start, rate) for (key, _), start, rate in self.seen(keys)}
        self.labels = [label for _, label in keys]

    def seen(self, keys):
        return zip(keys, self.spy.begun, self.spy.rates, strict=True)

    def go_on(self, arms, **settings):
        self.spy = Spy()
        logs = keras.callbacks.CSVLogger(self.root / "log.csv")
        return search(self.model, directory=self.root / "search", arms=arms, **settings).fit(
            *TRAIN, **FIT, callbacks=[self.spy, Halve(), logs]
        )

    def run(self, arm, round=2):
        return next(r for r in self.found.records if (r.spec.arm, r.spec.round) == (arm, round))

    def start(self, arm, round=2):
        return self.begun[self.run(arm, round).key][0]

    def masks(self, arm, round=2):
        return self.found._store.masks(self.run(arm, round).key)

    def last(self, arm, round):
        weights = self.found._store.weights(self.run(arm, round).key)
        return {name.removeprefix("model/"): value for name, value in weights.items()}


@pytest.fixture(scope="module")
def compared(tmp_path_factory):
    return Compared(tmp_path_factory.mktemp("arms"))


@pytest.fixture(scope="module")
def looped():
    return search(small, engine="loop", arms=ARMS).fit(*TRAIN, **FIT)


def places(found):
    return [(r.spec.arm, r.spec.round, r.spec.trial) for r in found.records]


def written(root):
    return {path: path.stat().st_mtime_ns for path in root.glob("search/runs/**/*") if path.is_file()}


def counts(record):
    return [count.remaining for count in record.layers.values()]


def test_every_arm_is_trained_with_exact_counts_by_both_engines(compared, looped):
    for found in (compared.found, looped):
        assert places(found) == RUNS
        assert found.arms == ["ticket", *ARMS]
        for record in found.records:
            arm, round = record.spec.arm, record.spec.round
            if arm == "smart_ratio":
                assert counts(record) == [155, 30]
            else:
                pruned = 0 if arm == "dense_longer" else round
                assert counts(record) == [640 >> pruned, 100 // 2**pruned], arm
            assert record.first_step == (4 if arm == "kept" and round else 0)
            assert record.epochs == ([2] if arm == "kept" and round else [1, 2])


def test_controls_start_from_theta_0_as_they_say(compared):
    kept = compared.masks("ticket")
    for arm in ("keep_signs", "constant_sign", "reshuffle", "random_reinit", "fork"):
        assert same(compared.masks(arm), kept)
    for arm in ("fork", "inverted", "shuffled", "one_shot", "at_init", "smart_ratio"):
        assert same(compared.start(arm), masked(compared.before, compared.masks(arm)))
    assert same(compared.start("ticket"), compared.start("fork"))
    assert not same(compared.last("ticket", 2), compared.last("fork", 2))
    for path, mask in kept.items():
        old = compared.before[path]
        signed, constant, shuffled = (
            compared.start(arm)[path] for arm in ("keep_signs", "constant_sign", "reshuffle")
        )
        assert (np.sign(signed[mask]) == np.sign(old[mask])).all()
        assert not (signed[mask] == old[mask]).any()
        assert (constant[mask] == np.copysign(old.std(dtype=np.float64).astype("f4"), old[mask])).all()
        assert (np.sort(shuffled[mask]) == np.sort(old[mask])).all()
        assert (shuffled[mask] != old[mask]).any()
    for arm in ("constant_sign", "reshuffle"):  # only kernels change
        assert (compared.start(arm)["hidden/bias"] == compared.before["hidden/bias"]).all()


def test_masks_are_those_that_the_arms_name(compared):
    before = compared.masks("ticket", 1)
    dense, parent = compared.last("ticket", 0), compared.last("ticket", 1)
    for path in before:
        shuffled, inverted = (compared.masks(arm)[path] for arm in ("shuffled", "inverted"))
        assert (shuffled & ~before[path]).any()  # not among those of the parent
        assert not (inverted & ~before[path]).any()
        assert np.abs(parent[path][inverted]).max() <= np.abs(parent[path][before[path] & ~inverted]).min()
        assert (compared.masks("drawn", 1)[path] != before[path]).any()
        for arm, round, scores in (
            ("one_shot", 2, np.abs(dense[path])),
            ("at_init", 2, np.abs(compared.before[path])),
            ("increase", 1, np.abs(dense[path]) - np.abs(compared.before[path])),
        ):
            chosen = compared.masks(arm, round)[path]
            assert scores[chosen].min() >= scores[~chosen].max(), arm


def test_trained_weights_go_on_from_the_run_before(compared):
    for arm in ("kept", "dense_longer"):
        for round, before in ((1, compared.last("ticket", 0)), (2, compared.last(arm, 1))):
            assert same(compared.start(arm, round), masked(before, compared.masks(arm, round)))
    assert same(compared.masks("kept_reinit"), compared.masks("kept"))


def test_callbacks_are_where_they_were_at_each_arms_rewind_point(compared):
    for key, (_, rate) in compared.begun.items():
        arm = next(r.spec for r in compared.found.records if r.key == key)
        assert rate == pytest.approx(0.005 if arm.arm == "kept" and arm.round else 0.01), arm
    states = compared.run("ticket", 0).states
    assert [states[at]["learning_rate"] for at in ("0it", "4it", "8it")] == pytest.approx(
        [0.01, 0.005, 0.0025]
    )


def test_files_of_callbacks_have_a_label_for_each_run(compared):
    assert len(set(compared.labels)) == len(compared.labels) == len(RUNS)
    assert {"round00", "round02", "round02_random_reinit2", "round02_fork1"} < set(compared.labels)
    files = {path.name for path in compared.root.glob("*.csv")}
    assert files >= {f"log.{label}.csv" for label in compared.labels}
    specs = [
        compared.run("fork").spec.model_copy(update={"arm": a, "trial": t}) for a, t in (("x1", 1), ("x", 11))
    ]
    assert [label_of(spec) for spec in specs] == ["round02_x1-2", "round02_x12"]


def test_results_by_arm(compared):
    found = compared.found
    assert [r.spec.round for r in found.rounds] == [0, 1, 2]
    assert [r.spec.trial for r in found.arm("random_reinit")] == [0, 1]
    assert [r.spec.round for r in found.arm("dense_longer")] == [1, 2]
    assert found.ticket(round=2, arm="shuffled").provenance["arm"] == "shuffled"
    assert same(found.ticket(round=2, arm="shuffled").masks, compared.masks("shuffled"))
    kept = found.ticket(round=2, arm="kept")
    assert (kept.provenance["rewind_weights"], kept.provenance["rewind_to"]) == ("trained", "1ep")
    assert (kept.weights[HIDDEN] == compared.start("kept")[HIDDEN]).all()
    model = found.trained(round=2, arm="shuffled")
    assert ((model.get_layer("hidden").kernel.numpy() != 0) <= compared.masks("shuffled")[HIDDEN]).all()
    assert found.matching_round(1, arm="kept") == 2
    assert [r.spec.trial for r in found._results.reinitialized(2)] == [0, 1]  # no other arm's
    assert not found._results.reinitialized(1)
    lines = found.summary(1).splitlines()
    assert [line.split()[0] for line in lines[3 : 3 + len(RUNS)]] == [
        "dense" if not round else arm + (f"#{trial + 1}" if trial else "") for arm, round, trial in RUNS
    ]
    for wrong in (lambda: found.arm("late"), lambda: found.trained(round=1, arm="late")):
        with pytest.raises(LotteryError, match="Expected an arm of ticket, .* Received: 'late'"):
            wrong()
    with pytest.raises(LotteryError, match="one of control and arm"):
        found.trained(round=2, arm="fork", control=0)
    with pytest.raises(LotteryError, match="weren't kept"):
        found.ticket(round=2, arm="reshuffle")


def test_a_later_call_trains_the_runs_of_further_arms_only(compared):
    records = {path: path.stat().st_mtime_ns for path in compared.root.glob("search/runs/*/record.json")}
    assert len(records) == len(RUNS)
    late = {"like": "ticket", "rewind": {"to": "1ep"}}  # the dense run is trained again, to keep this point
    again = {"like": "reshuffle", "trials": 2, "rounds": [1]}
    found = compared.go_on({"again": again, "late": late, "fork": LAST})
    new = [("again", 1, 0), ("again", 1, 1), ("late", 1, 0)], [("late", 2, 0), ("fork", 2, 0)]
    assert places(found) == [("ticket", 0, 0), ("ticket", 1, 0), *new[0], ("ticket", 2, 0), *new[1]]
    assert compared.spy.rates == pytest.approx([0.01, 0.01, 0.01, 0.005, 0.005])
    assert same(compared.spy.begun[0], compared.before)
    dense, before = found.rounds[0], compared.run("ticket", 0)
    assert [path.parent.name for path, at in records.items() if path.stat().st_mtime_ns != at] == [
        dense.key[:16]
    ]
    kept = dense.digests.pop("rewind/4it")
    assert (dense.digests, dense.value, dense.spent) == (before.digests, before.value, before.spent)
    assert all(r.checks["rewind_digest"] == kept for r in found.arm("late"))
    assert [r.first_step for r in found.arm("late")] == [4, 4]


def test_a_dense_run_that_comes_out_otherwise_is_refused(compared, monkeypatch):
    """As it may where a callback, or a package, has changed since."""
    files = written(compared.root)
    monkeypatch.setattr(Halve, "factor", 0.25)
    with pytest.raises(StudyError, match="came out otherwise"):
        compared.go_on({"later": {"like": "ticket", "rewind": {"to": "5it"}}})
    assert len(compared.spy.begun) == 1
    dense = compared.run("ticket", 0).key[:16]
    changed = [path for path, at in written(compared.root).items() if files.get(path) != at]
    assert [path.parts[-3:] for path in changed] == [(dense, "rewind", "5it.npz")]  # no record names it


def test_rewind_weights_of_the_whole_search():
    spy, settings = Spy(), {"rewind_weights": "trained", "rewind_to": "1ep"}
    found = search(rounds=1, criterion="movement", **settings).fit(*TRAIN, **FIT, callbacks=[spy])
    last = found._store.weights(found.rounds[0].key)
    last = {name.removeprefix("model/"): value for name, value in last.items()}
    assert same(spy.begun[1], masked(last, spy.masks[1]))
    assert [r.first_step for r in found.rounds] == [0, 4]
    for path, mask in spy.masks[1].items():
        moved = np.abs(last[path] - spy.begun[0][path])
        assert moved[mask].min() >= moved[~mask].max()


def refused(received, fit=None, model=small, **settings):
    with pytest.raises(LotteryError) as caught:
        lottery.LotterySearch(model, verbose=0, **settings).fit(
            **({"x": X, "y": Y, "validation_split": 0.2, "epochs": 2} | (fit or {}))
        )
    assert "\n" not in str(caught.value)
    assert received in str(caught.value), str(caught.value)


TICKET = {"like": "ticket"}


@pytest.mark.parametrize(
    ("arms", "received"),
    [
        ({"final": {}}, "arms.final needs a cheaper search"),
        ({"moved": {"like": "transfer", "training": {"optimizer": "sgd"}}}, "arms.moved needs other data"),
        ({"supermask": {}}, "arms.supermask needs scores that are trained in place of weights"),
        ({"gradual": {}}, "arms.gradual needs masks that change within a training"),
        ({"dst": {"like": "set"}}, "arms.dst needs masks that change within a training"),
        ({"rigl": {}}, "arms.rigl needs masks that change within a training"),
        ({"small_dense": {}}, "arms.small_dense needs a narrower network"),
        ({"long": TICKET | {"training": {"steps": "9ep"}}}, "arms.long needs training or data"),
        ({"other": TICKET | {"data": {"name": "digits"}}}, "arms.other needs training or data"),
        ({"snip": TICKET | {"pruning": {"criterion": "snip"}}}, "arms.snip needs gradients"),
        ({"at_init": {"pruning": {"criterion": "synflow"}}}, "arms.at_init needs gradients"),
        ({"short": TICKET | {"rewind": {"steps": "1ep"}}}, "arms.short needs a length"),
        (
            {"tuned": TICKET | {"rewind": {"weights": "trained", "to": "end", "steps": "1ep"}}},
            "arms.tuned needs a length",
        ),
        (
            {"kept": TICKET | {"rewind": {"weights": "trained", "optimizer": "restore"}}, "final": {}},
            "arms.kept needs the last state of an optimizer, arms.final needs",
        ),
        ({"search": {"steps": "1ep"}}, "arms.search.steps"),
        ({"shuffeld": {}}, "'shuffeld'"),
        ({"x": {"like": "shuffeld"}}, "arms.x.like"),
        ({"x": {"on": "y", "like": "shuffled"}}, "arms.x.on"),
        ({"shuffled": {"trails": 2}}, "'trials'"),
        ({"shuffled": {"trials": 0}}, "arms.shuffled.trials"),
        ({"shuffled": {"rounds": []}}, "arms.shuffled"),
        ({"fork": {"rounds": [0, 1]}}, "arms.fork needs the dense network a second time (round 0)"),
        ({"shuffled": {"pruning": {"rate": 0.5}}}, "'shuffled'"),
        ({"drawn": TICKET | {"pruning": {"rate": 2}}}, "arms.drawn.pruning.rate"),
        ({"drawn": TICKET | {"pruning": {"criterion": "best"}}}, "arms.drawn.pruning.criterion"),
        ({"drawn": TICKET | {"pruning": {"layer_rates": {"hiden": 0.1}}}}, "'hiden'"),
        ({"late": TICKET | {"rewind": {"to": "9ep"}}}, "arms.late.rewind.to='9ep'"),
        ({"late": TICKET | {"rewind": {"to": "9"}}}, "arms.late.rewind.to"),
        ({"ticket": {"pruning": {"rate": 0.5}}}, "arms.ticket"),
        ({"1st": TICKET}, "arms.1st"),
        ({"shuffled": 3}, "arms.shuffled"),
        (["shuffled"], "['shuffled']"),
    ],
)
def test_arms_that_a_search_does_not_take(arms, received):
    refused(received, arms=arms)


def test_arguments_that_do_not_go_together():
    refused("controls=2", controls=2, arms={"random_reinit": {}})
    refused("'snip', which needs gradients", criterion="snip")
    refused("Received: 'end'", rewind_to="end", rewind_weights="trained")
    refused("Received: 'restore'", rewind_optimizer="restore", rewind_weights="trained")
    refused("Received: 'kept'", rewind_weights="kept")
    refused("Give arm 'ticket' rewound weights", rewind_weights="trained", arms={"shuffled": {}})
    dataset = tf.data.Dataset.from_tensor_slices((X, Y)).batch(32)
    data = {"x": dataset, "y": None, "validation_split": None, "validation_data": dataset}
    refused("arms.fork is trained in another order", arms={"fork": {}}, fit=data)
    refused("shuffle=False", arms={"fork": {}}, fit={"shuffle": False})


def test_only_what_draws_weights_is_refused_for_weights_that_were_never_drawn():
    pruning, rewind = SearchPruning(rounds=2), RewindConfig()
    redrawing = [
        arm for arm, own in ARMS.items() if Arms.of({arm: own} | _on(own), 0, pruning, rewind).redrawing
    ]
    assert redrawing == ["random_reinit", "keep_signs", "kept_reinit"]
    model = small()
    model.get_layer("hidden").bias.assign(np.ones(10))
    refused("given or trained after", model=model, arms={"keep_signs": {}})


def _on(own):
    return {own["on"]: ARMS[own["on"]]} if "on" in own else {}


def test_units_of_until_are_those_of_the_monitored_quantity_in_arms_too():
    arms = {"drawn": TICKET | {"pruning": {"criterion": "random", "max_accuracy_drop": 30}}}
    search(until=20, rounds=None, monitor="val_loss", arms=arms)
