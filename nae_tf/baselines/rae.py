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

    One product v J costs one backward pass, the whole Jacobian one for every
    element of the output.

    Args:
        function: maps float [batch, latent_dim] to float [batch, ...].
        z: float [batch, latent_dim], where to differentiate.
        seed: int [2], of v.

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
    """Squared norm of every latent, float [batch], of whatever shape."""
    return tf.reduce_sum(tf.square(z), list(range(1, z.shape.rank)))


@gin.register(module="nae_tf")
@keras.saving.register_keras_serializable(package="nae_tf")
class RAE(Autoencoder):
    """An autoencoder with small latents and a smooth decoder.

    The outlier score is the reconstruction error.
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
            encoder: see `Autoencoder`.
            decoder: see `Autoencoder`.
            latent_weight: beta, weight of half the squared norm of latents.
            decoder_l2: weight of the decoder's squared L2 norm.
            gradient_penalty: weight of the squared Frobenius norm of the
                decoder's Jacobian.
            seed: int, of the estimate of that norm.
            name: name of the model.
            dtype: dtype policy; the networks keep their own.

        Raises:
            ValueError: negative weights; shapes that do not fit.
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
        """Name the running means that `fit` shows."""
        self.track("loss", "reconstruction_error", "squared_latent_norm")
        if self.gradient_penalty:
            self.track("squared_jacobian_norm")

    def objective(self, x, training: bool = False) -> dict:
        """Reconstruction error and the regularisers."""
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
            # Differs from the paper: estimated, see the function.
            jacobian_norm = jacobian_norm_estimate(
                lambda z: self.decode(z, training), z, self.noise_seed(training)
            )
            values["squared_jacobian_norm"] = jacobian_norm
            loss += scalar_like(self.gradient_penalty, x) * tf.reduce_mean(
                jacobian_norm
            )
        return {"loss": loss} | values
