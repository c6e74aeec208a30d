"""Latent spaces: projection and the noise distribution q0."""

import keras
import numpy as np
import pytest
import scipy.stats
import tensorflow as tf

from nae_tf.latent_space import Euclidean, Sphere

SEED = (3, 5)


def test_sphere_divides_a_latent_by_its_norm():
    z = np.random.default_rng(0).normal(size=(5, 4))
    expected = z / np.linalg.norm(z, axis=1, keepdims=True)
    np.testing.assert_allclose(Sphere().project(tf.constant(z)), expected)


def test_sphere_takes_the_norm_over_all_axes_but_the_batch():
    z = Sphere().project(tf.ones([2, 1, 2, 2]))
    np.testing.assert_allclose(z, np.full([2, 1, 2, 2], 0.5))


def test_sphere_keeps_the_zero_vector():
    np.testing.assert_array_equal(Sphere().project(tf.zeros([1, 3])), [[0] * 3])


def test_sphere_draws_uniformly():
    z = Sphere().sample([20_000, 3], SEED, "float64").numpy()
    np.testing.assert_allclose(np.linalg.norm(z, axis=1), 1)
    # Archimedes: every coordinate is uniform on [-1, 1].
    for coordinate in z.T:
        test = scipy.stats.kstest(coordinate, "uniform", args=(-1, 2))
        assert test.pvalue > 1e-6
    # Coordinates are uncorrelated: E (z_i z_j)^2 = 1 / 15.
    for i, j in [(0, 1), (0, 2), (1, 2)]:
        score = np.sum(z[:, i] * z[:, j]) / np.sqrt(len(z) / 15)
        assert abs(score) < 5


def test_euclidean_draws_from_the_standard_normal():
    z = Euclidean().sample([10_000, 3], SEED, "float64").numpy()
    assert scipy.stats.kstest(z.ravel(), "norm").pvalue > 1e-6


def test_euclidean_leaves_latents_alone():
    z = tf.constant([[3.0, -4.0]])
    np.testing.assert_array_equal(Euclidean().project(z), z)


@pytest.mark.parametrize("space", [Sphere(), Euclidean()])
def test_the_seed_decides_the_draw(space):
    first, again, other = (
        space.sample([4, 3], seed, "float32") for seed in (SEED, SEED, (3, 6))
    )
    assert first.dtype == "float32"
    np.testing.assert_array_equal(first, again)
    assert not np.any(np.equal(first, other))


@pytest.mark.parametrize("space", [Sphere(), Euclidean()])
def test_keras_can_write_and_read_a_space(space):
    config = keras.saving.serialize_keras_object(space)
    assert keras.saving.deserialize_keras_object(config) == space
