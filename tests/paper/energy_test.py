"""Energies and their gradients against NumPy and SciPy."""

import numpy as np
import pytest
import scipy.signal
import tensorflow as tf

from nae_tf.energy import (
    energy_and_gradient,
    reconstruction_error,
    unnormalized_log_density,
)


def pair(shape, seed=0):
    rng = np.random.default_rng(seed)
    return rng.uniform(size=shape), rng.uniform(size=shape)


def wang_ssim(a, b, window_size):
    """SSIM of two 2-D images in [0, 1] as Wang et al. (2004) define it."""
    offset = np.arange(window_size) - (window_size - 1) / 2
    window = np.exp(-(offset[:, None] ** 2 + offset**2) / (2 * 1.5**2))
    window /= window.sum()

    def blur(image):
        return scipy.signal.convolve2d(image, window, mode="valid")

    mean_a, mean_b = blur(a), blur(b)
    var_a, var_b = blur(a * a) - mean_a**2, blur(b * b) - mean_b**2
    cov = blur(a * b) - mean_a * mean_b
    luminance = (2 * mean_a * mean_b + 1e-4) / (mean_a**2 + mean_b**2 + 1e-4)
    contrast = (2 * cov + 9e-4) / (var_a + var_b + 9e-4)
    return np.mean(luminance * contrast)


@pytest.mark.parametrize("shape", [(4, 5), (3, 6, 4, 2)])
@pytest.mark.parametrize(
    ("distance", "elementwise"),
    [
        ("squared_error", lambda a, b: (a - b) ** 2),
        ("absolute_error", lambda a, b: np.abs(a - b)),
    ],
)
def test_mean_and_sum_of_the_distance(shape, distance, elementwise):
    x, y = pair(shape)
    error = elementwise(x, y).reshape(len(x), -1)
    mean = reconstruction_error(tf.constant(x), tf.constant(y), distance)
    total = reconstruction_error(
        tf.constant(x), tf.constant(y), distance, reduction="sum"
    )
    np.testing.assert_allclose(mean, error.mean(1), rtol=1e-12)
    np.testing.assert_allclose(total, error.sum(1), rtol=1e-12)


@pytest.mark.parametrize(
    ("shape", "window_size"),
    [((2, 16, 14, 3), 11), ((2, 8, 9, 1), 7), ((2, 5, 5, 1), 5)],
)
def test_ssim_is_that_of_wang_et_al(shape, window_size):
    x, noise = pair(shape)
    y = np.clip(x + 0.3 * (noise - 0.5), 0, 1)
    expected = [
        np.mean(
            [
                wang_ssim(a[..., c], b[..., c], window_size)
                for c in range(a.shape[-1])
            ]
        )
        for a, b in zip(x, y, strict=True)
    ]
    for reduction in ("mean", "sum"):
        energy = reconstruction_error(
            tf.constant(x, tf.float32), tf.constant(y), "ssim", reduction
        )
        np.testing.assert_allclose(
            energy, (1 - np.array(expected)) / 2, atol=2e-6
        )


@pytest.mark.parametrize(
    "distance", ["squared_error", "absolute_error", "ssim"]
)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_energy_has_the_type_of_the_examples(distance, dtype):
    x, y = pair((2, 12, 12, 1))
    energy = reconstruction_error(
        tf.constant(x, dtype), tf.constant(y, tf.bfloat16), distance
    )
    assert energy.dtype == dtype


def test_difference_is_taken_in_the_type_of_the_examples():
    # 1.001 is 1 in bfloat16: a narrow difference would be 0.
    x = tf.constant([[1.001]], tf.float32)
    energy = reconstruction_error(x, tf.ones([1, 1], tf.bfloat16))
    np.testing.assert_allclose(energy, [1e-6], rtol=1e-3)


def test_gradient_of_every_example_is_its_own():
    x = tf.constant(np.random.default_rng(1).normal(size=(6, 3)))
    energy, gradient = energy_and_gradient(
        lambda x: tf.reduce_sum(x**4, 1) / 4, x
    )
    np.testing.assert_allclose(energy, np.sum(x.numpy() ** 4, 1) / 4)
    np.testing.assert_allclose(gradient, x.numpy() ** 3)


def test_log_density_divides_the_energy_by_the_temperature():
    log_density = unnormalized_log_density(tf.constant([1.0, 3.0]), 0.5)
    np.testing.assert_allclose(log_density, [-2.0, -6.0])
