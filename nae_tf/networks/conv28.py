"""Networks for 28x28 grey images."""

import gin
import keras

from nae_tf.networks.network import LayerBuilder, Network


@gin.register(module="nae_tf")
@keras.saving.register_keras_serializable(package="nae_tf")
class Conv28Encoder(Network):
    """The encoder of the MNIST experiments: 28 x 28 x 1 images to codes.

    conv3(w) - conv3(2w) - pool - conv3(2w) - conv3(4w) - pool - conv4(hidden)
    - FC(latent_dim), with ReLU in between.

    Input: [batch, 28, 28, 1], in [0, 1]. Output: [batch, latent_dim].

    Args:
        latent_dim: int > 0. Size of a code.
        width: int > 0. Channels of the first layer (w above).
        hidden_units: int > 0. Channels before the last layer.
        dtype: dtype, policy or its name; None for Keras's global policy.
        name: name of the model.

    Example:
        >>> from nae_tf.networks import Conv28Decoder, Conv28Encoder
        >>> encoder = Conv28Encoder(latent_dim=8, width=4)
        >>> decoder = Conv28Decoder(latent_dim=8, width=4)
        >>> encoder.output_shape, decoder.output_shape
        ((None, 8), (None, 28, 28, 1))
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
        inputs = build.input((28, 28, 1))
        # Differs from the paper: Table 10 prints padding 1, with which the
        # 4 x 4 convolution would not end in a single position.
        x = build.conv(inputs, width, 3, activation="relu")
        x = build.conv(x, 2 * width, 3)
        # ReLU commutes with the maximum, and has fewer values after it.
        x = build.relu(build.max_pool(x))
        x = build.conv(x, 2 * width, 3, activation="relu")
        x = build.conv(x, 4 * width, 3)
        x = build.relu(build.max_pool(x))
        x = build.conv_to_point(x, hidden_units, activation="relu")
        outputs = build.dense(x, latent_dim)
        super().__init__(inputs, outputs, dtype, name)


@gin.register(module="nae_tf")
@keras.saving.register_keras_serializable(package="nae_tf")
class Conv28Decoder(Network):
    """The decoder of the MNIST experiments: codes to 28 x 28 x 1 images.

    convT4(4w) - bilinear - convT3(2w) - convT3(2w) - bilinear - convT3(w) -
    convT3(1) - sigmoid, with ReLU after the hidden transposed convolutions.

    Input: [batch, latent_dim]. Output: [batch, 28, 28, 1], in [0, 1].

    Args:
        latent_dim: int > 0. Size of a code.
        width: int > 0. Channels before the last layer (w above).
        dtype: dtype, policy or its name; None for Keras's global policy.
        name: name of the model.
    """

    def __init__(
        self,
        latent_dim: int = 32,
        width: int = 32,
        dtype=None,
        name: str | None = None,
    ):
        build = LayerBuilder(dtype)
        inputs = build.input((latent_dim,))
        x = build.conv_transpose_from_point(
            inputs, 4 * width, 4, activation="relu"
        )
        x = build.upsampled_conv_transpose(x, 2 * width, 3, "relu")
        x = build.conv_transpose(x, 2 * width, 3, activation="relu")
        x = build.upsampled_conv_transpose(x, width, 3, "relu")
        # Differs from the paper: Table 10 prints kernel 4, which would give
        # 29 x 29 pixels.
        outputs = build.conv_transpose(x, 1, 3, activation="sigmoid")
        super().__init__(inputs, outputs, dtype, name)
