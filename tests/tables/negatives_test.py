"""Negative samples and their losses, by hand."""

import numpy as np
import pytest
import scipy.stats
import tensorflow as tf

from nae_tf import LangevinChain
from nae_tf.tables import Displaced, Projected, members

SEED = tf.constant([3, 4])
NO_CHAIN = LangevinChain(0, 1.0, noise_std=0.0)


@pytest.fixture(scope="module")
def weights():
    weights = members.initial_weights(2, (4, 8, 3), seed=0)
    return [weight.astype(np.float64) for weight in weights]


@pytest.fixture(scope="module")
def x():
    return np.random.default_rng(0).normal(size=(2, 5, 4))


def reconstructed(x, weights):
    return members.decode(members.encode(x, weights), weights).numpy()


def energy(x, weights):
    return np.mean((x - reconstructed(x, weights)) ** 2, axis=-1)


def test_without_noise_and_chain_projected_is_the_reconstruction(x, weights):
    negatives = Projected(noise_range=(0.0, 0.0), visible_chain=NO_CHAIN)
    np.testing.assert_allclose(
        negatives.draw(x, weights, SEED), reconstructed(x, weights), rtol=1e-12
    )


def test_the_visible_chain_goes_down_the_energy_of_each_member(x, weights):
    step = 0.5
    negatives = Projected(
        noise_range=(0.0, 0.0),
        visible_chain=LangevinChain(1, step, noise_std=0.0),
    )
    start = reconstructed(x, weights)
    gradient = np.zeros_like(start)
    for column in range(4):
        move = 1e-6 * np.eye(4)[column]
        gradient[..., column] = (
            energy(start + move, weights) - energy(start - move, weights)
        ) / 2e-6
    assert np.max(np.abs(gradient)) > 0.01
    np.testing.assert_allclose(
        negatives.draw(x, weights, SEED),
        start - step * gradient,
        atol=1e-7,
    )


def test_projected_noise_leaves_samples_on_the_decoders_manifold():
    # A decoder that hands the first latents on: samples are unit vectors.
    kernel = np.concatenate([np.eye(3), -np.eye(3)], 1)[None]
    back = np.concatenate([np.eye(3), -np.eye(3)], 0)[None]
    layer = [kernel, np.zeros((1, 1, 6)), back, np.zeros((1, 1, 3))]
    x = np.random.default_rng(0).normal(size=(1, 4_000, 3))
    x /= np.linalg.norm(x, axis=-1, keepdims=True)
    negatives = Projected(noise_range=(0.1, 0.1), visible_chain=NO_CHAIN)
    samples = negatives.draw(x, [*layer, *layer], SEED).numpy()
    np.testing.assert_allclose(np.linalg.norm(samples, axis=-1), 1, rtol=1e-10)
    # Of small noise, the two tangents stay: |x' - x|^2 is about 2 s^2.
    squares = np.sum((samples - x) ** 2, axis=-1)
    np.testing.assert_allclose(squares.mean(), 2 * 0.1**2, rtol=0.1)


def test_displacements_are_normal_with_one_deviation_per_example():
    x = np.random.default_rng(0).normal(size=(2, 300, 400))
    moved = Displaced().draw(x, None, SEED).numpy() - x
    # All members have the same noise, each with a batch of its own.
    np.testing.assert_allclose(moved[0], moved[1], atol=1e-12)
    moved = moved[0]
    deviation = np.sqrt(np.mean(moved**2, axis=-1))
    # Uniform on [0, 2], but for the error of a deviation of 400 numbers.
    assert scipy.stats.kstest(deviation / 2, "uniform").pvalue > 1e-3
    assert deviation.min() < 0.05 and 1.8 < deviation.max() < 2.2
    standard = (moved / deviation[:, None])[:, ::10].ravel()
    assert scipy.stats.kstest(standard, "norm").pvalue > 1e-3


@pytest.mark.parametrize("negatives", [Projected(), Displaced()])
def test_the_seed_decides_the_samples(negatives, x, weights):
    first, again, other = (
        negatives.draw(x, weights, tf.constant(seed)).numpy()
        for seed in ([3, 4], [3, 4], [3, 5])
    )
    np.testing.assert_array_equal(first, again)
    assert not np.any(first == other)


def test_the_loss_of_displaced_is_positive_energy_plus_shortfall():
    x = np.zeros((1, 3, 2))
    x_negative = np.array([[[1.0, 1.0], [2.0, 0.0], [0.0, 3.0]]])
    # Squared displacements 1, 2, 4.5; the second energy is above its own.
    loss = Displaced().loss(
        x,
        x_negative,
        np.array([[0.5, 1.0, 3.0]]),
        np.array([[0.25, 5.0, 1.5]]),
    )
    np.testing.assert_allclose(loss, 4.5 / 3 + (0.75 + 0 + 3.0) / 3)


def test_the_loss_of_projected_is_the_gap_plus_the_penalty():
    loss = Projected(negative_energy_penalty=0.5).loss(
        None, None, np.array([[1.0, 2.0]]), np.array([[3.0, 5.0]])
    )
    np.testing.assert_allclose(loss, 1.5 - 4 + 0.5 * (9 + 25) / 2)
