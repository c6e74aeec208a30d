"""The autoencoder: the baseline, and the pre-training of NAE (section 6.1).

    loss = mean |x - decode(encode(x))|^2 / D                          (Eq. 1)

The energy of `nae` is its reconstruction error.
"""

import gin
import keras
import tensorflow as tf

from nae_tf import losses
from nae_tf.base.detector import OutlierDetector
from nae_tf.base.network_checks import check_input, check_network, only_output
from nae_tf.base.replicas import call_network
from nae_tf.base.setting_checks import check_choice, check_number, shown
from nae_tf.energy import DISTANCES, reconstruction_error
from nae_tf.latent_space import Sphere


@gin.register(module="nae_tf")
@keras.saving.register_keras_serializable(package="nae_tf")
class Autoencoder(OutlierDetector):
    """An autoencoder whose reconstruction error is the outlier score.

    The networks are any two Keras models or layers of inverse shapes:

        encoder: [batch, ...] -> [batch, latent_dim]
        decoder: [batch, latent_dim] -> [batch, ...]

    Example:
        >>> import keras
        >>> import numpy as np
        >>> from nae_tf import Autoencoder
        >>> encoder = keras.Sequential(
        ...     [keras.Input((20,)), keras.layers.Dense(4)]
        ... )
        >>> decoder = keras.Sequential(
        ...     [keras.Input((4,)), keras.layers.Dense(20)]
        ... )
        >>> model = Autoencoder(encoder, decoder)
        >>> model.compile(keras.optimizers.Adam(1e-3))
        >>> x = np.random.default_rng(0).uniform(size=(64, 20))
        >>> history = model.fit(x, epochs=2, verbose=0)
        >>> model.predict_outlier_score(x).shape
        (64,)
    """

    def __init__(
        self,
        encoder,
        decoder,
        latent_space=None,
        distance: str = "squared_error",
        reduction: str = "mean",
        encoder_l2: float = 0.0,
        decoder_l2: float = 0.0,
        name=None,
        dtype=None,
    ):
        """Join an encoder and a decoder.

        Args:
            encoder: network from float [batch, ...] to latents, float [batch,
                latent_dim]. Its output is linear, because the projection to the
                latent space follows.
            decoder: network from latents to float [batch, ...].
            latent_space: `Sphere()` (the default) or `Euclidean()`.
            distance: "squared_error", "absolute_error" or "ssim" (section 2.1).
            reduction: "mean" or "sum" over the elements of an example.
            encoder_l2: weight of the encoder's squared L2 norm in the loss,
                >= 0.
            decoder_l2: weight of the decoder's squared L2 norm in the loss,
                >= 0.
            name: name of the model.
            dtype: dtype policy; the networks keep their own.

        Raises:
            ValueError: if a setting is out of range, or shapes do not fit.
        """
        super().__init__(name=name, dtype=dtype)
        owner = type(self).__name__
        check_network(owner, "encoder", encoder)
        check_network(owner, "decoder", decoder)
        check_choice(owner, "distance", distance, DISTANCES)
        check_choice(owner, "reduction", reduction, ["mean", "sum"])
        # gin's @Sphere without brackets is the class, which projects nothing.
        is_class = isinstance(latent_space, type)
        if latent_space is not None and (
            is_class or not hasattr(latent_space, "project")
        ):
            raise ValueError(
                f"{owner}: expected latent_space Sphere() or Euclidean(), "
                f"received {shown(latent_space)}."
            )
        check_number(owner, "encoder_l2", encoder_l2, "[0, inf)")
        check_number(owner, "decoder_l2", decoder_l2, "[0, inf)")
        self.encoder = encoder
        self.decoder = decoder
        self.latent_space = Sphere() if latent_space is None else latent_space
        self.distance = distance
        self.reduction = reduction
        self.encoder_l2 = encoder_l2
        self.decoder_l2 = decoder_l2
        self.example_shape: tuple[int, ...] = ()
        self.latent_shape: tuple[int, ...] = ()
        self.track_metrics()
        if encoder.built and hasattr(encoder, "input_shape"):
            self.build(encoder.input_shape)

    def track_metrics(self):
        """Track the running means that `fit` shows."""
        self.track("loss", "reconstruction_error")

    def build(self, input_shape):
        """Build the networks for examples of shape `input_shape[1:]`.

        Raises:
            ValueError: if a network has several outputs, the decoder does not
                take the encoder's latents, or its output has another shape than
                the encoder's input.
        """
        owner = type(self).__name__
        example = keras.KerasTensor((None, *input_shape[1:]))
        outputs = only_output(owner, "encoder", self.encoder(example))
        latent = self.latent_part(outputs)
        check_input(owner, self.decoder, latent)
        reconstruction = only_output(owner, "decoder", self.decoder(latent))
        if tuple(reconstruction.shape[1:]) != tuple(example.shape[1:]):
            raise ValueError(
                f"{type(self).__name__}: the decoder must return the shape of "
                f"the examples: expected {list(example.shape[1:])}, received "
                f"{list(reconstruction.shape[1:])}."
            )
        if self.distance == "ssim" and len(example.shape) != 4:
            raise ValueError(
                f"{type(self).__name__}: distance 'ssim' compares images, "
                f"received examples of shape {list(example.shape[1:])}; use "
                "distance='squared_error'."
            )
        self.example_shape = tuple(example.shape[1:])
        self.latent_shape = tuple(latent.shape[1:])
        self.built = True

    def latent_part(self, outputs):
        """Return the part of the encoder's outputs for the decoder: all."""
        return outputs

    def encode(self, x, training=False):
        """Map examples to the latent space.

        Args:
            x: float [batch, ...], as `as_examples` returns it if the model
                standardises.
            training: whether the encoder runs in training mode.

        Returns:
            float [batch, latent_dim], in the type of `x`.
        """
        x = self.checked_tensor("encode", x)
        z = self.latent_part(call_network(self.encoder, x, training))
        return self.latent_space.project(tf.cast(z, x.dtype))

    def decode(self, z, training=False):
        """Map latents to examples.

        Args:
            z: float [batch, latent_dim].
            training: whether the decoder runs in training mode.

        Returns:
            float [batch, ...], in the type of `z`; standardised if the model
            standardises (`unstandardized` has the inverse).
        """
        return tf.cast(call_network(self.decoder, z, training), z.dtype)

    def call(self, x, training=False):
        """Reconstruct examples.

        Args:
            x: float [batch, ...], in the units of the data.
            training: whether the networks run in training mode.

        Returns:
            decode(encode(x)), shape and units of `x`.
        """
        z = self.encode(self.standardized(x), training)
        return self.unstandardized(self.decode(z, training))

    def energy(self, x, training=False):
        """Compute the energy of examples, their reconstruction error (Eq. 9).

        Args:
            x: float [batch, ...], as `as_examples` returns it if the model
                standardises.
            training: whether the networks run in training mode.

        Returns:
            float [batch], in the type of `x`.
        """
        x = self.checked_tensor("energy", x)
        return self.energy_of_latent(x, self.encode(x, training), training)

    def energy_of_latent(self, x, z, training=False):
        """Compute the energy of examples with known latents.

        Args:
            x: float [batch, ...].
            z: float [batch, latent_dim], latents of `x`.
            training: whether the decoder runs in training mode.

        Returns:
            float [batch], in the type of `x`.
        """
        reconstruction = self.decode(z, training)
        return reconstruction_error(
            x, reconstruction, self.distance, self.reduction
        )

    def outlier_score(self, x):
        """Score examples by their energy.

        Args:
            x: float [batch, ...].

        Returns:
            float [batch], higher is more outlying.
        """
        return self.energy(x)

    def weight_penalty(self):
        """Compute the L2 terms of the loss (section D.3), a float scalar."""
        penalty = tf.zeros([], self.variable_dtype)
        for weight, network in [
            (self.encoder_l2, self.encoder),
            (self.decoder_l2, self.decoder),
        ]:
            if weight:
                squares = losses.sum_of_squares(network.trainable_variables)
                penalty += weight * tf.cast(squares, self.variable_dtype)
        return penalty

    def objective(self, x, training: bool = False) -> dict:
        """Compute reconstruction error and penalties of weights (Eq. 2)."""
        energy = self.energy(x, training)
        loss = tf.reduce_mean(energy) + self.weight_penalty()
        return {"loss": loss, "reconstruction_error": energy}
