"""Which variables of a layer are kernels that can be pruned.

A further layer is a line in `KERNELS`.
"""

import keras

KERNELS: dict[type, tuple[str, ...]] = {
    keras.layers.Dense: ("kernel",),
    keras.layers.Conv2D: ("kernel",),
}


def kernel_names(layer: keras.Layer) -> tuple[str, ...]:
    """Return the attributes of `layer` that hold prunable kernels, () if it has none.

    Looks at the exact class: a subclass may use its kernel in another way.
    """
    return KERNELS.get(type(layer), ())
