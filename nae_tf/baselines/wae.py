"""The Wasserstein autoencoder with a maximum mean discrepancy, WAE-MMD.

    loss = mean |x - decode(encode(x))|^2 / D
           + mmd_weight * MMD^2(encode(x), z),    z from Normal(0, 1)

Tolstikhin, Bousquet, Gelly & Schoelkopf, Wasserstein Auto-Encoders, ICLR 2018.
The kernel is Gaussian, with the width of the median heuristic (appendix D.4).
"""

import math

import gin
import keras
import tensorflow as tf

from nae_tf.autoencoder import Autoencoder
from nae_tf.base import randomness
from nae_tf.base.batches import scalar_like
from nae_tf.base.replicas import rows_of_all
from nae_tf.base.setting_checks import check_number
from nae_tf.latent_space import Euclidean


def squared_distances(x, y):
    """Squared Euclidean distances between the rows of two samples.

    Args:
        x: float [m, dim].
        y: float [n, dim].

    Returns:
        float [m, n].
    """
    return tf.reduce_sum(tf.square(x[:, None] - y[None]), axis=-1)


def median_squared_distance(x):
    """Median squared distance between two different rows of a sample.

    Args:
        x: float [n, dim], n > 0.

    Returns:
        float scalar; 0 for one row.
    """
    ordered = tf.sort(tf.reshape(squared_distances(x, x), [-1]))
    count = tf.shape(x)[0]
    # The n distances of rows from themselves come first. Every other distance
    # occurs twice, so the mean of the two middle ones is the median.
    middle = count + count * (count - 1) // 2
    pair = [middle - 1, tf.minimum(middle, count**2 - 1)]
    return tf.reduce_mean(tf.gather(ordered, pair))


def squared_mmd(x, y, squared_width):
    """Unbiased estimate of the squared maximum mean discrepancy.

        MMD^2 = E k(x, x') + E k(y, y') - 2 E k(x, y),
        k(a, b) = exp(-|a - b|^2 / (2 squared_width))

    Gretton et al., A Kernel Two-Sample Test, JMLR 2012, Lemma 6. It may be
    negative, as an unbiased estimate of 0 must be.

    Args:
        x: float [n, dim].
        y: float [n, dim], another sample of the same size.
        squared_width: float scalar > 0.

    Returns:
        float scalar; 0 if n is 1, which gives no estimate.
    """

    def kernel(a, b):
        return tf.exp(-squared_distances(a, b) / (2 * squared_width))

    def mean_off_diagonal(matrix):
        total = tf.reduce_sum(matrix) - tf.linalg.trace(matrix)
        # The maximum keeps the unused gradient of a single example finite.
        return total / tf.maximum(count * (count - 1), 1)

    count = tf.cast(tf.shape(x)[0], x.dtype)
    estimate = (
        mean_off_diagonal(kernel(x, x))
        + mean_off_diagonal(kernel(y, y))
        - 2 * tf.reduce_mean(kernel(x, y))
    )
    return tf.where(count > 1, estimate, tf.zeros_like(estimate))


@gin.register(module="nae_tf")
@keras.saving.register_keras_serializable(package="nae_tf")
class WAE(Autoencoder):
    """An autoencoder whose latents are distributed as a standard normal.

    The outlier score is the reconstruction error. If several replicas share a
    batch, the discrepancy is still that of the whole batch.

    Example:
        >>> import numpy as np
        >>> from nae_tf.baselines import WAE
        >>> from nae_tf.networks import MLPDecoder, MLPEncoder
        >>> model = WAE(
        ...     MLPEncoder(latent_dim=2, example_shape=(4,)),
        ...     MLPDecoder(latent_dim=2, example_shape=(4,)),
        ...     mmd_weight=0.1,
        ... )
        >>> model.compile("adam")
        >>> x = np.random.default_rng(0).uniform(size=(64, 4))
        >>> history = model.fit(x, epochs=2, verbose=0)
        >>> "squared_mmd" in history.history
        True
        >>> model.predict_outlier_score(x).shape
        (64,)
    """

    def __init__(
        self,
        encoder,
        decoder,
        mmd_weight: float = 0.01,
        seed: int = 0,
        name=None,
        dtype=None,
    ):
        """Join an encoder and a decoder.

        Args:
            encoder: network from float [batch, ...] to latents, float [batch,
                latent_dim].
            decoder: network from latents to float [batch, ...].
            mmd_weight: weight of the squared discrepancy in the loss, >= 0.
                Appendix D.4 searches it between 0.001 and 0.1.
            seed: seed of the samples of the prior, int.
            name: name of the model.
            dtype: dtype policy; the networks keep their own.

        Raises:
            ValueError: if a setting is out of range, or shapes do not fit.
        """
        check_number("WAE", "mmd_weight", mmd_weight, "[0, inf)")
        self.mmd_weight = mmd_weight
        self.seed = seed
        super().__init__(
            encoder, decoder, latent_space=Euclidean(), name=name, dtype=dtype
        )

    def track_metrics(self):
        """Track the running means that `fit` shows."""
        self.track("loss", "reconstruction_error", "squared_mmd")

    def objective(self, x, training: bool = False) -> dict:
        """Compute reconstruction error and discrepancy of the latents."""
        z = self.encode(x, training)
        error = self.energy_of_latent(x, z, training)
        # Latents may have a shape, [1, 1, dim] for example.
        batch = rows_of_all(tf.reshape(z, [-1, math.prod(z.shape[1:])]))
        prior = randomness.normal(
            tf.shape(batch), self.noise_seed(training, shared=True), z.dtype
        )
        medians = [median_squared_distance(each) for each in (batch, prior)]
        # Fixed, or the encoder could widen the kernel instead of its latents.
        squared_width = tf.stop_gradient(tf.add_n(medians) / 2)
        # A single example has no distances; its discrepancy is 0 at any width.
        squared_width = tf.where(squared_width > 0, squared_width, 1)
        mmd = squared_mmd(batch, prior, squared_width)
        loss = tf.reduce_mean(error) + scalar_like(self.mmd_weight, x) * mmd
        return {
            "loss": loss,
            "reconstruction_error": error,
            "squared_mmd": mmd,
        }
