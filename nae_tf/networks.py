"""Encoders and decoders of Table 10 (appendix D.2), and an MLP pair.

An encoder maps examples [batch, ...] to codes [batch, latent_dim]; its output
is linear, and it is the autoencoder that projects codes to the sphere. A
decoder maps codes back. No network has batch normalisation: an energy must
depend on one example only.

All are ordinary functional Keras models that are built on construction. Any
other pair of Keras models may take their place.
"""

import math

import gin
import keras

from nae_tf.color_networks import (
    Conv32BigDecoder,
    Conv32BigEncoder,
    Conv32Decoder,
    Conv32Encoder,
    Conv64Decoder,
    Conv64Encoder,
)
from nae_tf.network_builder import LayerBuilder, Network

__all__ = [
    "Conv28Decoder",
    "Conv28Encoder",
    "Conv32BigDecoder",
    "Conv32BigEncoder",
    "Conv32Decoder",
    "Conv32Encoder",
    "Conv64Decoder",
    "Conv64Encoder",
    "FCRes2Decoder",
    "FCRes2Encoder",
    "MLPDecoder",
    "MLPEncoder",
]


@gin.register(module="nae_tf")
@keras.saving.register_keras_serializable(package="nae_tf")
class Conv28Encoder(Network):
    """The encoder of the MNIST experiments: 28 x 28 x 1 images to codes.

    conv3(w) - conv3(2w) - pool - conv3(2w) - conv3(4w) - pool - conv4(hidden)
    - FC(latent_dim), with ReLU in between.

    Input: [batch, 28, 28, 1], in [0, 1]. Output: [batch, latent_dim].

    Args:
        latent_dim: int > 0.
        width: int > 0. Channels of the first layer (w above).
        hidden_units: int > 0. Channels before the last layer.
        dtype: dtype, policy or its name; None for Keras's global policy.
        name: name of the model.
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
        # ReLU commutes with the maximum, and has fewer values to look at.
        x = build.relu(build.max_pool(x))
        x = build.conv(x, 2 * width, 3, activation="relu")
        x = build.conv(x, 4 * width, 3)
        x = build.relu(build.max_pool(x))
        x = build.conv_to_point(x, hidden_units, activation="relu")
        outputs = build.dense(x, latent_dim)
        super().__init__(
            inputs,
            outputs,
            build.dtype_policy,
            name,
            latent_dim=latent_dim,
            width=width,
            hidden_units=hidden_units,
        )


@gin.register(module="nae_tf")
@keras.saving.register_keras_serializable(package="nae_tf")
class Conv28Decoder(Network):
    """The decoder of the MNIST experiments: codes to 28 x 28 x 1 images.

    convT4(4w) - bilinear - convT3(2w) - convT3(2w) - bilinear - convT3(w) -
    convT3(1) - sigmoid, with ReLU after the hidden transposed convolutions.

    Input: [batch, latent_dim]. Output: [batch, 28, 28, 1], in [0, 1].

    Args:
        latent_dim: int > 0.
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
        super().__init__(
            inputs,
            outputs,
            build.dtype_policy,
            name,
            latent_dim=latent_dim,
            width=width,
        )


@gin.register(module="nae_tf")
@keras.saving.register_keras_serializable(package="nae_tf")
class FCRes2Encoder(Network):
    """The encoder of the 2-D experiments: vectors to codes.

    FC(units) - num_blocks x FCRes(units, hidden_units) - ReLU -
    FC(latent_dim), where FCRes is x + FC(ReLU(FC(ReLU(x)))).

    Input: [batch, input_dim]. Output: [batch, latent_dim].

    Args:
        latent_dim: int > 0.
        input_dim: int > 0.
        units: int > 0. Size of the residual stream.
        hidden_units: int > 0. Hidden size of a block.
        num_blocks: int >= 0.
        dtype: dtype, policy or its name; None for Keras's global policy.
        name: name of the model.
    """

    def __init__(
        self,
        latent_dim: int,
        input_dim: int = 2,
        units: int = 256,
        hidden_units: int = 1024,
        # Differs from the paper: Table 10 lists 6 blocks in the encoder and 5
        # in the decoder; the authors' experiments had 5 in both.
        num_blocks: int = 5,
        dtype=None,
        name: str | None = None,
    ):
        build = LayerBuilder(dtype)
        inputs = build.input((input_dim,))
        outputs = _fc_res_net(
            build, inputs, latent_dim, units, hidden_units, num_blocks
        )
        super().__init__(
            inputs,
            outputs,
            build.dtype_policy,
            name,
            latent_dim=latent_dim,
            input_dim=input_dim,
            units=units,
            hidden_units=hidden_units,
            num_blocks=num_blocks,
        )


@gin.register(module="nae_tf")
@keras.saving.register_keras_serializable(package="nae_tf")
class FCRes2Decoder(Network):
    """The decoder of the 2-D experiments: codes to vectors, linear output.

    The same layers as `FCRes2Encoder`, from `latent_dim` to `output_dim`.

    Input: [batch, latent_dim]. Output: [batch, output_dim].

    Args:
        latent_dim: int > 0.
        output_dim: int > 0.
        units: int > 0. Size of the residual stream.
        hidden_units: int > 0. Hidden size of a block.
        num_blocks: int >= 0.
        dtype: dtype, policy or its name; None for Keras's global policy.
        name: name of the model.
    """

    def __init__(
        self,
        latent_dim: int,
        output_dim: int = 2,
        units: int = 256,
        hidden_units: int = 1024,
        num_blocks: int = 5,
        dtype=None,
        name: str | None = None,
    ):
        build = LayerBuilder(dtype)
        inputs = build.input((latent_dim,))
        outputs = _fc_res_net(
            build, inputs, output_dim, units, hidden_units, num_blocks
        )
        super().__init__(
            inputs,
            outputs,
            build.dtype_policy,
            name,
            latent_dim=latent_dim,
            output_dim=output_dim,
            units=units,
            hidden_units=hidden_units,
            num_blocks=num_blocks,
        )


def _fc_res_net(build, x, output_dim, units, hidden_units, num_blocks):
    """FC, FCRes blocks, ReLU, FC."""
    x = build.dense(x, units)
    for _ in range(num_blocks):
        hidden = build.dense(build.relu(x), hidden_units, activation="relu")
        x = build.add(x, build.dense(hidden, units))
    return build.dense(build.relu(x), output_dim)


@gin.register(module="nae_tf")
@keras.saving.register_keras_serializable(package="nae_tf")
class MLPEncoder(Network):
    """A multilayer perceptron for small images and vectors of any shape.

    Input: [batch, *example_shape]. Output: [batch, latent_dim].

    Args:
        latent_dim: int > 0.
        example_shape: shape of one example, as (8, 8, 1) or (30,).
        hidden_units: sizes of the hidden ReLU layers, first to last.
        dtype: dtype, policy or its name; None for Keras's global policy.
        name: name of the model.
    """

    def __init__(
        self,
        latent_dim: int,
        example_shape: tuple[int, ...],
        hidden_units: tuple[int, ...] = (256, 256),
        dtype=None,
        name: str | None = None,
    ):
        build = LayerBuilder(dtype)
        inputs = build.input(tuple(example_shape))
        x = build.flatten(inputs)
        for units in hidden_units:
            x = build.dense(x, units, activation="relu")
        outputs = build.dense(x, latent_dim)
        super().__init__(
            inputs,
            outputs,
            build.dtype_policy,
            name,
            latent_dim=latent_dim,
            example_shape=tuple(example_shape),
            hidden_units=tuple(hidden_units),
        )


@gin.register(module="nae_tf")
@keras.saving.register_keras_serializable(package="nae_tf")
class MLPDecoder(Network):
    """A multilayer perceptron from codes to examples of any shape.

    Input: [batch, latent_dim]. Output: [batch, *example_shape].

    Args:
        latent_dim: int > 0.
        example_shape: shape of one example, as (8, 8, 1) or (30,).
        hidden_units: sizes of the hidden ReLU layers, first to last.
        output_activation: name of a Keras activation. "sigmoid" suits data in
            [0, 1], None standardised data.
        dtype: dtype, policy or its name; None for Keras's global policy.
        name: name of the model.
    """

    def __init__(
        self,
        latent_dim: int,
        example_shape: tuple[int, ...],
        hidden_units: tuple[int, ...] = (256, 256),
        output_activation: str | None = "sigmoid",
        dtype=None,
        name: str | None = None,
    ):
        build = LayerBuilder(dtype)
        x = inputs = build.input((latent_dim,))
        for units in hidden_units:
            x = build.dense(x, units, activation="relu")
        x = build.dense(x, math.prod(example_shape), output_activation)
        outputs = build.reshape(x, tuple(example_shape))
        super().__init__(
            inputs,
            outputs,
            build.dtype_policy,
            name,
            latent_dim=latent_dim,
            example_shape=tuple(example_shape),
            hidden_units=tuple(hidden_units),
            output_activation=output_activation,
        )
