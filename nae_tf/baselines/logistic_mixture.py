"""The discretised mixture of logistics of PixelCNN++ (Salimans et al. 2017).

A value k in 0, 1, ..., num_levels - 1 stands at x = 2 k / (num_levels - 1) - 1,
in the middle of a bin of half width h = 1 / (num_levels - 1). Its probability
under a logistic of mean m and scale s is that of its bin,

    P(k) = sigmoid((x + h - m) / s) - sigmoid((x - h - m) / s)      (Eq. 2)

The bins of the first and of the last value reach to infinity. A pixel of
several channels has one mixture (Eq. 3): the mean of green depends on red, that
of blue on red and green.
"""

from typing import NamedTuple

import tensorflow as tf

from nae_tf.base import randomness

# exp(-7) is a tenth of a bin of 8-bit images; narrower logistics gain nothing.
_MIN_LOG_SCALE = -7.0


class LogisticMixture(NamedTuple):
    """Parameters of the mixtures of all pixels.

    Attributes:
        logits: float [..., num_components], of the components' weights.
        means: float [..., channels, num_components].
        log_scales: float [..., channels, num_components].
        coefficients: float [..., channels * (channels - 1) / 2,
            num_components], in (-1, 1): the slopes of green on red, of blue on
            red and of blue on green.
    """

    logits: tf.Tensor
    means: tf.Tensor
    log_scales: tf.Tensor
    coefficients: tf.Tensor


def num_parameters(channels: int, num_components: int) -> int:
    """Return the number of outputs that a pixel's mixture takes.

    Args:
        channels: number of channels, 1 or 3.
        num_components: number of components, > 0.
    """
    return num_components * (1 + 2 * channels + channels * (channels - 1) // 2)


def mixture_of_outputs(outputs, channels: int, num_components: int):
    """Cut the outputs of a network into the parameters of mixtures.

    Args:
        outputs: float [..., `num_parameters`].
        channels: number of channels, 1 or 3.
        num_components: number of components, > 0.

    Returns:
        `LogisticMixture`.
    """
    shape = tf.shape(outputs)[:-1]
    rows = outputs.shape[-1] // num_components
    outputs = tf.reshape(
        outputs, tf.concat([shape, [rows, num_components]], axis=0)
    )
    logits, means, log_scales, coefficients = tf.split(
        outputs, [1, channels, channels, rows - 1 - 2 * channels], axis=-2
    )
    smallest = tf.cast(_MIN_LOG_SCALE, outputs.dtype)
    return LogisticMixture(
        logits[..., 0, :],
        means,
        tf.maximum(log_scales, smallest),
        tf.tanh(coefficients),
    )


def conditional_means(mixture: LogisticMixture, x):
    """Return the means of every channel given the channels before it (Eq. 3).

    Args:
        mixture: mixtures of pixels.
        x: float [..., channels], in [-1, 1].

    Returns:
        float [..., channels, num_components].
    """
    if x.shape[-1] == 1:
        return mixture.means
    red, green, blue = tf.unstack(mixture.means, axis=-2)
    first, second, third = tf.unstack(mixture.coefficients, axis=-2)
    green += first * x[..., 0:1]
    blue += second * x[..., 0:1] + third * x[..., 1:2]
    return tf.stack([red, green, blue], axis=-2)


def discretized_logistic_log_probability(x, mean, log_scale, num_levels: int):
    """Log probability of a bin under a logistic distribution (Eq. 2).

    Between the ends it is computed by an identity that is exact in the tails,

        sigmoid(a) - sigmoid(b) = sigmoid(a) sigmoid(-b) (1 - exp(b - a))

    Differs from the paper, whose code takes the density in the middle of the
    bin where the difference is small. Outliers are in these tails.

    Args:
        x: float [...], in [-1, 1]: multiples of 2 / (num_levels - 1), from -1.
        mean: float, broadcasts with `x`.
        log_scale: float, broadcasts with `x`.
        num_levels: number of values, > 1.

    Returns:
        float, in nats.
    """
    half = 1 / (num_levels - 1)
    inverse_scale = tf.exp(-log_scale)
    upper = (x - mean + half) * inverse_scale
    lower = (x - mean - half) * inverse_scale
    below_upper = tf.math.log_sigmoid(upper)
    above_lower = tf.math.log_sigmoid(-lower)
    log_difference = tf.math.log(-tf.math.expm1(-2 * half * inverse_scale))
    between = below_upper + above_lower + log_difference
    ends = tf.where(x < 0, below_upper, above_lower)
    # Half a bin from the end: rounding does not matter.
    return tf.where(tf.abs(x) > 1 - half, ends, between)


def mixture_log_probability(mixture: LogisticMixture, x, num_levels: int):
    """Log probability of pixels.

    Args:
        mixture: mixtures of the pixels.
        x: float [..., channels], in [-1, 1].
        num_levels: number of values of a channel, > 1.

    Returns:
        float [...], in nats.
    """
    of_channels = discretized_logistic_log_probability(
        x[..., None],
        conditional_means(mixture, x),
        mixture.log_scales,
        num_levels,
    )
    of_components = tf.reduce_sum(of_channels, axis=-2)
    weights = tf.nn.log_softmax(mixture.logits)
    return tf.reduce_logsumexp(of_components + weights, axis=-1)


def sample_mixture(mixture: LogisticMixture, seed, num_levels: int):
    """Draw pixels from their mixtures, channel after channel.

    Args:
        mixture: mixtures of the pixels.
        seed: stateless seed, int [2].
        num_levels: number of values of a channel, > 1.

    Returns:
        float [..., channels], in [-1, 1]: values in the middle of their bins.
    """
    dtype = mixture.logits.dtype
    tiny = tf.constant(1e-6, dtype)

    def uniform(shape, stream):
        draws = randomness.uniform(
            shape, randomness.fold_in(seed, stream), dtype
        )
        # The logarithm of 0 is infinite.
        return tiny + (1 - 2 * tiny) * draws

    # The largest of the logits with Gumbel noise is a draw of a component.
    gumbel = -tf.math.log(-tf.math.log(uniform(tf.shape(mixture.logits), 0)))
    chosen = tf.one_hot(
        tf.argmax(mixture.logits + gumbel, axis=-1),
        mixture.logits.shape[-1],
        dtype=dtype,
    )[..., None, :]
    one_component = LogisticMixture(
        mixture.logits,
        *(
            tf.reduce_sum(part * chosen, axis=-1, keepdims=True)
            for part in mixture[1:]
        ),
    )
    draws = uniform(tf.shape(one_component.means)[:-1], 1)
    deviations = tf.exp(one_component.log_scales[..., 0]) * (
        tf.math.log(draws) - tf.math.log1p(-draws)
    )
    channels = mixture.means.shape[-2]
    x = tf.zeros_like(deviations)
    for channel in range(channels):
        # The mean of a channel depends on those before it alone.
        values = conditional_means(one_component, x)[..., 0] + deviations
        values = _middle_of_bin(values, num_levels)
        is_channel = tf.one_hot(channel, channels, dtype=dtype)
        x += is_channel * values
    return x


def _middle_of_bin(x, num_levels):
    steps = (num_levels - 1) / 2
    return tf.round((tf.clip_by_value(x, -1, 1) + 1) * steps) / steps - 1
