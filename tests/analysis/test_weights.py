"""How weights are distributed: by hand, and on a real study whose files NumPy reads."""

import numpy as np
import pytest

from tests.analysis.test_masks import Given, record
from tests.drivers.test_run_study import study
from tf_lottery import arrays
from tf_lottery.analysis.weights import chosen, distributions
from tf_lottery.analysis.weights_words import describe
from tf_lottery.drivers.run_study import run_study
from tf_lottery.method.plan import collect
from tf_lottery.paths import StudyPaths
from tf_lottery.store.store import Store
from tf_lottery.store.study_file import load

ROOT = "r" * 64
ARMS = {
    "ticket": {},
    "random_reinit": {"rounds": [2]},
    "late": {"like": "ticket", "rewind": {"to": "20it"}},
    "tuned": {"like": "ticket", "rewind": {"weights": "trained"}},
    "rigl": {"rounds": [2], "updates": {"every": "10it"}},
    "small_dense": {"rounds": [2]},
}


class Stored:
    """A finished study, and its arrays as NumPy reads them."""

    def __init__(self, directory, **changes):
        mlp = {"name": "mlp", "kwargs": {"sizes": [20]}}
        run_study(study(model=mlp, **{"arms": ARMS, "pruning__rounds": 2} | changes), directory)
        config = load(StudyPaths(directory))
        self.store = Store(StudyPaths(directory), config.storage)
        self.records = collect(config, self.store.records())
        self.runs = {(r.spec.arm, r.spec.round): r for r in self.records}

    def array(self, arm, round, file, path):
        run = self.store.paths.run(self.runs[arm, round].key).root
        with np.load(run / file) as content:
            return content[f"model/{path}"]


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    return Stored(tmp_path_factory.mktemp("weights") / "study")


def test_quantiles_and_signs_of_five_weights_worked_out_by_hand(tmp_path):
    run = record("ticket", 0, remaining=5, total=6, root=ROOT)
    run = run.model_copy(update={"checks": {"rewind_digest": "d"}})
    initial, last = [-2.0, -1.0, 0.0, 1.0, 2.0, 9.0], [2.0, -3.0, 1.0, 4.0, 0.0, 0.0]
    store = Given(tmp_path, {run.key: [1, 1, 1, 1, 1, 0]}, initial, last)
    store.record = lambda key: run.model_copy(update={"digests": {"rewind/0it": "d"}})
    start, end = both(store, run)
    assert (start.when, start.count, start.mean, start.deviation) == ("start", 5, 0, pytest.approx(2**0.5))
    assert (start.q01, start.q25, start.median, start.q75) == pytest.approx((-1.96, -1, 0, 1))
    assert (start.q99, start.positive, start.sign_changed) == (pytest.approx(1.96), 0.4, None)
    assert (end.count, end.mean, end.median, end.positive) == (5, pytest.approx(0.8), 1, 0.6)
    assert end.sign_changed == 0.2, "0.0 has no sign to change"


def both(store, run):
    arrays.save(store.paths.run(run.key).weights_last, {"x": np.zeros(1)})
    return distributions([run], store)


def test_kept_initial_values_are_compared_with_pruned_ones_by_hand(tmp_path):
    runs = [record("ticket", replicate, total=6, root=ROOT) for replicate in (0, 1)]
    masks = {runs[0].key: [1, 1, 0, 0, 0, 0], runs[1].key: [1, 0, 0, 1, 0, 0]}
    store = Given(tmp_path, masks, [6.0, -4.0, 1.0, -1.0, 2.0, 0.0])
    (row,) = chosen(runs, store)
    assert (row.arm, row.round, row.runs, row.kept, row.pruned) == ("ticket", 1, 2, 2, 4)
    first, second = 5 / np.std([1, -1, 2, 0]), 3.5 / np.std([-4, 1, 2, 0])
    assert row.deviation_ratio == pytest.approx((first + second) / 2)
    assert row.median_ratio == pytest.approx((5 / 1 + 3.5 / 1.5) / 2)
    assert row.smaller_half == (0 + 0.5) / 2, "the median size is 1.5"


def test_what_has_no_pruned_spread_has_no_ratio(tmp_path):
    run = record("ticket", 0, total=4, root=ROOT)
    store = Given(tmp_path, {run.key: [1, 1, 0, 0]}, [1.0, 2.0, 0.0, 0.0])
    (row,) = chosen([run], store)
    assert (row.deviation_ratio, row.median_ratio, row.smaller_half) == (None, None, 0.0)
    store = Given(tmp_path, {run.key: [1, 1, 1, 1]}, [1.0, 2.0, 0.0, 0.0])
    assert chosen([run], store) == [], "nothing is pruned"


def test_rows_are_those_that_numpy_reads_from_the_files(stored):
    rows = {(r.arm, r.round, r.path, r.when): r for r in distributions(stored.records, stored.store)}
    masks = stored.store.masks(stored.runs["ticket", 2].key)
    for path, mask in masks.items():
        first = stored.array("ticket", 0, "rewind/0it.npz", path)
        last = stored.array("ticket", 2, "weights_last.npz", path)
        start, end = rows["ticket", 2, path, "start"], rows["ticket", 2, path, "end"]
        for row, values in ((start, first[mask]), (end, last[mask])):
            assert row.count == mask.sum()
            assert row.mean == pytest.approx(values.mean(), abs=1e-6)
            assert row.deviation == pytest.approx(values.std(), rel=1e-5)
            cuts = np.percentile(values, [1, 25, 50, 75, 99])
            assert (row.q01, row.q25, row.median, row.q75, row.q99) == pytest.approx(cuts, rel=1e-5)
            assert row.positive == pytest.approx((values > 0).mean())
        assert end.sign_changed == pytest.approx((first[mask] * last[mask] < 0).mean())


def test_where_a_run_starts_is_what_its_kind_of_start_says(stored):
    rows = {(r.arm, r.round, r.when): r for r in distributions(stored.records, stored.store) if "h" in r.path}
    path = "hidden1/kernel"
    for arm, round, file in (
        ("late", 1, ("ticket", 0, "rewind/20it.npz")),
        ("tuned", 1, ("ticket", 0, "weights_last.npz")),
        ("tuned", 2, ("tuned", 1, "weights_last.npz")),
    ):
        mask = stored.store.masks(stored.runs[arm, round].key)[path]
        values = stored.array(*file, path)[mask]
        assert rows[arm, round, "start"].mean == pytest.approx(values.mean(), abs=1e-6), (arm, round)
    for arm in ("random_reinit", "rigl"):
        assert (arm, 2, "start") not in rows
        assert rows[arm, 2, "end"].sign_changed is None
    assert ("ticket", 0, "start") in rows


def test_tickets_keep_large_initial_values_and_only_what_lies_over_them_is_compared(stored):
    rows = chosen(stored.records, stored.store)
    assert {row.arm for row in rows} == {"ticket", "late", "tuned"}
    hidden = next(r for r in rows if (r.arm, r.round, r.path) == ("ticket", 2, "hidden1/kernel"))
    mask = stored.store.masks(stored.runs["ticket", 2].key)["hidden1/kernel"]
    first = stored.array("ticket", 0, "rewind/0it.npz", "hidden1/kernel")
    assert hidden.deviation_ratio == pytest.approx(first[mask].std() / first[~mask].std(), rel=1e-5)
    assert hidden.deviation_ratio > 1.2
    assert hidden.smaller_half == pytest.approx((abs(first[mask]) < np.median(abs(first))).mean())
    assert hidden.smaller_half < 0.45


def test_words_tell_what_is_not_kept(stored):
    rows = distributions(stored.records, stored.store)
    text = "\n".join(describe(2, rows, chosen(stored.records, stored.store)))
    assert "start from aren't kept in the study: random_reinit 2, rigl 2, small_dense 2." in text
    assert "aren't kept (storage.keep)" not in text
    assert "None of them were kept" in "\n".join(describe(0, [], []))


def test_without_last_weights_the_start_is_told(tmp_path):
    masks = Stored(tmp_path / "study", arms={"ticket": {}}, storage={"keep": "masks"})
    rows = distributions(masks.records, masks.store)
    assert {row.when for row in rows if row.round == 1} == {"start"}
    assert "aren't kept (storage.keep): ticket 0, ticket 1" in "\n".join(describe(2, rows, []))
