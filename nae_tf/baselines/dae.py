"""The denoising autoencoder.

    loss = mean |x - decode(encode(x + noise_std * noise))|^2 / D

Vincent, Larochelle, Bengio & Manzagol, Extracting and Composing Robust Features
with Denoising Autoencoders, ICML 2008.
"""

import gin
import keras
import tensorflow as tf

from nae_tf.autoencoder import Autoencoder
from nae_tf.base import randomness
from nae_tf.base.batches import scalar_like
from nae_tf.base.setting_checks import check_number


@gin.register(module="nae_tf")
@keras.saving.register_keras_serializable(package="nae_tf")
class DAE(Autoencoder):
    """An autoencoder that learns to remove Gaussian noise.

    Only training adds noise: the outlier score is the reconstruction error of
    the example as it is.

    Example:
        >>> import numpy as np
        >>> from nae_tf.baselines import DAE
        >>> from nae_tf.networks import MLPDecoder, MLPEncoder
        >>> model = DAE(
        ...     MLPEncoder(latent_dim=2, example_shape=(4,)),
        ...     MLPDecoder(latent_dim=2, example_shape=(4,)),
        ...     noise_std=0.1,
        ... )
        >>> model.compile("adam")
        >>> x = np.random.default_rng(0).uniform(size=(64, 4))
        >>> history = model.fit(x, epochs=2, verbose=0)
        >>> sorted(history.history)
        ['denoising_error', 'loss']
        >>> model.predict_outlier_score(x).shape
        (64,)
    """

    def __init__(
        self,
        encoder,
        decoder,
        noise_std: float = 0.3,
        latent_space=None,
        seed: int = 0,
        name=None,
        dtype=None,
    ):
        """Join an encoder and a decoder.

        Args:
            encoder: network from float [batch, ...] to latents, float [batch,
                latent_dim].
            decoder: network from latents to float [batch, ...].
            noise_std: standard deviation of the noise, >= 0, in the units of
                the examples. The default is that of appendix D.4.
            latent_space: `Sphere()` (the default) or `Euclidean()`.
            seed: seed of the noise, int.
            name: name of the model.
            dtype: dtype policy; the networks keep their own.

        Raises:
            ValueError: if a setting is out of range, or shapes do not fit.
        """
        check_number("DAE", "noise_std", noise_std, "[0, inf)")
        self.noise_std = noise_std
        self.seed = seed
        super().__init__(
            encoder, decoder, latent_space=latent_space, name=name, dtype=dtype
        )

    def track_metrics(self):
        """Track the running means that `fit` shows."""
        self.track("loss", "denoising_error")

    def corrupt(self, x, seed):
        """Add noise to examples.

        Args:
            x: float [batch, ...].
            seed: stateless seed, int [2].

        Returns:
            float, shape of `x`.
        """
        noise = randomness.normal(tf.shape(x), seed, x.dtype)
        return x + scalar_like(self.noise_std, x) * noise

    def objective(self, x, training: bool = False) -> dict:
        """Compute the error of clean examples reconstructed from noisy ones."""
        noisy = self.corrupt(x, self.noise_seed(training))
        error = self.energy_of_latent(x, self.encode(noisy, training), training)
        return {"loss": tf.reduce_mean(error), "denoising_error": error}
