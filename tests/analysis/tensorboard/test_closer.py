"""A closer look at one run of real digits."""

import numpy as np
import pytest

import tf_lottery as lottery
from tests.analysis.tensorboard.test_pictures import read
from tf_lottery.analysis.tensorboard.closer import closer_look
from tf_lottery.paths import StudyPaths
from tf_lottery.store.store import Store

SMALL = ["training.steps=20it", "training.evaluate_every=20it", "pruning.rounds=1", "arms={ticket: {}}"]


@pytest.mark.slow
def test_images_have_a_picture_of_their_pixels_that_is_darkest_where_most_weights_remain(tmp_path):
    records = lottery.run_study("digits_quick", tmp_path / "study", SMALL)
    store = Store(StudyPaths(tmp_path / "study"))
    found = {summary.value[0].tag: summary for summary in closer_look(records[-1], store)}
    assert {tag.partition("/")[0] for tag in found} == {
        *("weights_at_start_percent", "weights_at_end_percent", "masks", "input_pixels")
    }
    counts = store.masks(records[-1].key)["hidden1/kernel"].sum(axis=1).reshape(8, 8)
    width, height, shades = read(found["input_pixels"])
    assert width == height == len(shades) == 192
    assert np.allclose(shades[::24, ::24, 0], 1 - counts / counts.max(), atol=0.005)
