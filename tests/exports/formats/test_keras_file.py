"""`.keras` files of layers and functions of one's own."""

import keras

from tf_lottery.exports.formats.keras_file import custom_modules


@keras.saving.register_keras_serializable("tests")
def twice(x):
    return 2 * x


@keras.saving.register_keras_serializable("tests")
class Steps(keras.initializers.Initializer):
    def __call__(self, shape, dtype=None):
        return keras.ops.ones(shape, dtype)


def net(**options):
    return keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, **options)])


def test_a_fresh_process_is_told_where_functions_come_from():
    assert custom_modules(net(activation="relu")) == []
    assert custom_modules(net(activation=twice)) == [__name__]
    assert custom_modules(net(bias_initializer=Steps())) == [__name__]
