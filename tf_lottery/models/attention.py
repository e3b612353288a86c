"""The two transformer layers that Keras doesn't offer in a form that can be pruned.

`keras.layers.MultiHeadAttention` hides its projections; here they are Dense layers around
`DotProductAttention`, so that each can be pruned at its own rate. A file with these layers can be
loaded where tf_lottery is installed and was imported after Keras.
"""

from typing import Any

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="tf_lottery")
class DotProductAttention(keras.layers.Layer):
    """Multi-head scaled dot-product attention (Vaswani et al. 2017), without weights.

    Args:
        heads: Number of heads; it must divide the width of the inputs.
        **kwargs: Arguments of `keras.layers.Layer`.
    """

    def __init__(self, heads: int, **kwargs: Any):
        super().__init__(**kwargs)
        self.heads = heads

    def call(self, query: Any, key: Any, value: Any) -> Any:
        """Return (batch, tokens, width) from three tensors of that shape."""
        query, key, value = (self._split(projected) for projected in (query, key, value))
        # Scale the query rather than the product, which is larger.
        query = query * query.shape[-1] ** -0.5
        weights = ops.softmax(ops.einsum("bqhd,bkhd->bhqk", query, key), axis=-1)
        return self._merge(ops.einsum("bhqk,bkhd->bqhd", weights, value))

    def compute_output_shape(self, query_shape: Any, key_shape: Any, value_shape: Any) -> Any:
        """Return the shape of the query."""
        return query_shape

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that create this layer."""
        return {**super().get_config(), "heads": self.heads}

    def _split(self, x):
        return ops.reshape(x, (-1, x.shape[1], self.heads, x.shape[2] // self.heads))

    def _merge(self, x):
        return ops.reshape(x, (-1, x.shape[1], x.shape[2] * x.shape[3]))


@keras.saving.register_keras_serializable(package="tf_lottery")
class PositionEmbedding(keras.layers.Layer):
    """Adds a learned vector to each token; initialized from a normal distribution with deviation 0.02."""

    def build(self, input_shape: Any) -> None:
        """Create the embedding, of shape (tokens, width)."""
        initializer = keras.initializers.RandomNormal(stddev=0.02)
        self.embedding = self.add_weight(shape=input_shape[1:], initializer=initializer, name="embedding")

    def call(self, inputs: Any) -> Any:
        """Return the inputs, of shape (batch, tokens, width), plus the embedding."""
        return inputs + self.embedding

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Return the shape of the inputs."""
        return input_shape
