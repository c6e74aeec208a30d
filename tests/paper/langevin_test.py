"""One Langevin move, the clipping rules, the schedules, the MH ratio."""

import numpy as np
import pytest
import scipy.stats
import tensorflow as tf

from nae_tf.langevin import (
    NOISE_SCHEDULES,
    clip_by_element,
    clip_by_example_norm,
    clip_by_row_norm,
    langevin_drift,
    langevin_step,
    metropolis_hastings_log_ratio,
)


@pytest.fixture
def gradient():
    """[batch, height, width, channels], all sizes different, one zero row."""
    gradient = np.random.default_rng(0).normal(size=(3, 4, 5, 2))
    gradient[1, 2, :, 1] = 0
    return gradient


def schedule(name):
    return [
        float(NOISE_SCHEDULES[name](tf.constant(float(t)))) for t in range(4)
    ]


def test_temperature_divides_the_drift_and_not_the_noise():
    x, slope, noise = np.random.default_rng(0).normal(size=(3, 4, 2))
    drift = langevin_drift(tf.constant(slope), 0.3, 0.5)
    y = langevin_step(tf.constant(x), drift, tf.constant(noise), 0.7)
    np.testing.assert_allclose(
        y, x - 0.3 / 0.5 * slope + 0.7 * noise, rtol=1e-12
    )


def test_element_clip(gradient):
    np.testing.assert_allclose(
        clip_by_element(tf.constant(gradient), 0.5),
        np.clip(gradient, -0.5, 0.5),
    )


def test_row_norm_clip_takes_rows_along_the_width_axis(gradient):
    norm = np.sqrt(np.sum(gradient**2, axis=2, keepdims=True))
    scale = np.minimum(1, 2.0 / np.maximum(norm, 1e-300))
    # Some rows are clipped and some are not.
    assert 0.1 < np.mean(scale < 1) < 0.9
    clipped = clip_by_row_norm(tf.constant(gradient), 2.0)
    np.testing.assert_allclose(clipped, gradient * scale)


def test_row_norm_clip_of_a_zero_row_is_zero():
    clipped = clip_by_row_norm(tf.zeros([1, 2, 3, 1]), 0.01)
    np.testing.assert_array_equal(clipped, np.zeros([1, 2, 3, 1]))


def test_a_vector_is_one_row():
    clipped = clip_by_row_norm(tf.constant([[3.0, 4.0], [0.3, 0.4]]), 1.0)
    np.testing.assert_allclose(clipped, [[0.6, 0.8], [0.3, 0.4]], rtol=1e-6)


def test_example_norm_clip(gradient):
    norm = np.sqrt(np.sum(gradient**2, axis=(1, 2, 3), keepdims=True))
    limit = np.median(norm)
    expected = gradient * np.minimum(1, limit / norm)
    clipped = clip_by_example_norm(tf.constant(gradient), limit)
    np.testing.assert_allclose(clipped, expected)


def test_constant_schedule():
    np.testing.assert_allclose(schedule("constant"), [1, 1, 1, 1])


def test_reciprocal_schedule_is_the_papers_and_starts_to_fall_at_once():
    np.testing.assert_allclose(schedule("reciprocal"), [1, 1 / 2, 1 / 3, 1 / 4])


def test_delayed_reciprocal_schedule_is_the_codes_and_repeats_the_first_step():
    np.testing.assert_allclose(
        schedule("delayed_reciprocal"), [1, 1, 1 / 2, 1 / 3]
    )


def test_log_ratio_is_that_of_target_and_proposal_densities():
    temperature, noise_std = 0.3, 0.4
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(2, 6, 3))

    def energy(x):
        return np.sum(x**4 / 4 + x, axis=1)

    def drift(x):
        return -0.2 / temperature * np.clip(x**3 + 1, -0.8, 0.8)

    def log_joint(a, b):
        """log p(a) q(b | a), without log Omega."""
        move = scipy.stats.norm.logpdf(b, a + drift(a), noise_std)
        return -energy(a) / temperature + move.sum(1)

    log_ratio = metropolis_hastings_log_ratio(
        *map(tf.constant, (x, y, energy(x), energy(y), drift(x), drift(y))),
        noise_std,
        temperature,
    )
    np.testing.assert_allclose(
        log_ratio, log_joint(y, x) - log_joint(x, y), rtol=1e-10
    )
