import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers, ops

from tf_lottery.layers.inputs import draw_inputs
from tf_lottery.layers.same import difference


def first(model):
    return next(draw_inputs(model))


def test_integers_lie_within_the_vocabulary():
    model = keras.Sequential([keras.Input((50,), dtype="int32"), layers.Embedding(3, 2)])
    found = np.asarray(first(model))
    assert (found.shape, set(found.ravel().tolist())) == ((2, 50), {0, 1, 2})


def test_strings_are_from_the_vocabulary_and_others():
    lookup = layers.StringLookup(vocabulary=["red"])
    found = np.asarray(first(keras.Sequential([keras.Input((40,), dtype="string"), lookup])))
    assert {b"red", b"a"} <= set(found.ravel().tolist())


def test_floats_booleans_bytes_and_dictionaries_keep_their_form():
    inputs = {
        "floats": keras.Input((3,), name="floats"),
        "flags": keras.Input((2,), dtype="bool", name="flags"),
        "pixels": keras.Input((4,), dtype="uint8", name="pixels"),
    }
    cast = [ops.cast(each, "float32") for each in inputs.values()]
    model = keras.Model(inputs, layers.Dense(1)(layers.Concatenate()(cast)))
    found = first(model)
    assert {name: (each.shape[1], each.dtype.name) for name, each in found.items()} == {
        "floats": (3, "float32"),
        "flags": (2, "bool"),
        "pixels": (4, "uint8"),
    }


def test_what_a_model_leaves_open_is_tried_in_several_sizes():
    inputs = keras.Input((None, None, 1))
    x = layers.MaxPooling2D(5)(layers.Conv2D(2, 5)(inputs))
    model = keras.Model(inputs, layers.Conv2D(2, 5)(layers.MaxPooling2D(3)(x)))
    assert [each.shape[1] for each in draw_inputs(model)] == [8, 32, 128]
    with pytest.raises((ValueError, tf.errors.OpError)):
        model(first(model))
    assert difference(model, model) is None


def test_a_model_for_which_none_can_be_drawn_says_why():
    class Picky(layers.Layer):
        def call(self, x):
            raise ValueError("only on Sundays")

        def compute_output_shape(self, shape):
            return shape

    inputs = keras.Input((3,))
    model = keras.Model(inputs, Picky()(inputs))
    found = difference(model, model)
    assert found.startswith("the model fails on inputs drawn for it: ")
    assert "only on Sundays" in found
