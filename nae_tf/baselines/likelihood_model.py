"""What the methods share that score by likelihood, Glow and PixelCNN++.

    score(x) = -log2 p(x) / D        bits per dimension; x has D values

p(x) is a probability: that of an image among all images of as many grey levels.
For data without grey levels it is a density.
"""

import math
import warnings
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from nae_tf.base.generation import GeneratesSamples
from nae_tf.base.setting_checks import check_integer
from nae_tf.base.some_examples import some_examples

# Single precision would round (level + noise) / num_levels to the next level of
# images with many more.
_MAX_LEVELS = 256
# Examples that set the start values of layers.
_NUM_INITIAL = 256


class GeneratedSample(NamedTuple):
    """Samples of a model that needs no chain to draw them.

    Attributes:
        x: float [batch, ...], the samples.
    """

    x: tf.Tensor


def grey_levels(x, num_levels: int):
    """Return the grey levels of images, with or without dequantisation noise.

        level = floor(x * num_levels)

    Of x = level / (num_levels - 1), as images are stored, and of x = (level +
    noise) / num_levels, as batches of a training come (section D.1), it is the
    same level.

    Args:
        x: float [batch, ...], in [0, 1].
        num_levels: number of grey levels, 2 to 256.

    Returns:
        float, shape of `x`: whole numbers in [0, num_levels - 1].
    """
    return tf.clip_by_value(tf.floor(x * num_levels), 0, num_levels - 1)


def bits_per_dimension(log_likelihood, num_dimensions: int):
    """Convert log likelihoods to bits per dimension.

    Args:
        log_likelihood: float [batch], in nats per example.
        num_dimensions: number of values of an example, > 0.

    Returns:
        float [batch]; lower is more likely.
    """
    return -log_likelihood / (num_dimensions * math.log(2))


def infinite_unless_finite(scores):
    """Make scores that are NaN or infinite the highest there are.

    Activations overflow on images that are far from the data.

    Args:
        scores: float [batch].

    Returns:
        float [batch], without NaN and without minus infinity.
    """
    infinity = tf.fill(tf.shape(scores), tf.cast(math.inf, scores.dtype))
    return tf.where(tf.math.is_finite(scores), scores, infinity)


class LikelihoodModel(GeneratesSamples):
    """A detector whose score is the negative log likelihood in bits.

    A subclass implements `log_likelihood`, and `set_start_values`, by which a
    batch of data starts its layers; its `build` calls `build_start_flag`.
    Called, the model returns the log likelihood.
    """

    def __init__(self, num_levels: int | None, name=None, dtype=None):
        """Start a model of images of some number of grey levels.

        Args:
            num_levels: number of grey levels, 2 to 256, or None for data that
                are not quantised.
            name: name of the model.
            dtype: dtype policy of the model.

        Raises:
            ValueError: if the number is out of range.
        """
        if num_levels is not None:
            owner = type(self).__name__
            check_integer(owner, "num_levels", num_levels, 2, _MAX_LEVELS)
        super().__init__(name=name, dtype=dtype)
        self.num_levels = num_levels
        self.track("loss", "bits_per_dimension")

    # --- Start values ---------------------------------------------------------

    def build_start_flag(self):
        """Create the flag whether data have set the start values."""
        self.is_initialized = self.add_weight(
            name="is_initialized",
            shape=(),
            initializer="zeros",
            dtype="int32",
            trainable=False,
            aggregation="only_first_replica",
        )

    def set_start_values(self, x):
        """Set the start values of all layers by examples, eagerly.

        Args:
            x: float [batch, ...], checked examples.
        """
        raise NotImplementedError

    def initialize(self, x):
        """Set the start values of all layers by a batch of examples.

        `fit` calls it with 256 examples, if it was not called before.

        Args:
            x: float [batch, ...], some hundred examples.

        Raises:
            ValueError: if the examples do not fit the model.
        """
        with self.distribute_strategy.scope():
            self.set_start_values(self.as_examples(x))
            self.is_initialized.assign(1)
        self.forget_graphs()

    def prepare_fit(self, x):
        """Set the start values, before the first step of a new model.

        Raises:
            ValueError: if there are no examples.
        """
        if self.built and int(self.is_initialized.numpy()):
            return x
        examples, x = some_examples(x, _NUM_INITIAL)
        self.initialize(examples)
        return x

    # --- Likelihood and score -------------------------------------------------

    @property
    def value_range(self) -> tuple[float, float] | None:
        """Range of grey levels, (0, 1); None for data without grey levels."""
        return None if self.num_levels is None else (0.0, 1.0)

    def standardize(self, x, key: str | None = None):
        """Standardise features, as every detector, but no grey levels.

        Args:
            x: training data, as `OutlierDetector.standardize` takes them.
            key: name of the examples in dictionaries.

        Returns:
            The model itself.

        Raises:
            ValueError: if the model is one of grey levels.
        """
        if self.num_levels is not None:
            raise ValueError(
                f"{type(self).__name__}.standardize: expected data without "
                f"grey levels, received num_levels={self.num_levels}; leave "
                "images in [0, 1], or set num_levels=None."
            )
        return super().standardize(x, key)

    @property
    def output_shape(self) -> tuple:
        """Shape of a batch of log likelihoods, (None,)."""
        return self.input_shape[:1]

    @property
    def num_dimensions(self) -> int:
        """Number of values of an example."""
        return math.prod(self.example_shape)

    def log_likelihood(self, x):
        """Compute log p(x).

        Args:
            x: float [batch, ...].

        Returns:
            float [batch], in nats.
        """
        raise NotImplementedError

    def call(self, x, training=False):
        """Compute log p(x), float [batch], in nats."""
        del training
        return self.log_likelihood(self.standardized(x))

    def bits_per_dimension(self, x):
        """Compute -log2 p(x) / D.

        Args:
            x: float [batch, ...].

        Returns:
            float [batch].
        """
        log_likelihood = self.log_likelihood(x)
        return bits_per_dimension(log_likelihood, self.num_dimensions)

    def likelihood_terms(self, log_likelihood) -> dict:
        """Return the loss and the metric of a batch, for `objective`.

        Args:
            log_likelihood: float [batch], in nats.
        """
        return {
            "loss": -tf.reduce_mean(log_likelihood),
            "bits_per_dimension": bits_per_dimension(
                log_likelihood, self.num_dimensions
            ),
        }

    def outlier_score(self, x):
        """Score examples by bits per dimension.

        Args:
            x: float [batch, ...].

        Returns:
            float [batch]; infinite where the likelihood is not finite.
        """
        return infinite_unless_finite(self.bits_per_dimension(x))

    def predict_outlier_score(
        self, x, batch_size: int = 256, key: str | None = None
    ) -> np.ndarray:
        """Score as every detector; warn of likelihoods that are not finite.

        Args:
            x: examples, as `OutlierDetector.predict_outlier_score` takes them.
            batch_size: examples per step, > 0; only for arrays.
            key: name of the examples where `x` has dictionaries.

        Returns:
            float array [num_examples], in bits per dimension.

        Raises:
            ValueError: if there are no examples, or they do not fit the model.
        """
        scores = super().predict_outlier_score(x, batch_size, key)
        count = int(np.isinf(scores).sum())
        if count:
            warnings.warn(
                f"{type(self).__name__}: {count} of {len(scores)} likelihoods "
                "are not finite; these examples have an infinite score and "
                "count as most outlying.",
                stacklevel=2,
            )
        return scores
