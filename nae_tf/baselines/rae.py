"""The regularised autoencoder, a VAE without sampling.

    loss = mean |x - decode(z)|^2 / D + latent_weight * mean |z|^2 / 2
           + decoder_l2 * |decoder|^2                            (RAE-L2)
           + gradient_penalty * mean |d decode(z) / dz|^2        (RAE-GP)

with z = encode(x). Ghosh, Sajjadi, Vergari, Black & Schoelkopf, From
Variational to Deterministic Autoencoders, ICLR 2020.
"""

import gin
import keras
import tensorflow as tf

from nae_tf.autoencoder import Autoencoder
from nae_tf.base import randomness
from nae_tf.base.batches import scalar_like
from nae_tf.base.setting_checks import check_number
from nae_tf.latent_space import Euclidean


def jacobian_norm_estimate(function, z, seed):
    """Unbiased estimate of the squared Frobenius norm of Jacobians.

        |J|^2 = E |v J|^2 for v from the standard normal

    One product v J costs one backward pass. The whole Jacobian costs one per
    element of the output.

    Args:
        function: function from float [batch, latent_dim] to float [batch, ...].
        z: float [batch, latent_dim], points of the Jacobians.
        seed: stateless seed of v, int [2].

    Returns:
        float [batch], >= 0.
    """
    with tf.GradientTape() as tape:
        tape.watch(z)
        outputs = function(z)
        v = randomness.normal(tf.shape(outputs), seed, outputs.dtype)
        projected = tf.reduce_sum(outputs * v)
    return squared_norm(tape.gradient(projected, z))


def squared_norm(z):
    """Squared norm of every latent of any shape, float [batch]."""
    return tf.reduce_sum(tf.square(z), list(range(1, z.shape.rank)))


@gin.register(module="nae_tf")
@keras.saving.register_keras_serializable(package="nae_tf")
class RAE(Autoencoder):
    """An autoencoder with small latents and a smooth decoder.

    The outlier score is the reconstruction error.

    Example:
        >>> import numpy as np
        >>> from nae_tf.baselines import RAE
        >>> from nae_tf.networks import MLPDecoder, MLPEncoder
        >>> model = RAE(
        ...     MLPEncoder(latent_dim=2, example_shape=(4,)),
        ...     MLPDecoder(latent_dim=2, example_shape=(4,)),
        ...     gradient_penalty=1e-3,
        ... )
        >>> model.compile("adam")
        >>> x = np.random.default_rng(0).uniform(size=(64, 4))
        >>> history = model.fit(x, epochs=2, verbose=0)
        >>> "squared_jacobian_norm" in history.history
        True
        >>> model.predict_outlier_score(x).shape
        (64,)
    """

    def __init__(
        self,
        encoder,
        decoder,
        latent_weight: float = 1e-4,
        decoder_l2: float = 0.0,
        gradient_penalty: float = 0.0,
        seed: int = 0,
        name=None,
        dtype=None,
    ):
        """Join an encoder and a decoder.

        Args:
            encoder: network from float [batch, ...] to latents, float [batch,
                latent_dim].
            decoder: network from latents to float [batch, ...].
            latent_weight: weight beta of half the squared norm of latents in
                the loss, >= 0.
            decoder_l2: weight of the decoder's squared L2 norm in the loss,
                >= 0.
            gradient_penalty: weight of the squared Frobenius norm of the
                decoder's Jacobian in the loss, >= 0.
            seed: seed of the estimate of that norm, int.
            name: name of the model.
            dtype: dtype policy; the networks keep their own.

        Raises:
            ValueError: if a setting is out of range, or shapes do not fit.
        """
        check_number("RAE", "latent_weight", latent_weight, "[0, inf)")
        check_number("RAE", "gradient_penalty", gradient_penalty, "[0, inf)")
        self.latent_weight = latent_weight
        self.gradient_penalty = gradient_penalty
        self.seed = seed
        super().__init__(
            encoder,
            decoder,
            latent_space=Euclidean(),
            decoder_l2=decoder_l2,
            name=name,
            dtype=dtype,
        )

    def track_metrics(self):
        """Track the running means that `fit` shows."""
        self.track("loss", "reconstruction_error", "squared_latent_norm")
        if self.gradient_penalty:
            self.track("squared_jacobian_norm")

    def objective(self, x, training: bool = False) -> dict:
        """Compute reconstruction error and regularisers."""
        z = self.encode(x, training)
        # Differs from the paper: divided by D, as all errors are here.
        error = self.energy_of_latent(x, z, training)
        latent_norm = squared_norm(z)
        values = {
            "reconstruction_error": error,
            "squared_latent_norm": latent_norm,
        }
        loss = tf.reduce_mean(error) + self.weight_penalty()
        loss += scalar_like(self.latent_weight / 2, x) * tf.reduce_mean(
            latent_norm
        )
        if self.gradient_penalty:
            # Differs from the paper: the norm is estimated by one product.
            jacobian_norm = jacobian_norm_estimate(
                lambda z: self.decode(z, training), z, self.noise_seed(training)
            )
            values["squared_jacobian_norm"] = jacobian_norm
            loss += scalar_like(self.gradient_penalty, x) * tf.reduce_mean(
                jacobian_norm
            )
        return {"loss": loss} | values
