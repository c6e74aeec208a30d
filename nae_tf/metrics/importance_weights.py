"""Weights of importance sampling, given by their logarithms."""

import numpy as np
import scipy.special


def log_mean_weight(log_weights) -> np.ndarray:
    """Return the logarithm of the mean weight.

    Args:
        log_weights: float [..., chains].

    Returns:
        float [...].
    """
    count = np.shape(log_weights)[-1]
    return scipy.special.logsumexp(log_weights, axis=-1) - np.log(count)


def effective_sample_size(log_weights) -> np.ndarray:
    """Return to how many equally heavy chains the weights amount.

        (sum w)^2 / sum w^2

    Args:
        log_weights: float [..., chains].

    Returns:
        float [...], from 1 to the number of chains.
    """
    log_weights = np.asarray(log_weights)
    total = scipy.special.logsumexp(log_weights, axis=-1)
    squares = scipy.special.logsumexp(2 * log_weights, axis=-1)
    return np.exp(2 * total - squares)


def standard_error(log_weights) -> np.ndarray:
    """Return the standard error of `log_mean_weight`, by the delta method.

    Args:
        log_weights: float [..., chains].

    Returns:
        float [...], in nats. It is too small where few chains have the weight.
    """
    count = np.shape(log_weights)[-1]
    inverse = 1 / effective_sample_size(log_weights) - 1 / count
    return np.sqrt(np.maximum(inverse, 0.0))
