"""The frozen manifold of MPDR: a copy of networks that is not trained."""

import keras
import tensorflow as tf

from nae_tf.base.replicas import call_network


@keras.saving.register_keras_serializable(package="nae_tf")
class FrozenManifold(keras.layers.Layer):
    """Copies of a model's networks as they were before its first step.

    It is part of its model: the weights are in checkpoints and files, but not
    among the weights that are trained, even where the model is unfrozen.

    Example:
        >>> from nae_tf import NAE
        >>> from nae_tf.baselines.frozen_manifold import FrozenManifold
        >>> from nae_tf.networks import MLPDecoder, MLPEncoder
        >>> model = NAE(MLPEncoder(2, (4,)), MLPDecoder(2, (4,)))
        >>> manifold = FrozenManifold(model)
        >>> len(manifold.weights) == len(model.weights) - 2  # T and a counter
        True
        >>> manifold.trainable_weights
        []
    """

    def __init__(self, model):
        """Copy the networks of a model and their weights.

        Args:
            model: `NAE` whose networks are built.

        Raises:
            ValueError: if Keras cannot copy a network.
        """
        super().__init__(name="manifold", dtype=model.dtype_policy)
        self.encoder = _copy(model.encoder)
        self.decoder = _copy(model.decoder)
        self.latent_space = model.latent_space
        # Copies of networks without a known input are not built yet.
        example = keras.KerasTensor((None, *model.example_shape))
        self.decoder(self.encoder(example))
        self.built = True
        for network in (self.encoder, self.decoder):
            network.trainable = False
        self.follow(model)

    @property
    def trainable(self):
        """False: Keras sets the parts of a model with it, and skips this."""
        return False

    @trainable.setter
    def trainable(self, value):
        pass

    def follow(self, model):
        """Take over the weights of the model, outside of graphs."""
        for mine, theirs in [
            (self.encoder, model.encoder),
            (self.decoder, model.decoder),
        ]:
            for copy, weight in zip(mine.weights, theirs.weights, strict=True):
                copy.assign(weight)

    def encode(self, x):
        """Map examples, float [batch, ...], to the latent space."""
        z = call_network(self.encoder, x)
        return self.latent_space.project(tf.cast(z, x.dtype))

    def decode(self, z):
        """Map latents, float [batch, latent_dim], to examples."""
        return tf.cast(call_network(self.decoder, z), z.dtype)


def _copy(network):
    try:
        config = keras.saving.serialize_keras_object(network)
        return keras.saving.deserialize_keras_object(config)
    except (NotImplementedError, TypeError, ValueError) as error:
        raise ValueError(
            f"a frozen manifold needs a copy of the network {network.name!r}, "
            "which Keras cannot make from its config; give its class a "
            "get_config, register it, or choose manifold='live'."
        ) from error
