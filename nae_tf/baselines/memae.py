"""Memory-augmented autoencoder, MemAE (Gong et al., 2019).

    w = softmax(cosine(encode(x), memory))                         (Eq. 4, 5)
    v = shrink(w) / |shrink(w)|_1                                     (Eq. 7)
    loss = error(x, decode(v @ memory)) + entropy_weight * H(v)  (Eq. 9, 10)

A reconstruction is composed of a few prototypes of the training data, so that
the reconstruction of an outlier looks normal.

References:
    Gong et al., Memorizing Normality to Detect Anomaly, 2019.
        https://arxiv.org/abs/1904.02639
"""

import gin
import keras
import tensorflow as tf

from nae_tf.autoencoder import Autoencoder
from nae_tf.base.setting_checks import check_integer, check_number
from nae_tf.latent_space import Euclidean


def addressing_weights(z, memory):
    """Softmax over memory items of their cosine similarity (Eq. 4, 5).

    Args:
        z: float [batch, latent_dim].
        memory: float [memory_size, latent_dim].

    Returns:
        float [batch, memory_size], rows sum to one.
    """
    cosine = tf.linalg.matmul(
        tf.math.l2_normalize(z, -1),
        tf.math.l2_normalize(memory, -1),
        transpose_b=True,
    )
    return tf.nn.softmax(cosine)


def hard_shrinkage(weights, threshold: float):
    """Set small weights to zero and let the others sum to one (Eq. 7).

    Differs from the paper: where no weight exceeds the threshold, the largest
    stays, because nothing could be read otherwise.

    Args:
        weights: float [batch, memory_size], rows sum to one.
        threshold: largest weight that is removed, in [0, 1).

    Returns:
        float [batch, memory_size], rows sum to one.
    """
    largest = tf.reduce_max(weights, -1, keepdims=True)
    stays = (weights > threshold) | (weights == largest)
    kept = tf.where(stays, weights, 0.0)
    return kept / tf.reduce_sum(kept, -1, keepdims=True)


def entropy(weights):
    """Entropy of addressing weights in nats (Eq. 9).

    Args:
        weights: float [batch, memory_size], rows sum to one.

    Returns:
        float [batch], in [0, log(memory_size)].
    """
    # log(1) where a weight is 0, which keeps the gradient finite.
    logs = tf.math.log(tf.where(weights > 0, weights, 1.0))
    return -tf.reduce_sum(weights * logs, -1)


@gin.register(module="nae_tf")
@keras.saving.register_keras_serializable(package="nae_tf")
class MemAE(Autoencoder):
    """An autoencoder that decodes from a memory; its error is the score.

    An example makes one query, its latent vector as a whole, and one read.

    Example:
        >>> import numpy as np
        >>> from nae_tf.baselines import MemAE
        >>> from nae_tf.networks import MLPDecoder, MLPEncoder
        >>> model = MemAE(
        ...     MLPEncoder(latent_dim=2, example_shape=(4,)),
        ...     MLPDecoder(latent_dim=2, example_shape=(4,)),
        ...     memory_size=10,
        ...     shrinkage_threshold=0.1,
        ... )
        >>> model.compile("adam")
        >>> x = np.random.default_rng(0).uniform(size=(64, 4))
        >>> history = model.fit(x, epochs=2, verbose=0)
        >>> model.predict_outlier_score(x).shape
        (64,)
    """

    def __init__(
        self,
        encoder,
        decoder,
        memory_size: int = 100,
        shrinkage_threshold: float = 0.01,
        entropy_weight: float = 0.0002,
        name=None,
        dtype=None,
    ):
        """Put a memory between an encoder and a decoder.

        Args:
            encoder: network from float [batch, ...] to latents, float [batch,
                latent_dim].
            decoder: network from latents to float [batch, ...].
            memory_size: number N of memory items, > 0; the paper has 100 for
                MNIST and 500 for CIFAR-10.
            shrinkage_threshold: largest addressing weight that becomes 0, in
                [0, 1); the paper advises 1/N to 3/N.
            entropy_weight: weight alpha of Eq. 10, >= 0; the paper has 0.0002.
            name: name of the model.
            dtype: dtype policy; the networks keep their own.

        Raises:
            ValueError: if a setting is out of range, or shapes do not fit.
        """
        check_integer("MemAE", "memory_size", memory_size, 1)
        check_number(
            "MemAE", "shrinkage_threshold", shrinkage_threshold, "[0, 1)"
        )
        check_number("MemAE", "entropy_weight", entropy_weight, "[0, inf)")
        # Set first: super().__init__ builds the model, which needs them.
        self.memory_size = memory_size
        self.shrinkage_threshold = shrinkage_threshold
        self.entropy_weight = entropy_weight
        super().__init__(
            encoder,
            decoder,
            # The cosine similarity does not depend on the length of a query.
            latent_space=Euclidean(),
            name=name,
            dtype=dtype,
        )

    def track_metrics(self):
        """Track the running means that `fit` shows."""
        self.track("loss", "reconstruction_error", "addressing_entropy")

    def build(self, input_shape):
        """Build the networks and the memory."""
        super().build(input_shape)
        limit = self.latent_shape[-1] ** -0.5
        self.memory = self.add_weight(
            name="memory",
            shape=(self.memory_size, self.latent_shape[-1]),
            initializer=keras.initializers.RandomUniform(-limit, limit),
        )

    def address(self, x, training=False):
        """Compute the weights of the memory items for examples.

        Args:
            x: float [batch, ...].
            training: whether the encoder runs in training mode.

        Returns:
            float [batch, memory_size], rows sum to one.
        """
        z = super().encode(x, training)
        weights = addressing_weights(z, tf.cast(self.memory, z.dtype))
        return hard_shrinkage(weights, self.shrinkage_threshold)

    def read(self, weights):
        """Compute the weighted sum of memory items (Eq. 3).

        Args:
            weights: float [batch, memory_size].

        Returns:
            float [batch, latent_dim].
        """
        return tf.linalg.matmul(weights, tf.cast(self.memory, weights.dtype))

    def encode(self, x, training=False):
        """Map examples to the latents that the memory returns for them.

        Args:
            x: float [batch, ...].
            training: whether the encoder runs in training mode.

        Returns:
            float [batch, latent_dim], in the type of `x`.
        """
        return self.read(self.address(x, training))

    def objective(self, x, training: bool = False) -> dict:
        """Compute the loss of a batch (Eq. 10)."""
        weights = self.address(x, training)
        energy = self.energy_of_latent(x, self.read(weights), training)
        entropies = entropy(weights)
        loss = tf.reduce_mean(energy)
        loss += self.entropy_weight * tf.reduce_mean(entropies)
        return {
            "loss": loss,
            "reconstruction_error": energy,
            "addressing_entropy": entropies,
        }
