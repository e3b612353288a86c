import numpy as np
import pytest

from tf_lottery.errors import LotteryError
from tf_lottery.pruning.patterns import PATTERNS, pattern


def numbers(text, shape, unit_axes=1):
    read = pattern(text)
    return PATTERNS[read.kind](shape, unit_axes, read.sizes)


def test_texts_are_read():
    assert (pattern("single").kind, pattern("units").kind) == ("single", "units")
    assert (pattern("2:4").kind, pattern("2:4").sizes, pattern("2:4").density) == ("N:M", (2, 4), 0.5)
    assert (pattern("block:8x1").kind, pattern("block:8x1").sizes) == ("block", (8, 1))
    assert pattern("units").density is None
    assert {pattern(text).kind for text in ("single", "units", "block:2x2", "1:2")} == set(PATTERNS)


WRONG = ["", "unit", "Units", " units", "units\n", "4:4", "4:2", "0:4", "2:4:8", "-2:4", "2.0:4", "02:4"]
WRONG += ["\uff12:4", "block", "block:4", "block:4x", "block:0x4", "block:4x4x4", "block:-1x4", "block: 4x4"]
WRONG += [124, None, 2.4]


@pytest.mark.parametrize("text", WRONG)
def test_what_is_no_pattern_is_refused_in_one_line(text):
    with pytest.raises(LotteryError) as caught:
        pattern(text, "pruning.pattern")
    message = str(caught.value)
    assert message.startswith("Expected pruning.pattern as single, units, a block such as block:4x4, or N:M")
    assert message.endswith(f"Received: {text!r}")


def test_single_weights_are_groups_of_their_own():
    assert numbers("single", (2, 3)).tolist() == [[0, 1, 2], [3, 4, 5]]


def test_units_are_the_last_axis_and_of_a_depthwise_kernel_the_last_two():
    assert numbers("units", (2, 3)).tolist() == [[0, 1, 2], [0, 1, 2]]
    filters = numbers("units", (3, 3, 5, 4))
    assert all((filters[..., unit] == unit).all() for unit in range(4))
    depthwise = numbers("units", (3, 3, 2, 2), unit_axes=2)
    assert (depthwise == np.array([[0, 1], [2, 3]])).all()


def test_blocks_tile_inputs_and_outputs_and_are_smaller_at_the_edges():
    assert numbers("block:2x2", (3, 5)).tolist() == [[0, 0, 1, 1, 2], [0, 0, 1, 1, 2], [3, 3, 4, 4, 5]]
    assert numbers("block:9x9", (3, 5)).tolist() == np.zeros((3, 5), int).tolist()


def test_blocks_of_a_convolution_stay_within_a_position():
    found = numbers("block:2x2", (2, 1, 3, 2))
    assert found[0, 0].tolist() == [[0, 0], [0, 0], [1, 1]]
    assert found[1, 0].tolist() == [[2, 2], [2, 2], [3, 3]]


def test_n_of_m_runs_along_the_inputs_of_each_output_and_position():
    assert numbers("1:2", (4, 2)).tolist() == [[0, 1], [0, 1], [2, 3], [2, 3]]
    assert numbers("1:2", (3, 2)).tolist() == [[0, 1], [0, 1], [2, 3]]
    assert numbers("1:2", (2, 1, 2, 1)).ravel().tolist() == [0, 0, 1, 1]
