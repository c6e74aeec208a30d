import keras
import numpy as np
import pytest
import tensorflow as tf

from nae_tf.networks.layers import (
    SpectralNormConv2D,
    fan_in_uniform,
    xavier_uniform,
)


def assert_uniform(values, bound):
    """Values lie in [-bound, bound], reach it and have its moments."""
    values = np.ravel(np.asarray(values, "float64")) / bound
    count = values.size
    assert np.max(np.abs(values)) <= 1 + 1e-6
    # P(max <= q) = q**count < 1e-6.
    assert np.max(np.abs(values)) > 1e-6 ** (1 / count)
    mean_z = np.mean(values) / np.sqrt(1 / 3 / count)
    # The square of a uniform variable has variance 1/5 - 1/9.
    square_z = (np.mean(values**2) - 1 / 3) / np.sqrt(4 / 45 / count)
    assert abs(mean_z) < 5
    assert abs(square_z) < 5


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_fan_in_uniform_is_bounded_by_inverse_root_of_fan_in(dtype):
    values = fan_in_uniform(50, seed=1)((300, 300), dtype=dtype)
    assert values.dtype == dtype
    assert_uniform(values, 1 / np.sqrt(50))


def test_xavier_uniform_is_bounded_by_both_fans():
    values = xavier_uniform(10, 14, seed=1)((300, 300))
    assert_uniform(values, 0.5)


@pytest.mark.parametrize(
    "original", [fan_in_uniform(7, seed=3), xavier_uniform(7, 9, seed=3)]
)
def test_initializers_survive_serialization_with_their_seed(original):
    config = keras.initializers.serialize(original)
    restored = keras.initializers.deserialize(config)
    np.testing.assert_array_equal(original((4, 5)), restored((4, 5)))


def test_unseeded_initializers_differ():
    first, second = fan_in_uniform(5)((9,)), fan_in_uniform(5)((9,))
    assert np.all(np.abs(first - second) > 0)


def spectral_norm_conv(dtype="float64"):
    layer = SpectralNormConv2D(
        6,
        3,
        use_bias=False,
        kernel_initializer=keras.initializers.RandomNormal(seed=1),
        dtype=dtype,
    )
    layer.build((None, 5, 5, 2))
    return layer


def kernel_matrix(layer):
    return np.reshape(layer.kernel, (-1, layer.filters))


IMAGES = np.random.default_rng(1).normal(size=(2, 5, 5, 2))


def test_spectral_norm_converges_to_the_largest_singular_value():
    layer = spectral_norm_conv()
    for _ in range(300):
        layer(IMAGES, training=True)
    sigma = np.linalg.svd(kernel_matrix(layer), compute_uv=False)[0]
    expected = tf.nn.conv2d(IMAGES, layer.kernel / sigma, 1, "VALID")
    np.testing.assert_allclose(layer(IMAGES), expected, rtol=1e-8, atol=1e-12)


def test_training_call_makes_one_power_iteration():
    layer = spectral_norm_conv()
    start = np.arange(1.0, 7.0)
    layer.u.assign(start)
    layer(IMAGES, training=True)
    matrix = kernel_matrix(layer)
    direction = matrix.T @ matrix @ start
    np.testing.assert_allclose(layer.u, direction / np.linalg.norm(direction))


def test_spectral_norm_estimates_sigma_with_its_vector():
    layer = spectral_norm_conv()
    start = np.arange(1.0, 7.0)
    layer.u.assign(start)
    sigma = np.linalg.norm(kernel_matrix(layer) @ start) / np.linalg.norm(start)
    expected = tf.nn.conv2d(IMAGES, layer.kernel / sigma, 1, "VALID")
    np.testing.assert_allclose(layer(IMAGES), expected, atol=1e-12)


def test_inference_calls_are_a_fixed_function():
    layer = spectral_norm_conv()
    weights = layer.get_weights()
    first, second = layer(IMAGES), layer(IMAGES)
    np.testing.assert_array_equal(first, second)
    for before, after in zip(weights, layer.get_weights(), strict=True):
        np.testing.assert_array_equal(before, after)


def test_training_calls_leave_the_kernel_alone():
    layer = spectral_norm_conv()
    kernel, vector = layer.get_weights()
    layer(IMAGES, training=True)
    np.testing.assert_array_equal(layer.kernel, kernel)
    assert np.max(np.abs(layer.u - vector)) > 1e-3


def test_spectral_norm_gradient_has_no_component_along_the_kernel():
    # The output does not depend on the kernel's scale, and its gradient tells
    # so only if it flows through sigma.
    layer = spectral_norm_conv()
    with tf.GradientTape() as tape:
        value = tf.reduce_sum(layer(IMAGES, training=True) ** 3)
    gradient = tape.gradient(value, layer.kernel.value)
    assert np.linalg.norm(gradient) > 1
    along = np.sum(gradient * layer.kernel) / np.linalg.norm(layer.kernel)
    assert abs(along) < 1e-9 * np.linalg.norm(gradient)


def test_spectral_norm_keeps_its_vector_in_float32_under_mixed_precision():
    layer = spectral_norm_conv("mixed_bfloat16")
    y = layer(IMAGES, training=True)
    assert y.dtype == "bfloat16"
    assert layer.u.dtype == "float32"
    np.testing.assert_allclose(np.linalg.norm(layer.u), 1, rtol=1e-6)


def test_spectral_norm_follows_training_inside_functions_and_models():
    layer = spectral_norm_conv("float32")
    inputs = keras.Input((5, 5, 2))
    model = keras.Model(inputs, layer(inputs))
    call = tf.function(model)
    start = layer.u.numpy()
    call(tf.constant(IMAGES, "float32"), training=False)
    np.testing.assert_array_equal(layer.u, start)
    call(tf.constant(IMAGES, "float32"), training=True)
    assert np.max(np.abs(layer.u - start)) > 1e-3
