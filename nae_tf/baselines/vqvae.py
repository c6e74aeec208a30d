"""Vector-quantised autoencoder, VQ-VAE (van den Oord et al., 2017).

    loss = error(x, decode(e)) + |sg[z] - e|^2 + beta * |z - sg[e]|^2   (Eq. 3)

with z = encode(x), e its nearest codes and sg the stop-gradient. The hope is
that no code describes outliers, so that they cannot be reconstructed.

References:
    van den Oord, Vinyals & Kavukcuoglu, Neural Discrete Representation
        Learning, 2017. https://arxiv.org/abs/1711.00937
    Dhariwal et al., Jukebox: A Generative Model for Music, 2020, section 3.1,
        for the restarts. https://arxiv.org/abs/2005.00341
"""

import gin
import keras
import tensorflow as tf

from nae_tf.autoencoder import Autoencoder
from nae_tf.base import randomness
from nae_tf.base.replicas import rows_of_all
from nae_tf.base.setting_checks import check_integer, check_number
from nae_tf.latent_space import Euclidean


def nearest_codes(vectors, codebook):
    """Index of the code nearest to every vector (Eq. 1).

    Args:
        vectors: float [..., code_dim].
        codebook: float [num_codes, code_dim].

    Returns:
        int64 [...], the first of equally near codes.
    """
    # |z - e|^2 without |z|^2, which is the same for every code.
    half_squares = 0.5 * tf.reduce_sum(tf.square(codebook), -1)
    products = tf.linalg.matmul(vectors, codebook, transpose_b=True)
    return tf.argmin(half_squares - products, axis=-1)


def straight_through(z, codes):
    """Return the codes, with the gradient that they receive passed to `z`."""
    return z + tf.stop_gradient(codes - z)


def codebook_loss(z, codes):
    """Mean squared distance that moves the codes towards the encodings.

    Args:
        z: float [batch, latent_dim].
        codes: float [batch, latent_dim].

    Returns:
        float scalar.
    """
    return tf.reduce_mean(
        tf.math.squared_difference(tf.stop_gradient(z), codes)
    )


def commitment_loss(z, codes):
    """Mean squared distance that keeps the encodings near the codes.

    Args:
        z: float [batch, latent_dim].
        codes: float [batch, latent_dim].

    Returns:
        float scalar.
    """
    return codebook_loss(codes, z)


def perplexity(counts):
    """Exponential of the entropy of code usage, a number of codes in use.

    Args:
        counts: float [num_codes], number of times that each code was chosen.

    Returns:
        float scalar, in [1, num_codes].
    """
    usage = counts / tf.reduce_sum(counts)
    return tf.exp(
        -tf.reduce_sum(tf.math.multiply_no_nan(tf.math.log(usage), usage))
    )


@gin.register(module="nae_tf")
@keras.saving.register_keras_serializable(package="nae_tf")
class VQVAE(Autoencoder):
    """An autoencoder with quantised latents; its error is the outlier score.

    Differs from the paper, which quantises every position of a feature map: the
    latent vector of an example is cut into latent_dim / code_dim vectors. All
    share one codebook here, too.

    Example:
        >>> import numpy as np
        >>> from nae_tf.baselines import VQVAE
        >>> from nae_tf.networks import MLPDecoder, MLPEncoder
        >>> model = VQVAE(
        ...     MLPEncoder(latent_dim=4, example_shape=(6,)),
        ...     MLPDecoder(latent_dim=4, example_shape=(6,)),
        ...     num_codes=16,
        ...     code_dim=2,
        ... )
        >>> model.compile("adam")
        >>> x = np.random.default_rng(0).uniform(size=(64, 6))
        >>> history = model.fit(x, epochs=2, verbose=0)
        >>> model.predict_outlier_score(x).shape
        (64,)
    """

    def __init__(
        self,
        encoder,
        decoder,
        num_codes: int = 512,
        code_dim: int = 4,
        commitment_weight: float = 0.25,
        restart_after: int = 100,
        seed: int = 0,
        name=None,
        dtype=None,
    ):
        """Put a codebook between an encoder and a decoder.

        Args:
            encoder: network from float [batch, ...] to latents, float [batch,
                latent_dim].
            decoder: network from latents to float [batch, ...].
            num_codes: number of codes in the codebook, > 0.
            code_dim: length of a code vector, a divisor of latent_dim.
            commitment_weight: weight beta of Eq. 3, >= 0; the paper has 0.25.
            restart_after: number of batches, > 0, after which a code that no
                encoding chose is dead. It moves to a random encoding.
            seed: seed of the restarts, int.
            name: name of the model.
            dtype: dtype policy; the networks keep their own.

        Raises:
            ValueError: if a setting is out of range, or shapes do not fit.
        """
        for key, value in {
            "num_codes": num_codes,
            "code_dim": code_dim,
            "restart_after": restart_after,
        }.items():
            check_integer("VQVAE", key, value, 1)
        check_number(
            "VQVAE", "commitment_weight", commitment_weight, "[0, inf)"
        )
        # Set first: super().__init__ builds the model, which needs them.
        self.num_codes = num_codes
        self.code_dim = code_dim
        self.commitment_weight = commitment_weight
        self.restart_after = restart_after
        self.seed = seed
        super().__init__(
            encoder,
            decoder,
            latent_space=Euclidean(),
            name=name,
            dtype=dtype,
        )

    def track_metrics(self):
        """Track the running means that `fit` shows."""
        self.track(
            "loss",
            "reconstruction_error",
            "commitment_loss",
            "codebook_perplexity",
        )

    def build(self, input_shape):
        """Build the networks and the codebook.

        Raises:
            ValueError: if code_dim does not divide latent_dim.
        """
        super().build(input_shape)
        latent_dim = self.latent_shape[-1]
        if len(self.latent_shape) != 1 or latent_dim % self.code_dim:
            raise ValueError(
                "VQVAE: expected latents [batch, latent_dim] that codes of "
                f"code_dim={self.code_dim} divide, received latents of shape "
                f"{list(self.latent_shape)}; change code_dim or the encoder."
            )
        # All replicas assign the same value.
        self.codebook = self.add_weight(
            name="codebook",
            shape=(self.num_codes, self.code_dim),
            initializer="zeros",
            aggregation="only_first_replica",
        )
        # Every code is dead at first, so that the first batch of `fit` becomes
        # the codebook.
        self.idle_batches = self.add_weight(
            name="idle_batches",
            shape=(self.num_codes,),
            initializer=keras.initializers.Constant(self.restart_after),
            dtype="int64",
            trainable=False,
            aggregation="only_first_replica",
        )

    def encode(self, x, training=False):
        """Map examples to quantised latents.

        Args:
            x: float [batch, ...].
            training: whether the encoder runs in training mode.

        Returns:
            float [batch, latent_dim], in the type of `x`.
        """
        return self.look_up(super().encode(x, training))[0]

    def look_up(self, z):
        """Replace latents by their nearest codes.

        Args:
            z: float [batch, latent_dim].

        Returns:
            codes: float [batch, latent_dim].
            counts: float [num_codes], number of times that each code was
                chosen.
        """
        codebook = tf.cast(self.codebook, z.dtype)
        indices = nearest_codes(self._split(z), codebook)
        codes = tf.reshape(tf.gather(codebook, indices), tf.shape(z))
        counts = tf.math.bincount(
            tf.cast(tf.reshape(indices, [-1]), tf.int32),
            minlength=self.num_codes,
            maxlength=self.num_codes,
            dtype=z.dtype,
        )
        return tf.ensure_shape(codes, z.shape), counts

    def objective(self, x, training: bool = False) -> dict:
        """Compute the loss of a batch (Eq. 3), in training after restarts."""
        z = super().encode(x, training)
        if training:
            self.restart_dead_codes(z)
        codes, counts = self.look_up(z)
        context = tf.distribute.get_replica_context()
        counts = context.all_reduce(tf.distribute.ReduceOp.SUM, counts)
        if training:
            self._count_idle_batches(counts)
        energy = self.energy_of_latent(x, straight_through(z, codes), training)
        commitment = commitment_loss(z, codes)
        loss = tf.reduce_mean(energy)
        loss += codebook_loss(z, codes) + self.commitment_weight * commitment
        return {
            "loss": loss,
            "reconstruction_error": energy,
            "commitment_loss": commitment,
            "codebook_perplexity": perplexity(counts),
        }

    def restart_dead_codes(self, z):
        """Move every dead code to a random encoding of a batch.

        Args:
            z: float [batch, latent_dim], this replica's share of the batch.
        """
        vectors = tf.reshape(rows_of_all(z), [-1, self.code_dim])
        chosen = randomness.uniform(
            [self.num_codes],
            self.noise_seed(training=True, shared=True),
            tf.int32,
            0,
            tf.shape(vectors)[0],
        )
        fresh = tf.cast(tf.gather(vectors, chosen), self.codebook.dtype)
        idle = tf.convert_to_tensor(self.idle_batches)
        dead = idle >= self.restart_after
        self.codebook.assign(
            tf.where(dead[:, None], tf.stop_gradient(fresh), self.codebook)
        )
        self.idle_batches.assign(tf.where(dead, tf.zeros_like(idle), idle))

    def _count_idle_batches(self, counts):
        idle = tf.convert_to_tensor(self.idle_batches)
        self.idle_batches.assign(
            tf.where(counts > 0, tf.zeros_like(idle), idle + 1)
        )

    def _split(self, z):
        num_vectors = self.latent_shape[-1] // self.code_dim
        return tf.reshape(z, [-1, num_vectors, self.code_dim])
