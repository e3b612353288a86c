"""Where weights remain, and what masks have in common, by hand."""

from dataclasses import replace

import numpy as np
import pytest

from tests.fakes import fake_record, fake_spec
from tf_lottery import arrays
from tf_lottery.analysis.masks import layers, shared, signs
from tf_lottery.analysis.tables import table
from tf_lottery.method.spec import LayerCount
from tf_lottery.paths import StudyPaths
from tf_lottery.store.store import Store


class Given(Store):
    """A store of masks and weights that a test gives."""

    def __init__(self, root, masks, initial=None, last=None):
        super().__init__(StudyPaths(root))
        self._masks, self._initial, self._last = masks, initial, last

    def masks(self, key):
        return {"a/kernel": np.array(self._masks[key], bool)}

    def rewind_point(self, key, step):
        assert step == 0
        return {"model/a/kernel": np.array(self._initial)}

    def weights(self, key, which="last"):
        return {"model/a/kernel": np.array(self._last)}


def record(arm, replicate, remaining=2, total=4, round=1, **settings):
    spec = fake_spec(arm, round, replicate, init_seed=replicate, **settings)
    counts = {"a/kernel": LayerCount(total=total, remaining=remaining)}
    return fake_record(spec, remaining=remaining).model_copy(
        update={"weights_total": total, "weights_remaining": remaining, "layers": counts}
    )


def test_replicates_and_arms_are_compared_with_chance(tmp_path):
    runs = [record("ticket", 0), record("ticket", 1), record("drawn", 0, order_seed=2)]
    masks = dict(zip((run.key for run in runs), ([1, 1, 0, 0], [1, 0, 1, 0], [1, 1, 0, 0]), strict=True))
    rows = {row.what: row for row in shared(runs, Given(tmp_path, masks))}
    replicates, arms = rows["replicates of ticket"], rows["ticket and drawn"]
    assert (replicates.pairs, replicates.density, replicates.overlap) == (1, 0.5, 0.5)
    assert (replicates.chance, replicates.distance) == (0.5, 0.5)  # 2 * 2 / 4 of the 2 that remain
    assert (arms.pairs, arms.overlap, arms.chance, arms.distance) == (1, 1.0, 0.5, 0.0)


def test_what_prunes_nothing_and_other_shapes_are_left_out(tmp_path):
    runs = [record("ticket", 0), record("dense_longer", 0, remaining=4, order_seed=3), record("other", 0)]
    masks = {runs[0].key: [1, 1, 0, 0], runs[2].key: [1, 1, 0, 0]}
    assert {row.what for row in shared(runs, Given(tmp_path, masks))} == {"ticket and other"}
    runs[2] = record("other", 0, order_seed=4)
    masks[runs[2].key] = [1, 1, 0]
    assert shared(runs, Given(tmp_path, masks)) == []


def test_densities_by_layer_are_means_and_effective_ones_only_where_known():
    first, second = record("ticket", 0, remaining=2), record("ticket", 1, remaining=3)
    a, everything = layers([first, second])
    assert (a.path, a.density, a.effective_density) == ("a/kernel", 0.625, None)
    assert (everything.path, everything.density) == ("all", 0.625)
    known = {"effective": {"a/kernel": 1}, "effective_remaining": 1}
    a, everything = layers([first.model_copy(update=known), second.model_copy(update=known)])
    assert (a.effective_density, everything.effective_density) == (0.25, 0.25)


def test_signs_are_compared_among_the_weights_that_remain(tmp_path):
    run = record("ticket", 0, remaining=3, root="r" * 64)
    initial, last = [1.0, -2.0, 3.0, -4.0], [0.5, 0.5, 3.0, 0.0]
    store = Given(tmp_path, {run.key: [1, 1, 1, 0]}, initial, last)
    assert signs([run], store) == []  # its last weights weren't kept
    arrays.save(store.paths.run(run.key).weights_last, {"x": np.zeros(1)})
    (row,) = signs([run], store)
    assert (row.arm, row.round, row.runs, row.agreement) == ("ticket", 1, 1, pytest.approx(2 / 3))


def test_a_table_shows_shares_in_percent_and_what_is_unknown():
    lines = table(layers([record("ticket", 0)]), without=("round",))
    assert lines[0].split() == ["arm", "path", "total", "density", "effective", "density"]
    assert lines[1].split() == ["ticket", "a/kernel", "4", "50.0%", "-"]


def test_a_table_shows_large_means_as_counts():
    row = layers([record("ticket", 0)])[0]
    for value, text in ((5379.4, "5,379"), (-12345.6, "-12,346"), (999.4, "999.4"), (0.012345, "0.01235")):
        assert table([replace(row, total=value)])[1].split()[3] == text
