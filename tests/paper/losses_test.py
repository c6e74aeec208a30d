"""Terms of the loss against closed forms."""

import numpy as np
import pytest
import tensorflow as tf

from nae_tf import losses


@pytest.mark.parametrize("temperature", [1.0, 0.4])
def test_gap_has_the_gradient_of_the_likelihood_times_the_temperature(
    temperature,
):
    # E(x) = a x^2 has p(x) = normal(0, T / 2a), so Omega = sqrt(pi T / a).
    x = tf.constant([0.3, -1.2, 2.0])
    scale = tf.Variable(0.7)
    # Two points with exactly the second moment of p.
    x_negative = (temperature / 1.4) ** 0.5 * tf.constant([1.0, -1.0])
    with tf.GradientTape(persistent=True) as tape:
        gap = losses.energy_gap(scale * x**2, scale * x_negative**2)
        log_omega = 0.5 * tf.math.log(np.pi * temperature / scale)
        negative_log_likelihood = (
            tf.reduce_mean(scale * x**2) / temperature + log_omega
        )
    np.testing.assert_allclose(
        tape.gradient(gap, scale),
        temperature * tape.gradient(negative_log_likelihood, scale),
        rtol=1e-5,
    )


def test_gap_compares_the_means_of_batches_of_any_size():
    gap = losses.energy_gap(tf.constant([1.0, 3.0]), tf.constant([0.5]))
    assert gap == 1.5


def test_squared_energy_is_the_mean_of_the_squares():
    assert losses.squared_energy(tf.constant([1.0, 3.0])) == 5


def test_temperature_gradient_is_minus_gap_over_temperature():
    gap = tf.Variable(0.6)
    log_temperature = tf.Variable(np.log(0.4), dtype=tf.float32)
    with tf.GradientTape() as tape:
        loss = losses.temperature_loss(gap, log_temperature)
    of_gap, of_log_temperature = tape.gradient(loss, [gap, log_temperature])
    assert of_gap is None
    np.testing.assert_allclose(of_log_temperature, -0.6 / 0.4, rtol=1e-6)


def test_sum_of_squares_counts_every_weight():
    weights = [tf.constant([[1.0, 2.0], [3.0, 4.0]]), tf.constant([5.0])]
    assert losses.sum_of_squares(weights) == 1 + 4 + 9 + 16 + 25


def test_sum_of_squares_of_no_weights_is_zero():
    assert losses.sum_of_squares([]) == 0


def test_mean_square_averages_over_examples_and_dimensions():
    assert losses.mean_square(tf.constant([[1.0, 3.0], [0.0, 2.0]])) == 3.5
