"""Gaussian mixtures against NumPy and scikit-learn."""

import numpy as np
import pytest
import sklearn.mixture
import tensorflow as tf

from nae_tf.baselines.gaussian_mixture import (
    Mixture,
    covariance_penalty,
    estimate_mixture,
    merge_mixtures,
    sample_energy,
)


def normal(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


def memberships(*shape, seed=0):
    """Random rows that sum to one."""
    values = np.exp(2 * normal(*shape, seed=seed))
    return values / values.sum(axis=-1, keepdims=True)


def random_mixture(num_components=3, num_features=4):
    roots = normal(num_components, num_features, num_features, seed=1)
    return Mixture(
        np.log(memberships(num_components, seed=2)),
        3 * normal(num_components, num_features, seed=3),
        roots @ roots.transpose(0, 2, 1),
    )


def scikit_learn_mixture(mixture, jitter):
    """The same mixture as scikit-learn's."""
    model = sklearn.mixture.GaussianMixture(len(mixture.log_weights))
    identity = np.eye(mixture.means.shape[1])
    model.weights_ = np.exp(mixture.log_weights)
    model.means_ = np.asarray(mixture.means)
    model.covariances_ = mixture.covariances + jitter * identity
    model.precisions_cholesky_ = np.linalg.cholesky(
        np.linalg.inv(model.covariances_)
    )
    return model


@pytest.mark.parametrize("jitter", [1e-6, 0.5])
def test_the_energy_is_the_negative_score_of_scikit_learn(jitter):
    mixture = random_mixture()
    features = 4 * normal(50, 4)
    expected = -scikit_learn_mixture(mixture, jitter).score_samples(features)
    np.testing.assert_allclose(
        sample_energy(features, mixture, jitter), expected, rtol=1e-9
    )


def test_the_energy_of_one_example_is_that_in_a_batch():
    mixture = random_mixture()
    features = normal(7, 4)
    together = sample_energy(features, mixture, 1e-6)
    alone = [
        float(sample_energy(features[i : i + 1], mixture, 1e-6)[0])
        for i in range(7)
    ]
    np.testing.assert_allclose(together, alone, rtol=1e-12)


def test_far_from_every_component_the_energy_is_finite():
    energy = sample_energy(np.full([1, 4], 1e6), random_mixture(), 1e-6)
    assert np.isfinite(energy).all() and float(energy[0]) > 1e6


def test_components_have_the_weighted_moments_of_the_batch():
    features, gamma = normal(30, 4), memberships(30, 3, seed=4)
    mixture = estimate_mixture(features, np.log(gamma))
    np.testing.assert_allclose(
        np.exp(mixture.log_weights), gamma.mean(axis=0), rtol=1e-9
    )
    for component, weights in enumerate(gamma.T):
        np.testing.assert_allclose(
            mixture.means[component],
            np.average(features, axis=0, weights=weights),
            rtol=1e-9,
        )
        np.testing.assert_allclose(
            mixture.covariances[component],
            np.cov(features.T, aweights=weights, ddof=0),
            rtol=1e-9,
        )


def test_merged_batches_are_the_mixture_of_all_their_examples():
    # Far from the origin: moments about it would cancel.
    features, gamma = 1e4 + normal(60, 4), memberships(60, 3, seed=4)
    merged = random_mixture()
    for number, start in enumerate(range(0, 60, 12), start=1):
        batch = slice(start, start + 12)
        mixture = estimate_mixture(features[batch], np.log(gamma[batch]))
        rate = tf.constant(1 / number, tf.float64)
        merged = merge_mixtures(merged, mixture, rate)
    whole = estimate_mixture(features, np.log(gamma))
    for value, expected in zip(merged, whole, strict=True):
        np.testing.assert_allclose(value, expected, rtol=1e-9, atol=1e-9)


def energy_and_gradients(features, log_gamma, jitter=1e-6):
    """Energy of a batch under its own mixture, and its gradients."""
    inputs = [tf.constant(features), tf.constant(log_gamma)]
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        mixture = estimate_mixture(*inputs)
        energy = sample_energy(inputs[0], mixture, jitter)
        loss = tf.reduce_mean(energy) + covariance_penalty(mixture, jitter)
    return energy.numpy(), tape.gradient(loss, inputs)


def test_a_component_to_which_nothing_belongs_does_no_harm():
    features = normal(20, 4)
    log_gamma = np.stack([np.zeros(20), np.full(20, -1e4)], axis=-1)
    energy, gradients = energy_and_gradients(features, log_gamma)
    single = estimate_mixture(features, np.zeros([20, 1]))
    np.testing.assert_allclose(
        energy, sample_energy(features, single, 1e-6), rtol=1e-9
    )
    assert all(np.isfinite(gradient).all() for gradient in gradients)


@pytest.mark.parametrize(
    "features",
    [
        np.full([10, 4], 3.0),
        normal(3, 4),
        np.concatenate([normal(10, 3), np.zeros([10, 1])], axis=1),
        1e4 * normal(20, 1) * np.array([[1.0, 2.0, 3.0, 4.0]]),
    ],
    ids=["equal examples", "small batch", "constant feature", "collinear"],
)
def test_a_singular_covariance_has_an_energy_and_a_gradient(features):
    gamma = memberships(len(features), 2, seed=4)
    energy, gradients = energy_and_gradients(features, np.log(gamma))
    assert np.isfinite(energy).all()
    assert all(np.isfinite(gradient).all() for gradient in gradients)


def test_the_penalty_is_the_sum_of_inverse_variances():
    mixture = random_mixture()
    variances = np.diagonal(mixture.covariances, axis1=1, axis2=2)
    assert float(covariance_penalty(mixture, 0.25)) == pytest.approx(
        np.sum(1 / (variances + 0.25))
    )
