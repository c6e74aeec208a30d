"""Deep autoencoding Gaussian mixture model, DAGMM (Zong et al., 2018).

    f = [encode(x), |x - y| / |x|, cosine(x, y)],  y = decode(encode(x))
    E(f) = -log sum_k phi_k N(f; mu_k, Sigma_k)                       (Eq. 6)
    loss = |x - y|^2 + energy_weight * E(f)
           + covariance_weight * sum_kj 1 / Sigma_kjj                 (Eq. 7)

A small network estimates the component of the mixture that an example belongs
to. The mixture of a batch follows in closed form (Eq. 5). The sample energy E
is the outlier score.

References:
    Zong et al., Deep Autoencoding Gaussian Mixture Model for Unsupervised
        Anomaly Detection, 2018. https://openreview.net/forum?id=BJJLHbb0-
"""

import math

import gin
import keras
import tensorflow as tf

from nae_tf.autoencoder import Autoencoder
from nae_tf.base.replicas import rows_of_all
from nae_tf.base.setting_checks import check_integer, check_number
from nae_tf.baselines.gaussian_mixture import (
    Mixture,
    covariance_penalty,
    estimate_mixture,
    merge_mixtures,
    sample_energy,
)
from nae_tf.energy import reconstruction_error
from nae_tf.latent_space import Euclidean

# A black image, of norm 0, counts as one of this norm. An 8-bit image with a
# single pixel of the darkest grey has a larger one.
_SMALLEST_NORM = 1e-3


def relative_distance(x, reconstruction):
    """Relative Euclidean distance |x - y| / |x|, float [batch]."""
    return _norm(x - reconstruction) / _norm(x)


def cosine_similarity(x, reconstruction):
    """Cosine of the angle between x and y, float [batch]."""
    product = tf.reduce_sum(_flatten(x) * _flatten(reconstruction), -1)
    return product / (_norm(x) * _norm(reconstruction))


def _flatten(x):
    return tf.reshape(x, [tf.shape(x)[0], -1])


def _norm(x):
    # The maximum is taken of the square, because a root has no gradient at 0.
    squares = tf.reduce_sum(tf.square(_flatten(x)), -1)
    return tf.sqrt(tf.maximum(squares, _SMALLEST_NORM**2))


@gin.register(module="nae_tf")
@keras.saving.register_keras_serializable(package="nae_tf")
class DAGMM(Autoencoder):
    """An autoencoder with a mixture model of its latents and errors.

    Training fits the mixture of every batch, also where several replicas share
    the batch. Scores use a running mixture of the training set: the mean over
    all batches at first, and with exponentially fading weights after
    `1 / (1 - decay)` batches.

    The mixture is computed and kept in double precision, because the weak
    directions of a covariance are lost in the rounding of the strong ones.

    Example:
        >>> import numpy as np
        >>> from nae_tf.baselines import DAGMM
        >>> from nae_tf.networks import MLPDecoder, MLPEncoder
        >>> model = DAGMM(
        ...     MLPEncoder(latent_dim=2, example_shape=(4,)),
        ...     MLPDecoder(latent_dim=2, example_shape=(4,)),
        ...     num_components=2,
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
        num_components: int = 4,
        hidden_units: int = 10,
        dropout: float = 0.5,
        energy_weight: float = 0.1,
        covariance_weight: float = 0.005,
        covariance_jitter: float = 1e-6,
        decay: float = 0.99,
        seed: int = 0,
        name=None,
        dtype=None,
    ):
        """Join an encoder, a decoder and an estimation network.

        Args:
            encoder: network from float [batch, ...] to latents, float [batch,
                latent_dim].
            decoder: network from latents to float [batch, ...].
            num_components: number of components of the mixture, > 0; the paper
                has 4 for its largest data set.
            hidden_units: size of the estimation network's tanh layer, > 0.
            dropout: rate of that layer's dropout, in [0, 1).
            energy_weight: weight lambda_1 of Eq. 7, >= 0.
            covariance_weight: weight lambda_2 of Eq. 7, >= 0.
            covariance_jitter: number added to variances, > 0, so that a
                singular covariance has a Cholesky factor.
            decay: decay of the running mixture per batch, in [0, 1).
            seed: seed of the dropout, int.
            name: name of the model.
            dtype: dtype policy; the networks keep their own.

        Raises:
            ValueError: if a setting is out of range, or shapes do not fit.
        """
        check_integer("DAGMM", "num_components", num_components, 1)
        check_integer("DAGMM", "hidden_units", hidden_units, 1)
        for key, value, interval in [
            ("dropout", dropout, "[0, 1)"),
            ("energy_weight", energy_weight, "[0, inf)"),
            ("covariance_weight", covariance_weight, "[0, inf)"),
            ("covariance_jitter", covariance_jitter, "(0, inf)"),
            ("decay", decay, "[0, 1)"),
        ]:
            check_number("DAGMM", key, value, interval)
        # Set first: super().__init__ builds the model, which needs them.
        self.num_components = num_components
        self.hidden_units = hidden_units
        self.dropout = dropout
        self.energy_weight = energy_weight
        self.covariance_weight = covariance_weight
        self.covariance_jitter = covariance_jitter
        self.decay = decay
        self.seed = seed
        super().__init__(
            encoder,
            decoder,
            latent_space=Euclidean(),
            reduction="sum",  # Eq. 7.
            name=name,
            dtype=dtype,
        )

    def track_metrics(self):
        """Track the running means that `fit` shows."""
        self.track(
            "loss",
            "reconstruction_error",
            "sample_energy",
            "covariance_penalty",
        )

    def build(self, input_shape):
        """Build the networks and the running mixture."""
        super().build(input_shape)
        num_features = self.latent_shape[-1] + 2
        policy = self.dtype_policy
        self.estimation_hidden = keras.layers.Dense(
            self.hidden_units, "tanh", dtype=policy, name="estimation_hidden"
        )
        self.estimation_output = keras.layers.Dense(
            self.num_components, dtype=policy, name="estimation_output"
        )
        self.estimation_hidden.build((None, num_features))
        self.estimation_output.build((None, self.hidden_units))

        def running(name, shape, initializer="zeros"):
            return self.add_weight(
                name=name,
                shape=shape,
                initializer=initializer,
                dtype="float64",
                trainable=False,
                aggregation="only_first_replica",
            )

        # Differs from the paper, which does not say which mixture scores new
        # examples: here it is a running mean over the batches. It starts as a
        # point mass at the origin, which the first batch replaces.
        count = self.num_components
        uniform = keras.initializers.Constant(-math.log(count))
        self.running_mixture = Mixture(
            running("log_weights", (count,), uniform),
            running("means", (count, num_features)),
            running("covariances", (count, num_features, num_features)),
        )
        self.num_batches = running("num_batches", ())

    def mixture_features(self, x, z, reconstruction):
        """Compute the features of examples for the mixture (section 3.2).

        Args:
            x: float [batch, ...].
            z: float [batch, latent_dim], latents of `x`.
            reconstruction: float, shape of `x`.

        Returns:
            float [batch, latent_dim + 2].
        """
        errors = [
            relative_distance(x, reconstruction),
            cosine_similarity(x, reconstruction),
        ]
        return tf.concat([z, tf.stack(errors, -1)], -1)

    def log_memberships(self, features, training=False):
        """Estimate the components that examples belong to (Eq. 4).

        Args:
            features: float [batch, num_features].
            training: whether hidden units are dropped.

        Returns:
            float64 [batch, num_components], log gamma.
        """
        hidden = self.estimation_hidden(features)
        if training:
            hidden = tf.nn.experimental.stateless_dropout(
                hidden, self.dropout, self.noise_seed(training), "philox"
            )
        logits = self.estimation_output(hidden)
        return tf.nn.log_softmax(tf.cast(logits, tf.float64))

    def objective(self, x, training: bool = False) -> dict:
        """Compute the loss of a batch (Eq. 7); training updates the mixture."""
        z = self.encode(x, training)
        reconstruction = self.decode(z, training)
        error = reconstruction_error(
            x, reconstruction, self.distance, self.reduction
        )
        features = self.mixture_features(x, z, reconstruction)
        wide = tf.cast(features, tf.float64)
        if training:
            batch = rows_of_all(wide)
            mixture, without_dropout = (
                estimate_mixture(
                    batch, rows_of_all(self.log_memberships(features, drop))
                )
                for drop in (True, False)
            )
            self._update_mixture(without_dropout)
        else:
            mixture = self.running_mixture
        energy = sample_energy(wide, mixture, self.covariance_jitter)
        penalty = covariance_penalty(mixture, self.covariance_jitter)
        regularizer = (
            self.energy_weight * tf.reduce_mean(energy)
            + self.covariance_weight * penalty
        )
        loss = tf.reduce_mean(error)
        return {
            "loss": loss + tf.cast(regularizer, loss.dtype),
            "reconstruction_error": error,
            "sample_energy": energy,
            "covariance_penalty": penalty,
        }

    def outlier_score(self, x):
        """Score examples by the energy under the running mixture (Eq. 6).

        Args:
            x: float [batch, ...].

        Returns:
            float [batch].
        """
        x = tf.convert_to_tensor(x)
        z = self.encode(x)
        features = self.mixture_features(x, z, self.decode(z))
        energy = sample_energy(
            tf.cast(features, tf.float64),
            self.running_mixture,
            self.covariance_jitter,
        )
        return tf.cast(energy, x.dtype)

    def _update_mixture(self, mixture: Mixture):
        self.num_batches.assign_add(1.0)
        rate = tf.maximum(1.0 / self.num_batches, 1.0 - self.decay)
        merged = merge_mixtures(self.running_mixture, mixture, rate)
        for variable, value in zip(self.running_mixture, merged, strict=True):
            variable.assign(value)
