"""Networks for 32x32 colour images: Conv32 and Conv32Big."""

import gin
import keras

from nae_tf.networks.layers import SpectralNormConv2D, xavier_uniform
from nae_tf.networks.network import LayerBuilder, Network


@gin.register(module="nae_tf")
@keras.saving.register_keras_serializable(package="nae_tf")
class Conv32Encoder(Network):
    """The small encoder of 32 x 32 x 3 images, as Table 10 prints it.

    conv4/2(w) - conv4/2(2w) - conv4/2(4w) - conv2/2(8w) - conv1(latent_dim),
    each with ReLU, then a residual attention block, x + R1(x) * sigmoid(R2(x))
    with R(x) = x + conv3(LReLU(conv3(LReLU(x)))).

    The block's 3 x 3 convolutions act on a single position, so that only
    their central taps matter. The authors published no code of this network;
    their CIFAR-10 results come from `Conv32BigEncoder`.

    Input: [batch, 32, 32, 3], in [0, 1]. Output: [batch, latent_dim].

    Args:
        latent_dim: int > 0. Size of a code.
        width: int > 0. Channels of the first layer (w above).
        hidden_units: int > 0. Hidden channels of the attention block.
        dtype: dtype, policy or its name; None for Keras's global policy.
        name: name of the model.

    Example:
        >>> from nae_tf.networks import Conv32Decoder, Conv32Encoder
        >>> encoder = Conv32Encoder(latent_dim=8, width=4)
        >>> decoder = Conv32Decoder(latent_dim=8, width=4)
        >>> encoder.output_shape, decoder.output_shape
        ((None, 8), (None, 32, 32, 3))
    """

    def __init__(
        self,
        latent_dim: int = 32,
        width: int = 32,
        hidden_units: int = 1024,
        dtype=None,
        name: str | None = None,
    ):
        build = LayerBuilder(dtype)
        inputs = build.input((32, 32, 3))
        x = build.conv(inputs, width, 4, strides=2, activation="relu")
        x = build.conv(x, 2 * width, 4, strides=2, activation="relu")
        x = build.conv(x, 4 * width, 4, strides=2, activation="relu")
        x = build.conv_to_point(x, 8 * width, activation="relu")
        x = build.dense(x, latent_dim, activation="relu")
        x = build.reshape(x, (1, 1, latent_dim))
        value = _residual(build, x, hidden_units)
        gate = build.activation(_residual(build, x, hidden_units), "sigmoid")
        x = build.add(x, build.multiply(value, gate))
        outputs = build.flatten(x)
        super().__init__(inputs, outputs, dtype, name)


def _residual(build, x, hidden):
    """Compute x + conv3(LReLU(conv3(LReLU(x)))), Res in Table 10."""
    y = build.conv(build.leaky_relu(x), hidden, 3, padding="same")
    y = build.conv(build.leaky_relu(y), x.shape[-1], 3, padding="same")
    return build.add(x, y)


@gin.register(module="nae_tf")
@keras.saving.register_keras_serializable(package="nae_tf")
class Conv32Decoder(Network):
    """The small decoder of 32 x 32 x 3 images, as Table 10 prints it.

    convT6(4w) - convT4/2(2w) - convT4/2(w) - convT3(3) - sigmoid, with ReLU
    after the hidden layers.

    Input: [batch, latent_dim]. Output: [batch, 32, 32, 3], in [0, 1].

    Args:
        latent_dim: int > 0. Size of a code.
        width: int > 0. Channels before the last layer (w above).
        dtype: dtype, policy or its name; None for Keras's global policy.
        name: name of the model.
    """

    def __init__(
        self,
        latent_dim: int = 32,
        width: int = 64,
        dtype=None,
        name: str | None = None,
    ):
        build = LayerBuilder(dtype)
        inputs = build.input((latent_dim,))
        x = build.conv_transpose_from_point(
            inputs, 4 * width, 6, activation="relu"
        )
        x = build.conv_transpose(x, 2 * width, 4, strides=2, activation="relu")
        x = build.conv_transpose(x, width, 4, strides=2, activation="relu")
        outputs = build.conv_transpose(x, 3, 3, activation="sigmoid")
        super().__init__(inputs, outputs, dtype, name)


@gin.register(module="nae_tf")
@keras.saving.register_keras_serializable(package="nae_tf")
class Conv32BigEncoder(Network):
    """The encoder of the authors' CIFAR-10 experiment (Du & Mordatch, 2019).

    conv3(w) - LReLU - blocks of w (down), w, 2w (down), 2w, 2w (down) and 2w
    channels - ReLU - global average pooling - FC(latent_dim). A block is
    LReLU(pool(conv3(LReLU(conv3(x))) + skip(x))). Only a block that goes down
    has a pool; skip is a 1 x 1 convolution if the block goes down or widens.

    Input: [batch, 32, 32, 3], in [0, 1]. Output: [batch, latent_dim].

    Args:
        latent_dim: int > 0. Size of a code.
        width: int > 0. Channels of the first layer (w above).
        spectral_norm: whether every kernel is normalised spectrally, as the
            paper says, by `layers.SpectralNormConv2D`.
        dtype: dtype, policy or its name; None for Keras's global policy.
        name: name of the model.

    Example:
        >>> from nae_tf.networks import Conv32BigDecoder, Conv32BigEncoder
        >>> encoder = Conv32BigEncoder(latent_dim=8, width=4)
        >>> decoder = Conv32BigDecoder(latent_dim=8, width=4)
        >>> encoder.output_shape, decoder.output_shape
        ((None, 8), (None, 32, 32, 3))
    """

    def __init__(
        self,
        latent_dim: int = 32,
        width: int = 128,
        # Differs from the paper: section D.3 has spectral normalisation; the
        # experiment behind Table 2 did without.
        spectral_norm: bool = False,
        dtype=None,
        name: str | None = None,
    ):
        build = LayerBuilder(dtype)
        layer_class = (
            SpectralNormConv2D if spectral_norm else keras.layers.Conv2D
        )
        inputs = build.input((32, 32, 3))
        x = build.conv(
            inputs, width, 3, padding="same", layer_class=layer_class
        )
        x = build.leaky_relu(x)
        for filters, down in (
            (width, True),
            (width, False),
            (2 * width, True),
            (2 * width, False),
            (2 * width, True),
            (2 * width, False),
        ):
            x = _down_block(build, x, filters, down, layer_class)
        # Differs from the paper: Table 10 prints LReLU before the pooling.
        x = build.global_average_pool(build.relu(x))
        x = build.conv(x, latent_dim, 1, layer_class=layer_class)
        outputs = build.flatten(x)
        super().__init__(inputs, outputs, dtype, name)


def _down_block(build, x, filters, down, layer_class):
    """Apply one residual block of `Conv32BigEncoder`."""
    # Differs from the paper: Table 10 prints activations before the
    # convolutions and no convolution on the skip path, with which the number
    # of channels could not grow.
    y = build.conv(x, filters, 3, padding="same", layer_class=layer_class)
    y = build.leaky_relu(y)
    y = build.conv(y, filters, 3, padding="same", layer_class=layer_class)
    if down or x.shape[-1] != filters:
        x = build.conv(x, filters, 1, use_bias=False, layer_class=layer_class)
    y = build.add(y, x)
    if down:
        y = build.average_pool(y)
    return build.leaky_relu(y)


@gin.register(module="nae_tf")
@keras.saving.register_keras_serializable(package="nae_tf")
class Conv32BigDecoder(Network):
    """The decoder of the authors' CIFAR-10 experiment (Miyato et al., 2018).

    convT4(w) - 3 blocks - GN - ReLU - conv3(3) - sigmoid. A block doubles the
    image's sides: nearest(x) + conv3(ReLU(GN(conv3(nearest(ReLU(GN(x))))))).
    Kernels start Xavier-uniform, as in the authors' code.

    Input: [batch, latent_dim]. Output: [batch, 32, 32, 3], in [0, 1].

    Args:
        latent_dim: int > 0. Size of a code.
        width: int > 0. Channels of all hidden layers (w above).
        block_groups: int, a divisor of `width`. Groups of the blocks' group
            normalisation.
        output_groups: int, a divisor of `width`. Groups of the last group
            normalisation.
        dtype: dtype, policy or its name; None for Keras's global policy.
        name: name of the model.
    """

    def __init__(
        self,
        latent_dim: int = 32,
        width: int = 128,
        # Differs from the paper: section D.3 has 8 groups; the experiment
        # behind Table 2 had 1 and 2.
        block_groups: int = 1,
        output_groups: int = 2,
        dtype=None,
        name: str | None = None,
    ):
        build = LayerBuilder(dtype, xavier_uniform)
        inputs = build.input((latent_dim,))
        x = build.conv_transpose_from_point(inputs, width, 4)
        for _ in range(3):
            x = _up_block(build, x, block_groups)
        x = build.relu(build.group_norm(x, output_groups))
        outputs = build.conv(x, 3, 3, padding="same", activation="sigmoid")
        super().__init__(inputs, outputs, dtype, name)


def _up_block(build, x, groups):
    """Apply one block of `Conv32BigDecoder`, ResUp in Table 10."""
    filters = x.shape[-1]
    y = build.relu(build.group_norm(x, groups))
    y = build.conv(build.upsample_nearest(y), filters, 3, padding="same")
    y = build.relu(build.group_norm(y, groups))
    y = build.conv(y, filters, 3, padding="same")
    return build.add(build.upsample_nearest(x), y)
