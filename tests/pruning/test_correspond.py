import pytest

from tf_lottery.pruning.correspond import correspond

PAIR = {"dense/kernel": (4, 3), "dense/bias": (3,), "dense_1/kernel": (3, 2), "dense_1/bias": (2,)}


def numbered(by, shapes=PAIR):
    """The same network, built after `by` other layers."""
    names = {"dense": f"dense_{by}", "dense_1": f"dense_{by + 1}"}
    return {
        "/".join([names[path.split("/")[0]], path.split("/")[1]]): shape for path, shape in shapes.items()
    }


def test_equal_paths_are_the_same():
    found = correspond(PAIR, dict(reversed(PAIR.items())))
    assert found.complete
    assert found.pairs == {path: path for path in PAIR}
    assert found.differences() == ""


@pytest.mark.parametrize("by", [1, 7])
def test_where_keras_numbers_otherwise_layers_correspond_in_order(by):
    found = correspond(PAIR, numbered(by))
    assert found.complete
    assert found.pairs["dense/kernel"] == f"dense_{by}/kernel"
    assert found.pairs["dense_1/kernel"] == f"dense_{by + 1}/kernel"
    assert list(correspond(numbered(by), PAIR).pairs.values()) == list(PAIR)


def test_numbers_in_the_middle_of_paths_and_names_count_as_they_should():
    first = {"model_3/block_1/dense/kernel": (2,), "model_3/conv1/kernel": (3,)}
    second = {"model/block_7/dense_9/kernel": (2,), "model/conv1/kernel": (3,)}
    assert correspond(first, second).complete
    assert not correspond({"conv1/kernel": (3,)}, {"conv2/kernel": (3,)}).complete


def test_a_missing_and_a_foreign_array_are_named():
    first, second = {"a/kernel": (1,), "b/kernel": (2,)}, {"a/kernel": (1,), "c/kernel": (2,)}
    found = correspond(first, second)
    assert (found.pairs, found.missing, found.foreign) == (
        {"a/kernel": "a/kernel"},
        ("b/kernel",),
        ("c/kernel",),
    )
    assert found.differences() == "missing: b/kernel; unexpected: c/kernel"


def test_other_shapes_are_told():
    found = correspond(PAIR, {**PAIR, "dense_1/kernel": (3, 9), "dense_1/bias": (9,)})
    assert found.misshapen == {"dense_1/kernel": ((3, 2), (3, 9)), "dense_1/bias": ((2,), (9,))}
    assert set(found.pairs) == {"dense/kernel", "dense/bias"}
    assert found.differences().startswith("different shapes: dense_1/kernel has (3, 9), not (3, 2), ")


def test_the_head_of_another_task_is_what_differs_also_under_other_numbers():
    found = correspond(PAIR, numbered(5, PAIR | {"dense_1/kernel": (3, 7), "dense_1/bias": (7,)}))
    assert found.pairs == {"dense/kernel": "dense_5/kernel", "dense/bias": "dense_5/bias"}
    assert set(found.misshapen) == {"dense_1/kernel", "dense_1/bias"}


def test_another_number_of_layers_called_alike_is_not_guessed():
    second = {"dense/kernel": (4, 3), "dense_5/kernel": (3, 3), "dense_6/kernel": (3, 2)}
    found = correspond({"dense/kernel": (4, 3), "dense_1/kernel": (3, 2)}, second)
    assert found.pairs == {"dense/kernel": "dense/kernel"}
    assert found.missing == ("dense_1/kernel",)
    assert found.foreign == ("dense_5/kernel", "dense_6/kernel")


def test_long_lists_are_cut():
    first = {f"layer{i}/kernel": (1,) for i in range(9)}
    assert correspond(first, {}).differences(limit=2) == "missing: layer0/kernel, layer1/kernel, ..."
    assert correspond({}, {}).complete
