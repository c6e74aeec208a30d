"""Networks of the paper for vectors: FCRes2."""

import gin
import keras

from nae_tf.networks.network import LayerBuilder, Network


@gin.register(module="nae_tf")
@keras.saving.register_keras_serializable(package="nae_tf")
class FCRes2Encoder(Network):
    """The encoder of the 2-D experiments: vectors to codes.

    FC(units) - num_blocks x FCRes(units, hidden_units) - ReLU -
    FC(latent_dim), where FCRes is x + FC(ReLU(FC(ReLU(x)))).

    Input: [batch, input_dim]. Output: [batch, latent_dim].

    Args:
        latent_dim: int > 0. Size of a code.
        input_dim: int > 0. Size of a vector.
        units: int > 0. Size of the residual stream.
        hidden_units: int > 0. Hidden size of a block.
        num_blocks: int >= 0. Number of residual blocks.
        dtype: dtype, policy or its name; None for Keras's global policy.
        name: name of the model.

    Example:
        >>> from nae_tf.networks import FCRes2Decoder, FCRes2Encoder
        >>> encoder = FCRes2Encoder(latent_dim=8, input_dim=30, units=16)
        >>> decoder = FCRes2Decoder(latent_dim=8, output_dim=30, units=16)
        >>> encoder.output_shape, decoder.output_shape
        ((None, 8), (None, 30))
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
        super().__init__(inputs, outputs, dtype, name)


@gin.register(module="nae_tf")
@keras.saving.register_keras_serializable(package="nae_tf")
class FCRes2Decoder(Network):
    """The decoder of the 2-D experiments: codes to vectors, linear output.

    It has the layers of `FCRes2Encoder`, from `latent_dim` to `output_dim`.

    Input: [batch, latent_dim]. Output: [batch, output_dim].

    Args:
        latent_dim: int > 0. Size of a code.
        output_dim: int > 0. Size of a vector.
        units: int > 0. Size of the residual stream.
        hidden_units: int > 0. Hidden size of a block.
        num_blocks: int >= 0. Number of residual blocks.
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
        super().__init__(inputs, outputs, dtype, name)


def _fc_res_net(build, x, output_dim, units, hidden_units, num_blocks):
    """Apply FC, FCRes blocks, ReLU, FC."""
    x = build.dense(x, units)
    for _ in range(num_blocks):
        hidden = build.dense(build.relu(x), hidden_units, activation="relu")
        x = build.add(x, build.dense(hidden, units))
    return build.dense(build.relu(x), output_dim)
