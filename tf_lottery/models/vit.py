"""A small vision transformer (Dosovitskiy et al. 2021).

It consists of pre-norm blocks with GELU over a linear embedding of patches and a learned position embedding.
The tokens are averaged before the output (Beyer et al. 2022); there is no class token.
Kernels are initialized with uniform Glorot, biases with zeros, and the outputs are logits.
"""

import keras
from keras import layers

from tf_lottery.errors import LotteryError
from tf_lottery.models.attention import DotProductAttention, PositionEmbedding

_EPSILON = 1e-6  # for layer normalization, as in the paper's code


def vit(
    input_shape: tuple[int, ...],
    classes: int,
    patch: int = 4,
    width: int = 64,
    depth: int = 4,
    heads: int = 4,
    mlp: int = 128,
    dropout: float = 0.0,
) -> keras.Model:
    """Return a vision transformer: 141,898 parameters for CIFAR-10 with these defaults.

    Args:
        input_shape: Shape of an image: (height, width, channels).
        classes: Number of classes.
        patch: Height and width of a patch, in pixels.
        width: Number of features of a token.
        depth: Number of blocks.
        heads: Number of attention heads in a block.
        mlp: Number of units in the hidden layer of a block.
        dropout: Dropout rate after the embedding, the attention and both layers of a block's MLP.
            With 0 there are no dropout layers.

    Raises:
        LotteryError: If the patches don't tile the image, or the heads don't divide the width.
    """
    if len(input_shape) != 3 or input_shape[0] % patch or input_shape[1] % patch:
        raise LotteryError(
            f"Expected images (height, width, channels) that divide into patches of {patch} x {patch}. "
            f"Received: {tuple(input_shape)}"
        )
    if width % heads:
        raise LotteryError(f"Expected a number of heads that divides the width, {width}. Received: {heads}")

    def dropped(x, name: str):
        return layers.Dropout(dropout, name=name)(x) if dropout else x

    inputs = keras.Input(input_shape)
    x = layers.Dense(width, name="patch_embedding")(_patches(inputs, patch))
    x = dropped(PositionEmbedding(name="position_embedding")(x), "dropout")
    for block in range(1, depth + 1):
        name = f"block{block}"
        inner = layers.LayerNormalization(epsilon=_EPSILON, name=f"{name}_norm1")(x)
        query, key, value = (
            layers.Dense(width, name=f"{name}_{role}")(inner) for role in ("query", "key", "value")
        )
        inner = DotProductAttention(heads, name=f"{name}_attention")(query, key, value)
        inner = dropped(layers.Dense(width, name=f"{name}_out")(inner), f"{name}_dropout1")
        x = layers.Add(name=f"{name}_add1")([x, inner])
        inner = layers.LayerNormalization(epsilon=_EPSILON, name=f"{name}_norm2")(x)
        inner = dropped(layers.Dense(mlp, "gelu", name=f"{name}_mlp1")(inner), f"{name}_dropout2")
        inner = dropped(layers.Dense(width, name=f"{name}_mlp2")(inner), f"{name}_dropout3")
        x = layers.Add(name=f"{name}_add2")([x, inner])
    x = layers.LayerNormalization(epsilon=_EPSILON, name="norm")(x)
    x = layers.GlobalAveragePooling1D(name="pool")(x)
    return keras.Model(inputs, layers.Dense(classes, name="output")(x), name="vit")


def _patches(images, patch: int):
    """Cut images into patches, of shape (batch, tokens, patch * patch * channels)."""
    height, width, channels = images.shape[1:]
    rows, columns = height // patch, width // patch
    x = layers.Reshape((rows, patch, columns, patch, channels), name="cut")(images)
    x = layers.Permute((1, 3, 2, 4, 5), name="sort")(x)
    return layers.Reshape((rows * columns, patch * patch * channels), name="patches")(x)
