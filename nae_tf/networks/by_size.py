"""Networks by the size of the examples, for those who do not choose any."""

from collections.abc import Callable
from typing import Any

from nae_tf.networks.conv28 import Conv28Decoder, Conv28Encoder
from nae_tf.networks.conv32 import Conv32Decoder, Conv32Encoder
from nae_tf.networks.conv64 import Conv64Decoder, Conv64Encoder
from nae_tf.networks.fc_res2 import FCRes2Decoder, FCRes2Encoder
from nae_tf.networks.mlp import MLPDecoder, MLPEncoder

# In single precision the score of a row would depend on its batch.
_VECTOR_DTYPE = "float64"
_IMAGE_DTYPE = "float32"
# A quarter of the paper's width or less, for CPUs.
_WIDTH = 8
_HIDDEN_UNITS = 256
_MAX_DENSE_SIDE = 32


def mlp_networks(num_features: int, latent_dim: int):
    """Return a multilayer perceptron and its mirror image."""
    shape = (num_features,)
    return (
        MLPEncoder(latent_dim, shape, (128, 128), dtype=_VECTOR_DTYPE),
        MLPDecoder(latent_dim, shape, (128, 128), None, dtype=_VECTOR_DTYPE),
    )


def fc_res2_networks(num_features: int, latent_dim: int):
    """Return the paper's networks for vectors, narrower and with two blocks."""
    sizes: dict[str, Any] = {"units": 64, "hidden_units": 256, "num_blocks": 2}
    return (
        FCRes2Encoder(latent_dim, num_features, **sizes, dtype=_VECTOR_DTYPE),
        FCRes2Decoder(latent_dim, num_features, **sizes, dtype=_VECTOR_DTYPE),
    )


NETWORKS: dict[str, Callable] = {
    "FCRes2": fc_res2_networks,
    "MLP": mlp_networks,
}


def image_networks(image_shape: tuple[int, int, int], latent_dim: int):
    """Return encoder and decoder for images of a size.

    Args:
        image_shape: (height, width, channels). 28x28x1, 32x32x3 and 64x64x3
            have the paper's convolutions, other images of up to 32x32 pixels
            multilayer perceptrons.
        latent_dim: size of a code, > 0.

    Raises:
        ValueError: if there are no networks for images of this size.
    """
    encoder, decoder = _classes(image_shape)
    if encoder is MLPEncoder:
        sizes: dict[str, Any] = {"example_shape": image_shape}
        return (
            encoder(latent_dim, **sizes, dtype=_IMAGE_DTYPE),
            decoder(latent_dim, **sizes, dtype=_IMAGE_DTYPE),
        )
    hidden = {} if encoder is Conv64Encoder else {"hidden_units": _HIDDEN_UNITS}
    return (
        encoder(latent_dim, width=_WIDTH, **hidden, dtype=_IMAGE_DTYPE),
        decoder(latent_dim, width=_WIDTH, dtype=_IMAGE_DTYPE),
    )


def _classes(image_shape):
    fitting: dict[tuple, tuple[Any, Any]] = {
        (28, 28, 1): (Conv28Encoder, Conv28Decoder),
        (32, 32, 3): (Conv32Encoder, Conv32Decoder),
        (64, 64, 3): (Conv64Encoder, Conv64Decoder),
    }
    if image_shape in fitting:
        return fitting[image_shape]
    height, width, channels = image_shape
    if max(height, width) <= _MAX_DENSE_SIDE:
        return MLPEncoder, MLPDecoder
    raise ValueError(
        f"NAEDetector: there are no networks for images of {height}x{width} "
        f"pixels and {channels} channels; resize them to 28x28 (1 channel), "
        "32x32 or 64x64 (3 channels), or set networks to a function "
        "(image_shape, latent_dim) -> (encoder, decoder)."
    )
