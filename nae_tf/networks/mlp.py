"""Plain networks for vectors."""

import math

import gin
import keras

from nae_tf.base.setting_checks import check_integer, check_sizes
from nae_tf.networks.network import LayerBuilder, Network


@gin.register(module="nae_tf")
@keras.saving.register_keras_serializable(package="nae_tf")
class MLPEncoder(Network):
    """A multilayer perceptron for small images and vectors of any shape.

    Input: `[batch, *example_shape]`. Output: [batch, latent_dim].

    Args:
        latent_dim: int > 0. Size of a code.
        example_shape: shape of one example, such as (8, 8, 1) or (30,).
        hidden_units: sizes of the hidden ReLU layers, first to last.
        dtype: dtype, policy or its name; None for Keras's global policy.
        name: name of the model.

    Example:
        >>> from nae_tf.networks import MLPDecoder, MLPEncoder
        >>> encoder = MLPEncoder(latent_dim=8, example_shape=(30,))
        >>> decoder = MLPDecoder(latent_dim=8, example_shape=(30,))
        >>> encoder.output_shape, decoder.output_shape
        ((None, 8), (None, 30))
    """

    def __init__(
        self,
        latent_dim: int,
        example_shape: tuple[int, ...],
        hidden_units: tuple[int, ...] = (256, 256),
        dtype=None,
        name: str | None = None,
    ):
        example_shape = check_sizes(
            "MLPEncoder", "example_shape", example_shape
        )
        check_integer("MLPEncoder", "latent_dim", latent_dim, 1)
        build = LayerBuilder(dtype)
        inputs = build.input(example_shape)
        x = build.flatten(inputs)
        for units in hidden_units:
            x = build.dense(x, units, activation="relu")
        outputs = build.dense(x, latent_dim)
        super().__init__(inputs, outputs, dtype, name)


@gin.register(module="nae_tf")
@keras.saving.register_keras_serializable(package="nae_tf")
class MLPDecoder(Network):
    """A multilayer perceptron from codes to examples of any shape.

    Input: [batch, latent_dim]. Output: `[batch, *example_shape]`.

    Args:
        latent_dim: int > 0. Size of a code.
        example_shape: shape of one example, such as (8, 8, 1) or (30,).
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
        example_shape = check_sizes(
            "MLPDecoder", "example_shape", example_shape
        )
        check_integer("MLPDecoder", "latent_dim", latent_dim, 1)
        build = LayerBuilder(dtype)
        x = inputs = build.input((latent_dim,))
        for units in hidden_units:
            x = build.dense(x, units, activation="relu")
        x = build.dense(x, math.prod(example_shape), output_activation)
        outputs = build.reshape(x, example_shape)
        super().__init__(inputs, outputs, dtype, name)
