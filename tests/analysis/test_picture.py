"""Pictures of characters, by hand."""

import numpy as np

from tf_lottery.analysis.picture import bars, picture


def test_two_characters_a_place_and_only_nothing_is_blank():
    assert picture(np.array([[0, 9], [0.001, 4.5]])) == ["  @@", "..++"]
    assert picture(np.zeros((2, 3))) == ["", ""]


def test_shades_are_ninths_of_the_most_rounded_up():
    assert picture(np.arange(10)[None]) == ["  ..::--==++**##%%@@"]
    assert picture(np.arange(10)[None] / 7) == ["  ..::--==++**##%%@@"]


def test_a_picture_that_is_too_wide_is_of_the_means_of_squares():
    values = np.zeros((4, 5))
    values[0, 0], values[3, 4] = 4, 1  # means of 2 x 2, and of 2 x 1: 1 and 0.5 of a lower, narrower square
    assert picture(values, width=6) == ["@@", "    ++"]
    assert picture(values, width=10)[0] == "@@"
    assert max(map(len, picture(np.ones((300, 224))))) <= 100


def test_bars_are_as_long_as_their_share_of_the_longest():
    assert bars(["3", "12"], [8, 2], width=4) == [" 3      8.0 ####", "12      2.0 #"]
    assert bars(["3"], [0.0]) == ["3      0.0"]
    assert bars([], []) == []
