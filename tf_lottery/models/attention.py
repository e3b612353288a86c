"""The two layers of a transformer that Keras lacks in a form that can be pruned.

`keras.layers.MultiHeadAttention` holds its projections inside; here they are Dense layers
around `DotProductAttention`, so that each can be pruned at a rate of its own. A file with
these layers loads where tf_lottery is installed and was imported after Keras.
"""

from typing import Any

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="tf_lottery")
class DotProductAttention(keras.layers.Layer):
    """Scaled dot-product attention in several heads (Vaswani et al. 2017), without weights.

    Args:
        heads: number of heads; divides the width of the inputs.
        **kwargs: as of `keras.layers.Layer`.
    """

    def __init__(self, heads: int, **kwargs: Any):
        super().__init__(**kwargs)
        self.heads = heads

    def call(self, query: Any, key: Any, value: Any) -> Any:
        """Return (batch, tokens, width) from three tensors of that shape."""
        query, key, value = (self._split(projected) for projected in (query, key, value))
        # Scaled before the product, which is larger than the query.
        query = query * query.shape[-1] ** -0.5
        weights = ops.softmax(ops.einsum("bqhd,bkhd->bhqk", query, key), axis=-1)
        return self._merge(ops.einsum("bhqk,bkhd->bqhd", weights, value))

    def compute_output_shape(self, query_shape: Any, key_shape: Any, value_shape: Any) -> Any:
        """Return the shape of the query."""
        return query_shape

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that build this layer again."""
        return {**super().get_config(), "heads": self.heads}

    def _split(self, x):
        return ops.reshape(x, (-1, x.shape[1], self.heads, x.shape[2] // self.heads))

    def _merge(self, x):
        return ops.reshape(x, (-1, x.shape[1], x.shape[2] * x.shape[3]))


@keras.saving.register_keras_serializable(package="tf_lottery")
class PositionEmbedding(keras.layers.Layer):
    """Adds a learned vector to each token; normal initialization, standard deviation 0.02."""

    def build(self, input_shape: Any) -> None:
        """Create the embedding, of shape (tokens, width)."""
        initializer = keras.initializers.RandomNormal(stddev=0.02)
        self.embedding = self.add_weight(shape=input_shape[1:], initializer=initializer, name="embedding")

    def call(self, inputs: Any) -> Any:
        """Return inputs, (batch, tokens, width), plus the embedding."""
        return inputs + self.embedding

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Return the shape of the inputs."""
        return input_shape
