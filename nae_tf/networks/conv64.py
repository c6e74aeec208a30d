"""Networks for 64x64 images, in colour if nothing else is said."""

import gin
import keras

from nae_tf.networks.network import LayerBuilder, Network


@gin.register(module="nae_tf")
@keras.saving.register_keras_serializable(package="nae_tf")
class Conv64Encoder(Network):
    """The encoder of the CelebA experiment: 64 x 64 x 3 images to codes.

    conv5/2(w) - conv5/2(2w) - conv5/2(4w) - conv5/2(8w) - FC(latent_dim), with
    group normalisation and ReLU after every hidden layer.

    Input: [batch, 64, 64, channels], in [0, 1]. Output: [batch, latent_dim].

    Args:
        latent_dim: int > 0. Size of a code.
        width: int > 0. Channels of the first layer (w above); 256 is the
            network that Table 10 prints.
        groups: int, a divisor of `width`. Groups of the normalisation.
        channels: int > 0. Channels of the images.
        dtype: dtype, policy or its name; None for Keras's global policy.
        name: name of the model.

    Example:
        >>> from nae_tf.networks import Conv64Decoder, Conv64Encoder
        >>> encoder = Conv64Encoder(latent_dim=8, width=8)
        >>> decoder = Conv64Decoder(latent_dim=8, width=8)
        >>> encoder.output_shape, decoder.output_shape
        ((None, 8), (None, 64, 64, 3))
    """

    def __init__(
        self,
        latent_dim: int = 64,
        # Differs from the paper: Table 10 prints 256 to 2048 channels; the
        # authors' experiment had 128 to 1024.
        width: int = 128,
        groups: int = 8,
        channels: int = 3,
        dtype=None,
        name: str | None = None,
    ):
        build = LayerBuilder(dtype)
        x = inputs = build.input((64, 64, channels))
        for filters in (width, 2 * width, 4 * width):
            x = build.conv(x, filters, 5, strides=2)
            x = build.relu(build.group_norm(x, groups))
        x = build.conv_to_point(x, 8 * width)
        x = build.relu(build.group_norm(x, groups))
        outputs = build.dense(x, latent_dim)
        super().__init__(inputs, outputs, dtype, name)


@gin.register(module="nae_tf")
@keras.saving.register_keras_serializable(package="nae_tf")
class Conv64Decoder(Network):
    """The decoder of the CelebA experiment: codes to 64 x 64 x 3 images.

    convT8(8w) - convT4/2(4w) - convT4/2(2w) - convT4/2(w) - convT1(3) -
    sigmoid, with group normalisation and ReLU after every hidden layer.

    Input: [batch, latent_dim]. Output: [batch, 64, 64, channels], in [0, 1].

    Args:
        latent_dim: int > 0. Size of a code.
        width: int > 0. Channels before the last layer (w above).
        groups: int, a divisor of `width`. Groups of the normalisation.
        channels: int > 0. Channels of the images.
        dtype: dtype, policy or its name; None for Keras's global policy.
        name: name of the model.
    """

    def __init__(
        self,
        latent_dim: int = 64,
        width: int = 128,
        groups: int = 8,
        channels: int = 3,
        dtype=None,
        name: str | None = None,
    ):
        build = LayerBuilder(dtype)
        inputs = build.input((latent_dim,))
        x = build.conv_transpose_from_point(inputs, 8 * width, 8)
        x = build.relu(build.group_norm(x, groups))
        for filters in (4 * width, 2 * width, width):
            x = build.conv_transpose(x, filters, 4, strides=2, padding="same")
            x = build.relu(build.group_norm(x, groups))
        outputs = build.conv_transpose(x, channels, 1, activation="sigmoid")
        super().__init__(inputs, outputs, dtype, name)
