"""A small vision transformer (Dosovitskiy et al. 2021).

Pre-norm blocks over a linear embedding of patches and a learned position embedding, GELU.
The tokens are averaged before the output (Beyer et al. 2022); there is no class token.
Uniform Glorot throughout, biases zero, logits out.
"""

import keras
from keras import layers

from tf_lottery.errors import LotteryError
from tf_lottery.models.attention import DotProductAttention, PositionEmbedding

_EPSILON = 1e-6  # of layer normalization, as in the paper's code


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
        input_shape: (height, width, channels) of an image.
        classes: number of classes.
        patch: height and width of a patch, in pixels.
        width: of a token.
        depth: number of blocks.
        heads: of the attention in a block.
        mlp: units of the hidden layer in a block.
        dropout: rate after the embedding, the attention and both layers of a block's MLP;
            0: no such layers.

    Raises:
        LotteryError: patches that don't tile the image, or heads that don't divide the width.
    """
    if len(input_shape) != 3 or input_shape[0] % patch or input_shape[1] % patch:
        raise LotteryError(
            f"Expected images (height, width, channels) that patches of {patch} x {patch} tile. "
            f"Received: {tuple(input_shape)}"
        )
    if width % heads:
        raise LotteryError(f"Expected heads that divide width {width}. Received: {heads}")

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
    """Cut images into patches: (batch, tokens, patch * patch * channels)."""
    height, width, channels = images.shape[1:]
    rows, columns = height // patch, width // patch
    x = layers.Reshape((rows, patch, columns, patch, channels), name="cut")(images)
    x = layers.Permute((1, 3, 2, 4, 5), name="sort")(x)
    return layers.Reshape((rows * columns, patch * patch * channels), name="patches")(x)
