"""A variable that a SavedModel stores packed, and that is made dense once, when the model is loaded.

TensorFlow restores a SavedModel's variables from its checkpoint at their full size. A custom resource is only
created and initialized. Here it is a variable's handle, and the initializer assigns the values at their
positions. From then on it is read like any variable, so a call costs the same as with a dense one.
"""

import tensorflow as tf

from tf_lottery.exports.formats.packing import SKIP, Packed


class PackedVariable(tf.saved_model.experimental.TrackableResource):
    """A variable that is stored as its values and positions.

    Args:
        packed: The packed array, as `pack` returns it.
        name: A name that is unique in the SavedModel.

    Attributes:
        parts: The variables with values and positions. They must be attached to the saved object, too.
    """

    def __init__(self, packed: Packed, name: str):
        super().__init__()
        self._packed, self._shared_name = packed, name
        self._dtype = tf.as_dtype(packed.values.dtype)
        with tf.device("cpu"):
            self.parts = [tf.Variable(packed.values, trainable=False, name=f"{name}/values")]
            self.parts.append(tf.Variable(packed.positions, trainable=False, name=f"{name}/positions"))
        _ = self.resource_handle
        self._initialize()

    def read(self) -> tf.Tensor:
        """Return the dense tensor."""
        value = tf.raw_ops.ReadVariableOp(resource=self.resource_handle, dtype=self._dtype)
        return tf.ensure_shape(value, self._packed.shape)

    def _create_resource(self) -> tf.Tensor:
        return tf.raw_ops.VarHandleOp(
            dtype=self._dtype, shape=self._packed.shape, shared_name=self._shared_name
        )

    def _initialize(self) -> None:
        tf.raw_ops.AssignVariableOp(resource=self.resource_handle, value=self._dense())

    def _dense(self) -> tf.Tensor:
        values, positions = self.parts
        size = int(tf.TensorShape(self._packed.shape).num_elements())
        if self._packed.coding == "bitmask":
            bits = tf.bitwise.right_shift(
                tf.convert_to_tensor(positions)[:, None], tf.constant([7, 6, 5, 4, 3, 2, 1, 0], tf.uint8)
            )
            indices = tf.where(tf.reshape(tf.bitwise.bitwise_and(bits, tf.constant(1, tf.uint8)), [-1]) > 0)
        else:
            gaps = tf.convert_to_tensor(positions)
            ends = tf.cumsum(tf.cast(gaps, tf.int64)) - 1
            indices = tf.boolean_mask(ends, gaps < SKIP)[:, None]
        flat = tf.scatter_nd(indices, tf.convert_to_tensor(values), [size])
        return tf.reshape(flat, self._packed.shape)
