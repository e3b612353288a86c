import numpy as np
import pytest

from tf_lottery.errors import LotteryError
from tf_lottery.pruning import edits
from tf_lottery.pruning.edits import Pruned, edit
from tf_lottery.pruning.groups import groups
from tf_lottery.pruning.masks import ones
from tf_lottery.pruning.select import select

RANDOM = np.random.default_rng(0)
SCORES = {"a": RANDOM.normal(size=(30, 20)), "b": RANDOM.normal(size=(20, 5))}
BEFORE = {"a": RANDOM.random((30, 20)) < 0.5, "b": np.ones((20, 5), bool)}
MASKS = select(SCORES, BEFORE, {"a": 0.4, "b": 0.2})


def pruned(seed=0):
    return Pruned(MASKS, seed, BEFORE, SCORES)


def counts(masks):
    return {path: int(mask.sum()) for path, mask in masks.items()}


@pytest.mark.parametrize("kind", edits.EDITS)
def test_every_edit_keeps_the_counts_of_layers_and_its_source(kind):
    before = {path: mask.copy() for path, mask in MASKS.items()}
    masks = edit(kind, pruned())
    assert counts(masks) == counts(MASKS)
    assert all(masks[path].shape == mask.shape for path, mask in MASKS.items())
    assert any((masks[path] != mask).any() for path, mask in MASKS.items())
    assert all((MASKS[path] == mask).all() for path, mask in before.items())


def test_shuffled_masks_follow_their_seed_and_take_pruned_places_too():
    first, again, other = (edit("shuffled", pruned(seed)) for seed in (1, 1, 2))
    assert all((first[path] == again[path]).all() for path in MASKS)
    assert (first["a"] != other["a"]).any()
    assert (first["a"] & ~BEFORE["a"]).any()


def test_inverted_masks_lose_the_highest_scores_of_what_remained():
    masks = edit("inverted", pruned())
    for path, mask in masks.items():
        assert not (mask & ~BEFORE[path]).any()
        gone = BEFORE[path] & ~mask
        assert SCORES[path][gone].min() > SCORES[path][mask].max()


def test_masks_that_come_from_no_pruning_cannot_be_inverted():
    with pytest.raises(LotteryError, match="no pruning by scores"):
        edit("inverted", Pruned(MASKS, 0))


def test_masks_of_units_are_shuffled_by_units_and_not_inverted():
    units = groups("units", {p: s.shape for p, s in SCORES.items()}, {"a": 0.5, "b": 0}, {"a": 1})
    before = ones(units.shapes)
    masks = units.prune(SCORES, before, units.kept(before, "layer"))
    given = Pruned(masks, 0, before, SCORES, units)
    found = edit("shuffled", given)
    assert (found["a"] == found["a"][0]).all()
    assert counts(found) == counts(masks)
    assert (found["a"] != masks["a"]).any()
    with pytest.raises(LotteryError, match="can't be inverted"):
        edit("inverted", given)


def test_an_unknown_edit_and_one_that_changes_counts_are_noticed(monkeypatch):
    with pytest.raises(LotteryError, match="shuffled, inverted. Received: 'turned'"):
        edit("turned", pruned())
    monkeypatch.setitem(edits.EDITS, "empty", lambda p: {k: np.zeros_like(m) for k, m in p.masks.items()})
    with pytest.raises(RuntimeError, match="changed the count of a"):
        edit("empty", pruned())
