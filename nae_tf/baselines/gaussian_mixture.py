"""Gaussian mixtures that DAGMM estimates and scores by.

    phi_k = sum_n gamma_nk / N,  mu_k = sum_n gamma_nk f_n / sum_n gamma_nk
    E(f) = -log sum_k phi_k N(f; mu_k, Sigma_k)

with gamma_nk the share of component k in example n. Equations are those of
Zong et al., Deep Autoencoding Gaussian Mixture Model for Unsupervised Anomaly
Detection, 2018. https://openreview.net/forum?id=BJJLHbb0-
"""

import math
from typing import Any, NamedTuple

import tensorflow as tf


class Mixture(NamedTuple):
    """A Gaussian mixture.

    Attributes:
        log_weights: float [num_components], log phi.
        means: float [num_components, num_features], mu.
        covariances: float [num_components, num_features, num_features], Sigma.
    """

    log_weights: Any
    means: Any
    covariances: Any


def estimate_mixture(features, log_memberships) -> Mixture:
    """Mixture whose components are weighted means of a batch (Eq. 5).

    A component without examples still has a mean and a covariance, because
    memberships are compared by their logarithms.

    Args:
        features: float [batch, num_features].
        log_memberships: float [batch, num_components], log gamma; a softmax
            over components.
    """
    log_masses = tf.reduce_logsumexp(log_memberships, 0)
    shares = tf.exp(log_memberships - log_masses)
    means = tf.einsum("nk,nd->kd", shares, features)
    deviations = features[:, None] - means
    covariances = tf.einsum(
        "nki,nkj->kij", shares[..., None] * deviations, deviations
    )
    log_weights = log_masses - tf.reduce_logsumexp(log_masses)
    return Mixture(log_weights, means, covariances)


def merge_mixtures(old: Mixture, new: Mixture, rate) -> Mixture:
    """Mixture of the union of two data sets, component by component.

    Args:
        old: mixture of the first data set.
        new: mixture of the second data set.
        rate: share of the second data set in the union, in [0, 1].
    """
    log_old = old.log_weights + tf.math.log1p(-rate)
    log_new = new.log_weights + tf.math.log(rate)
    log_weights = tf.reduce_logsumexp(tf.stack([log_old, log_new]), 0)
    share = tf.exp(log_new - log_weights)[:, None]
    shift = new.means - old.means
    means = old.means + share * shift
    # Between the two means, so that nothing cancels.
    spread = share * (1.0 - share) * shift
    share = share[..., None]
    covariances = (1.0 - share) * old.covariances + share * new.covariances
    covariances += spread[..., None] * shift[:, None]
    return Mixture(log_weights, means, covariances)


def sample_energy(features, mixture: Mixture, jitter: float):
    """Negative log-likelihood under a mixture (Eq. 6).

    Args:
        features: float [batch, num_features].
        mixture: mixture in the dtype of `features`.
        jitter: number added to the diagonals of covariances, >= 0.

    Returns:
        float [batch].
    """
    num_features = features.shape[-1]
    identity = tf.eye(num_features, dtype=features.dtype)
    roots = tf.linalg.cholesky(mixture.covariances + jitter * identity)
    deviations = tf.transpose(features[:, None] - mixture.means, [1, 2, 0])
    whitened = tf.linalg.triangular_solve(roots, deviations)
    log_determinants = 2.0 * tf.reduce_sum(
        tf.math.log(tf.linalg.diag_part(roots)), -1
    )
    log_densities = -0.5 * (
        tf.reduce_sum(tf.square(whitened), 1)
        + log_determinants[:, None]
        + num_features * math.log(2 * math.pi)
    )
    return -tf.reduce_logsumexp(mixture.log_weights[:, None] + log_densities, 0)


def covariance_penalty(mixture: Mixture, jitter: float):
    """Sum of inverse variances, which keeps variances from vanishing (Eq. 7).

    Args:
        mixture: mixture of a batch.
        jitter: number added to variances, >= 0.

    Returns:
        float scalar.
    """
    variances = tf.linalg.diag_part(mixture.covariances) + jitter
    return tf.reduce_sum(1.0 / variances)
