"""The variational autoencoder.

    q(z|x) = Normal(mean(x), variance(x)),    p(z) = Normal(0, 1)
    p(x|z) = Normal(decode(z), decoder_std^2)
    loss   = mean E_q[-log p(x|z)] + KL(q(z|x) || p(z))    in nats per example

Kingma & Welling, Auto-Encoding Variational Bayes, ICLR 2014. Two outlier
scores, the rows VAE(R) and VAE(L) of Tables 1 and 2:

    reconstruction  E_q[-log p(x|z)]                     (An & Cho 2015)
    likelihood      -log 1/K sum_k p(x|z_k) p(z_k) / q(z_k|x),  z_k from q(z|x)

The latter is the importance-weighted bound of Burda, Grosse & Salakhutdinov,
Importance Weighted Autoencoders, ICLR 2016.
"""

import math

import gin
import keras
import tensorflow as tf

from nae_tf.autoencoder import Autoencoder
from nae_tf.base import randomness
from nae_tf.base.batches import scalar_like
from nae_tf.base.replicas import call_network
from nae_tf.base.setting_checks import (
    check_choice,
    check_flag,
    check_integer,
    check_number,
)
from nae_tf.latent_space import Euclidean

# Far outliers must not overflow: exp(30) is still a float.
_MAX_LOG_VARIANCE = 30.0


def kl_to_standard_normal(mean, log_variance):
    """KL divergence of diagonal Gaussians from the standard normal.

        KL = 1/2 sum mean^2 + variance - 1 - log variance

    Args:
        mean: float [batch, latent_dim].
        log_variance: float [batch, latent_dim].

    Returns:
        float [batch], in nats.
    """
    terms = tf.square(mean) + tf.exp(log_variance) - 1 - log_variance
    return tf.reduce_sum(terms, axis=1) / 2


def normal_log_density(x, mean, log_std):
    """Log density of independent Gaussians, summed over all but one axis.

    Args:
        x: float [batch, ...].
        mean: float, broadcasts to the shape of `x`.
        log_std: float, broadcasts to the shape of `x`.

    Returns:
        float [batch], in nats.
    """
    log_std = scalar_like(log_std, x)
    deviation = (x - mean) * tf.exp(-log_std)
    terms = tf.square(deviation) / 2 + log_std + math.log(2 * math.pi) / 2
    return -tf.reduce_sum(terms, list(range(1, x.shape.rank)))


def importance_weighted_bound(log_weights):
    """Bound of log p(x) that tightens with the number of samples.

    Args:
        log_weights: float [num_samples, batch], log p(x, z) / q(z|x) of
            samples z from q(z|x).

    Returns:
        float [batch], the logarithm of the mean weight.
    """
    num_samples = tf.cast(tf.shape(log_weights)[0], log_weights.dtype)
    return tf.reduce_logsumexp(log_weights, axis=0) - tf.math.log(num_samples)


@gin.register(module="nae_tf")
def gaussian_encoder(encoder):
    """Rebuild an encoder with a mean and a log variance for every latent.

    Args:
        encoder: network of this package; its weights are not used.

    Returns:
        A network of the same configuration with twice the outputs.

    Raises:
        ValueError: if the encoder has no `latent_dim` to double.

    Example:
        >>> from nae_tf.baselines import gaussian_encoder
        >>> from nae_tf.networks import MLPEncoder
        >>> encoder = MLPEncoder(latent_dim=2, example_shape=(4,))
        >>> gaussian_encoder(encoder).output_shape
        (None, 4)
    """
    config = encoder.get_config()
    if "latent_dim" not in config:
        raise ValueError(
            "gaussian_encoder: expected an encoder with the argument "
            f"latent_dim, received {type(encoder).__name__}; give VAE one with "
            "two outputs for every latent instead."
        )
    doubled = {"latent_dim": 2 * config["latent_dim"]}
    return type(encoder).from_config(config | doubled)


@gin.register(module="nae_tf")
@keras.saving.register_keras_serializable(package="nae_tf")
class VAE(Autoencoder):
    """A variational autoencoder with a Gaussian encoder and decoder.

    The encoder is that of NAE with two outputs per latent: first all means,
    then all log variances. `encode` returns the means.

        encoder: [batch, ...] -> [batch, 2 * latent_dim]
        decoder: [batch, latent_dim] -> [batch, ...]

    Example:
        >>> import numpy as np
        >>> from nae_tf.baselines import VAE, gaussian_encoder
        >>> from nae_tf.networks import MLPDecoder, MLPEncoder
        >>> model = VAE(
        ...     gaussian_encoder(MLPEncoder(latent_dim=2, example_shape=(4,))),
        ...     MLPDecoder(latent_dim=2, example_shape=(4,)),
        ...     score="likelihood",
        ... )
        >>> model.compile("adam")
        >>> x = np.random.default_rng(0).uniform(size=(64, 4))
        >>> history = model.fit(x, epochs=2, verbose=0)
        >>> "kl_divergence" in history.history
        True
        >>> model.predict_outlier_score(x).shape
        (64,)
    """

    def __init__(
        self,
        encoder,
        decoder,
        decoder_std: float = 1.0,
        trains_decoder_std: bool = False,
        score: str = "reconstruction",
        num_samples: int = 16,
        seed: int = 0,
        name=None,
        dtype=None,
    ):
        """Join an encoder and a decoder.

        Args:
            encoder: network from float [batch, ...] to means and log variances,
                float [batch, 2 * latent_dim].
            decoder: network from latents, float [batch, latent_dim], to the
                means of examples, float [batch, ...].
            decoder_std: standard deviation of an element of an example given
                the latent, > 0; the start value when it is trained.
            trains_decoder_std: whether the bound is maximised over
                `decoder_std`, too.
            score: outlier score, "reconstruction" or "likelihood".
            num_samples: number K of latent samples per score, > 0.
            seed: seed of the samples in training and scoring, int.
            name: name of the model.
            dtype: dtype policy; the networks keep their own.

        Raises:
            ValueError: if a setting is out of range, or shapes do not fit.
        """
        check_number("VAE", "decoder_std", decoder_std, "(0, inf)")
        check_flag("VAE", "trains_decoder_std", trains_decoder_std)
        check_choice("VAE", "score", score, ["reconstruction", "likelihood"])
        check_integer("VAE", "num_samples", num_samples, 1)
        self.decoder_std = decoder_std
        self.trains_decoder_std = trains_decoder_std
        self.score = score
        self.num_samples = num_samples
        self.seed = seed
        super().__init__(
            encoder, decoder, latent_space=Euclidean(), name=name, dtype=dtype
        )

    def track_metrics(self):
        """Track the running means that `fit` shows."""
        self.track(
            "loss", "negative_log_likelihood", "kl_divergence", "decoder_std"
        )

    def build(self, input_shape):
        """Build the networks and the decoder's standard deviation."""
        super().build(input_shape)
        self.log_decoder_std = self.add_weight(
            name="log_decoder_std",
            shape=(),
            initializer=keras.initializers.Constant(math.log(self.decoder_std)),
            trainable=self.trains_decoder_std,
        )

    def latent_part(self, outputs):
        """Return the means among the encoder's outputs.

        Raises:
            ValueError: if there are not two outputs per latent.
        """
        count = outputs.shape[-1]
        # A Keras layer that is not built yet takes any number of latents.
        takes = getattr(self.decoder, "input_shape", (None, count // 2))[-1]
        if count != 2 * takes:
            raise ValueError(
                "VAE: the encoder must give a mean and a log variance for "
                f"every latent: expected {2 * takes} outputs for the "
                f"decoder's {takes} latents, received {count}; build it with "
                "twice the latent_dim."
            )
        return outputs[:, : count // 2]

    def posterior(self, x, training=False):
        """Compute the parameters of q(z|x).

        Args:
            x: float [batch, ...].
            training: whether the encoder runs in training mode.

        Returns:
            mean: float [batch, latent_dim].
            log_variance: float [batch, latent_dim].
        """
        outputs = tf.cast(call_network(self.encoder, x, training), x.dtype)
        mean, log_variance = tf.split(outputs, 2, axis=1)
        limit = scalar_like(_MAX_LOG_VARIANCE, x)
        return mean, tf.clip_by_value(log_variance, -limit, limit)

    def log_likelihood(self, x, z, training=False):
        """Compute log p(x|z), float [batch], in nats."""
        log_std = tf.convert_to_tensor(self.log_decoder_std)
        return normal_log_density(x, self.decode(z, training), log_std)

    def objective(self, x, training: bool = False) -> dict:
        """Compute the negative bound of log p(x), one sample per example."""
        mean, log_variance = self.posterior(x, training)
        noise = randomness.normal(
            tf.shape(mean), self.noise_seed(training), x.dtype
        )
        z = mean + tf.exp(log_variance / 2) * noise
        negative_log_likelihood = -self.log_likelihood(x, z, training)
        kl = kl_to_standard_normal(mean, log_variance)
        return {
            "loss": tf.reduce_mean(negative_log_likelihood + kl),
            "negative_log_likelihood": negative_log_likelihood,
            "kl_divergence": kl,
            "decoder_std": tf.exp(tf.convert_to_tensor(self.log_decoder_std)),
        }

    def log_density(self, x):
        """Compute the importance-weighted bound of log p(x).

        It takes `num_samples` samples.

        Args:
            x: float [batch, ...].

        Returns:
            float [batch], in nats.
        """
        x = tf.convert_to_tensor(x)
        mean, log_variance = self.posterior(x)

        def log_weight(noise):
            z = mean + tf.exp(log_variance / 2) * noise
            log_prior = normal_log_density(z, 0.0, 0.0)
            log_posterior = normal_log_density(z, mean, log_variance / 2)
            return self.log_likelihood(x, z) + log_prior - log_posterior

        return importance_weighted_bound(self._for_each_sample(log_weight, x))

    def outlier_score(self, x):
        """Score examples by the reconstruction or the likelihood.

        Args:
            x: float [batch, ...].

        Returns:
            float [batch], in nats; higher is more outlying.
        """
        x = tf.convert_to_tensor(x)
        if self.score == "likelihood":
            return -self.log_density(x)
        mean, log_variance = self.posterior(x)

        def log_likelihood(noise):
            z = mean + tf.exp(log_variance / 2) * noise
            return self.log_likelihood(x, z)

        samples = self._for_each_sample(log_likelihood, x)
        return -tf.reduce_mean(samples, axis=0)

    def _for_each_sample(self, function, x):
        """Apply a function to K draws of noise, to [num_samples, batch]."""
        # The same draws for every example, so that its score does not depend
        # on the batch. One draw at a time, because K batches may be large.
        shape = (self.num_samples, *self.latent_shape)
        noise = randomness.normal(shape, self.noise_seed(False), x.dtype)
        return tf.map_fn(function, noise)
