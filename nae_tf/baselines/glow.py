"""Glow, a normalising flow (Kingma & Dhariwal 2018).

    v = (level + noise) / num_levels - 1/2          noise uniform in [0, 1)
    z = f(v),   log p(v) = log N(z; 0, 1) + log |det dz/dv|         (Eq. 3)
    log p(x) = log p(v) - D log num_levels
    loss = mean -log p(x),   score = -log2 p(x) / D

f is K steps of invertible layers on each of L scales: `flow_layers` and
`flow_couplings`.
The score is known to fail: simple outliers are more likely than the data. The
paper compares with it for that reason (section 6.3).

References:
    Kingma & Dhariwal, Glow: Generative Flow with Invertible 1x1 Convolutions,
        2018. https://arxiv.org/abs/1807.03039
"""

import math

import gin
import keras
import tensorflow as tf

from nae_tf.base import randomness
from nae_tf.base.generation import generation_seed
from nae_tf.base.replicas import call_network
from nae_tf.base.setting_checks import check_integer
from nae_tf.baselines.flow_couplings import FlowScale
from nae_tf.baselines.flow_layers import standard_normal_log_density
from nae_tf.baselines.likelihood_model import (
    GeneratedSample,
    LikelihoodModel,
    grey_levels,
)


def dequantize(x, noise, num_levels: int):
    """Spread the grey levels of images over the interval [-1/2, 1/2).

    Args:
        x: float [batch, ...], in [0, 1].
        noise: float [batch, ...], uniform in [0, 1).
        num_levels: number of grey levels.

    Returns:
        float, shape of `x`. A level is an interval of length 1 / num_levels.
    """
    return (grey_levels(x, num_levels) + noise) / num_levels - 0.5


def quantize(v, num_levels: int):
    """Return the images whose grey levels `dequantize` has spread.

    Args:
        v: float [batch, ...]; values outside of [-1/2, 1/2) take the nearest
            level.
        num_levels: number of grey levels.

    Returns:
        float, shape of `v`: multiples of 1 / (num_levels - 1) in [0, 1].
    """
    return grey_levels(v + 0.5, num_levels) / (num_levels - 1)


@gin.register(module="nae_tf")
@keras.saving.register_keras_serializable(package="nae_tf")
class Glow(LikelihoodModel):
    """A normalising flow of images or vectors, scored by its likelihood.

    It builds its layers for the shape of the examples, and takes no encoder and
    no decoder. `fit` first sets the start values of the layers by some of the
    data (`initialize`). Called, the model returns log p(x).

    A vector is an image of one pixel, and its density has no grey levels:
    `num_levels=None`.

    Example:
        >>> import numpy as np
        >>> from nae_tf.baselines import Glow
        >>> x = np.random.default_rng(0).uniform(size=(64, 4, 4, 1))
        >>> model = Glow(num_steps=2, hidden_channels=8)
        >>> model.compile("adam")
        >>> history = model.fit(x, epochs=2, verbose=0)
        >>> "bits_per_dimension" in history.history
        True
        >>> model.predict_outlier_score(x).shape
        (64,)
        >>> model.sample(3).x.shape
        TensorShape([3, 4, 4, 1])
    """

    def __init__(
        self,
        num_steps: int = 12,
        num_scales: int = 1,
        hidden_channels: int = 64,
        num_levels: int | None = 256,
        num_samples: int = 4,
        seed: int = 0,
        name=None,
        dtype=None,
    ):
        """Describe a flow.

        Args:
            num_steps: number K of steps per scale, > 0 (appendix D.4: 12).
            num_scales: number L of scales, > 0 (appendix D.4: 1). Each halves
                the sides of an image; after each but the last, half of the
                channels end.
            hidden_channels: channels in the networks of the couplings, > 0.
            num_levels: number of grey levels of an image, 2 to 256, or None for
                data that are not quantised.
            num_samples: number of draws of the dequantisation noise per score,
                > 0.
            seed: seed of the noise, int.
            name: name of the model.
            dtype: dtype policy; layers compute in the type of its variables.

        Raises:
            ValueError: if a setting is out of range.
        """
        for key, value in {
            "num_steps": num_steps,
            "num_scales": num_scales,
            "hidden_channels": hidden_channels,
            "num_samples": num_samples,
        }.items():
            check_integer("Glow", key, value, 1)
        super().__init__(num_levels, name=name, dtype=dtype)
        self.num_steps = num_steps
        self.num_scales = num_scales
        self.hidden_channels = hidden_channels
        self.num_samples = num_samples
        self.seed = seed

    def build(self, input_shape):
        """Build the layers for examples of shape `input_shape[1:]`.

        Raises:
            ValueError: if the shape is no image's that can be halved
                `num_scales` times, and no vector's.
        """
        self.example_shape = tuple(input_shape[1:])
        self.is_image = len(self.example_shape) == 3
        self._check_shape()
        image_shape = (
            self.example_shape if self.is_image else (1, 1, *self.example_shape)
        )
        # Log determinants are large and cancel, so the layers compute in the
        # type of the variables, whatever the policy.
        self.scales = []
        for number in range(1, self.num_scales + 1):
            scale = FlowScale(
                self.num_steps,
                self.hidden_channels,
                squeezes=self.is_image,
                splits=number < self.num_scales,
                dtype=self.variable_dtype,
            )
            scale.build((None, *image_shape))
            self.scales.append(scale)
            height, width, channels = scale.output_image_shape
            image_shape = (height, width, channels // 2)
        self.build_start_flag()
        self.built = True

    def _check_shape(self):
        shape, side = self.example_shape, 2**self.num_scales
        fits = (
            shape[0] % side == shape[1] % side == 0
            if self.is_image
            else len(shape) == 1 and shape[0] > 1 and self.num_scales == 1
        )
        if not fits:
            raise ValueError(
                "Glow: expected images [height, width, channels] whose sides "
                f"can be divided by 2**num_scales = {side}, or vectors of at "
                "least 2 values with num_scales=1; received examples of shape "
                f"{list(shape)}; resize or pad them, or change num_scales."
            )

    def set_start_values(self, x):
        """Standardise what every `ActNorm` receives of examples (section 3.1).

        Args:
            x: float [batch, ...].
        """
        noise = randomness.uniform(tf.shape(x), self.noise_seed(False), x.dtype)
        self.transform(self._continuous(x, noise), initialize=True)

    # --- The flow -------------------------------------------------------------

    def transform(self, v, initialize=False):
        """Map continuous values to latents, z = f(v).

        Args:
            v: float [batch, ...], grey levels as `dequantize` spreads them, or
                data that are not quantised.
            initialize: whether the layers set their start values.

        Returns:
            z: float [batch, D].
            log_determinant: float [batch], log |det dz/dv|.
        """
        y = v if self.is_image else v[:, None, None, :]
        log_determinant = tf.zeros(tf.shape(v)[:1], v.dtype)
        endings = []
        for scale in self.scales:
            y, of_scale = scale(y, initialize=initialize)
            log_determinant += of_scale
            if scale.splits:
                y, ending = tf.split(y, 2, axis=-1)
                endings.append(ending)
        parts = [*endings, y]
        z = tf.concat(
            [
                tf.reshape(part, [-1, math.prod(part.shape[1:])])
                for part in parts
            ],
            axis=1,
        )
        return z, log_determinant

    def inverse(self, z):
        """Map latents to continuous values, the inverse of `transform`.

        Args:
            z: float [batch, D].

        Returns:
            float [batch, ...].
        """
        y = None
        for scale in reversed(self.scales):
            shape = scale.output_image_shape
            if scale.splits:
                shape = (*shape[:-1], shape[-1] // 2)
            size = math.prod(shape)
            part = tf.reshape(z[:, -size:], [-1, *shape])
            z = z[:, :-size]
            y = scale.inverse(part if y is None else tf.concat([y, part], -1))
        return tf.reshape(y, [-1, *self.example_shape])

    def log_density(self, v, training=False):
        """Compute log p(v) of continuous values (Eq. 3).

        Args:
            v: float [batch, ...], as `transform` takes them.
            training: has no effect.

        Returns:
            float [batch], in nats.
        """
        del training
        z, log_determinant = self.transform(v)
        return standard_normal_log_density(z) + log_determinant

    def log_likelihood(self, x):
        """Compute the bound of log p(x), the mean over draws of noise.

        Args:
            x: float [batch, ...].

        Returns:
            float [batch], in nats.
        """
        x = self.checked_tensor("log_likelihood", x)
        # Keras hands over single precision to `predict`.
        x = tf.cast(x, self.variable_dtype)
        if self.num_levels is None:
            return self._log_likelihood(x, noise=None)
        # The same draws for every example, so that its score does not depend
        # on the batch. One draw at a time, because K batches may be large.
        noise = randomness.uniform(
            (self.num_samples, *self.example_shape),
            self.noise_seed(False),
            x.dtype,
        )
        draws = tf.map_fn(lambda u: self._log_likelihood(x, u), noise)
        return tf.reduce_mean(draws, axis=0)

    def objective(self, x, training: bool = False) -> dict:
        """Compute the negative log likelihood, one draw of noise per value."""
        noise = randomness.uniform(
            tf.shape(x), self.noise_seed(training), x.dtype
        )
        log_likelihood = self._log_likelihood(x, noise)
        return self.likelihood_terms(log_likelihood)

    def generate(self, num_samples, seed) -> GeneratedSample:
        """Generate samples as `sample` does, inside a graph.

        Args:
            num_samples: number of samples, int scalar > 0; may be a tensor.
            seed: seed of the samples, int scalar; may be a tensor.

        Returns:
            `GeneratedSample`.
        """
        seed = generation_seed(seed)
        shape = [num_samples, self.num_dimensions]
        v = self.inverse(randomness.normal(shape, seed, self.variable_dtype))
        if self.num_levels is None:
            return GeneratedSample(self.unstandardized(v))
        return GeneratedSample(quantize(v, self.num_levels))

    def _continuous(self, x, noise):
        if self.num_levels is None:
            return x
        return dequantize(x, noise, self.num_levels)

    def _log_likelihood(self, x, noise):
        v = self._continuous(x, noise)
        log_density = call_network(self.log_density, v)
        if self.num_levels is None:
            return log_density
        # An image is a box of this volume.
        return log_density - self.num_dimensions * math.log(self.num_levels)
