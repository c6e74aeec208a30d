"""Networks by the size of the examples, for those who do not choose any."""

from collections.abc import Callable
from typing import Any

import gin

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


def image_networks(
    image_shape: tuple[int, int, int], latent_dim: int, width: int = _WIDTH
):
    """Return encoder and decoder for images of a size.

    Args:
        image_shape: (height, width, channels). 28x28x1, 32x32x3 and 64x64 with
            1 or 3 channels have the paper's convolutions, other images of up to
            32x32 pixels multilayer perceptrons.
        latent_dim: size of a code, > 0.
        width: channels of the first convolution, a multiple of 8.

    Raises:
        ValueError: if there are no networks for images of this size.
    """
    return (
        encoder_by_size(image_shape, latent_dim, width, _IMAGE_DTYPE),
        decoder_by_size(image_shape, latent_dim, width, _IMAGE_DTYPE),
    )


@gin.register(module="nae_tf")
def encoder_by_size(
    image_shape: tuple[int, int, int],
    latent_dim: int,
    width: int = _WIDTH,
    dtype=None,
):
    """Return the encoder of `image_networks`.

    Args:
        image_shape: (height, width, channels).
        latent_dim: size of a code, > 0.
        width: channels of the first convolution, a multiple of 8.
        dtype: dtype, policy or its name; None for Keras's global policy.

    Raises:
        ValueError: if there are no networks for images of this size.
    """
    encoder, _, sizes = _classes(tuple(image_shape), width)
    if encoder in (Conv28Encoder, Conv32Encoder):
        sizes = {**sizes, "hidden_units": _HIDDEN_UNITS * width // _WIDTH}
    return encoder(latent_dim, **sizes, dtype=dtype)


@gin.register(module="nae_tf")
def decoder_by_size(
    image_shape: tuple[int, int, int],
    latent_dim: int,
    width: int = _WIDTH,
    dtype=None,
):
    """Return the decoder of `image_networks`.

    Arguments and errors are those of `encoder_by_size`.
    """
    _, decoder, sizes = _classes(tuple(image_shape), width)
    return decoder(latent_dim, **sizes, dtype=dtype)


def _classes(image_shape, width) -> tuple[Any, Any, dict[str, Any]]:
    """Return encoder and decoder with the arguments that both have."""
    height, breadth, channels = image_shape
    fitting: dict[tuple, tuple] = {
        (28, 28, 1): (Conv28Encoder, Conv28Decoder, {}),
        (32, 32, 3): (Conv32Encoder, Conv32Decoder, {}),
    }
    if (height, breadth) == (64, 64) and channels in (1, 3):
        sizes = {"channels": channels}
        fitting[image_shape] = (Conv64Encoder, Conv64Decoder, sizes)
    if image_shape in fitting:
        encoder, decoder, sizes = fitting[image_shape]
        return encoder, decoder, {"width": width, **sizes}
    if max(height, breadth) <= _MAX_DENSE_SIDE:
        return MLPEncoder, MLPDecoder, {"example_shape": image_shape}
    raise ValueError(
        f"there are no networks for images of {height}x{breadth} pixels and "
        f"{channels} channels; resize them to 28x28 (1 channel), 32x32 (3) or "
        "64x64 (1 or 3). NAEDetector also takes networks, a function "
        "(image_shape, latent_dim) -> (encoder, decoder)."
    )
