"""Each fast layer against the plain ones that it replaces."""

import gc

import keras
import numpy as np
import pytest
import scipy.ndimage
import tensorflow as tf
from tensorflow.python.framework.func_graph import FuncGraph

from nae_tf.networks.fast_layers import (
    OneChannelConv2D,
    OneFilterConv2DTranspose,
    UpsampledConv2DTranspose,
    bilinear_matrix,
)

TOLERANCES = {"float64": 1e-11, "float32": 1e-5, "bfloat16": 5e-2}


def value_and_gradients(function, inputs):
    """Return y, and the gradients of sum(y * weight) for a fixed weight."""
    with tf.GradientTape() as tape:
        for value in inputs:
            tape.watch(value)
        y = function(*inputs)
        weight = np.random.default_rng(1).normal(size=y.shape)
        total = tf.reduce_sum(y * tf.cast(weight, y.dtype))
    return [y, *tape.gradient(total, inputs)]


def assert_same(fast, plain, dtype):
    """Two lists of tensors agree to the rounding of a type."""
    for actual, expected in zip(fast, plain, strict=True):
        assert actual.dtype == dtype
        expected = np.asarray(expected, "float64")
        scale = max(1.0, np.max(np.abs(expected)))
        np.testing.assert_allclose(
            np.asarray(actual, "float64"),
            expected,
            rtol=0,
            atol=TOLERANCES[dtype] * scale,
        )


@pytest.mark.parametrize("layer", [OneChannelConv2D, OneFilterConv2DTranspose])
def test_a_layer_leaves_no_graph_of_what_it_is_a_part_of(layer):
    """Of each graph with a gradient of its own TensorFlow keeps all."""
    channels = 1 if layer is OneChannelConv2D else 3
    filters = 3 if layer is OneChannelConv2D else 1
    x = tf.ones([2, 5, 5, channels])

    def take_a_step():
        convolution = layer(filters, 3)
        convolution.build(x.shape)

        @tf.function
        def a_step(x):
            with tf.GradientTape() as tape:
                loss = tf.reduce_sum(convolution(x) ** 2)
            return tape.gradient(loss, convolution.trainable_weights)

        assert all(np.any(gradient) for gradient in a_step(x))

    def graphs_of_a_step():
        take_a_step()
        gc.collect()
        return [
            each.name
            for each in gc.get_objects()
            if isinstance(each, FuncGraph)
        ]

    first = graphs_of_a_step()
    assert not any("a_step" in name for name in first)
    assert len(graphs_of_a_step()) == len(first)


def random_tensor(*shape, seed=0):
    return tf.constant(np.random.default_rng(seed).normal(size=shape))


def layer_function(layer, weights, dtype):
    """Make the function of examples and weights that a layer computes."""
    layer.build((None, *weights["x"].shape[1:]))

    def function(x, kernel, bias):
        values = [(layer.kernel, kernel), (layer.bias, bias)]
        with keras.StatelessScope(values):
            return layer(x)

    inputs = [tf.cast(weights[name], dtype) for name in ("x", "kernel", "bias")]
    return value_and_gradients(function, inputs)


# --- Upsampling and transposed convolution ------------------------------------


def upsample_with_scipy(images, scale):
    """Linear interpolation with aligned corners."""
    height, width = images.shape[1:3]
    grid = np.meshgrid(
        np.linspace(0, height - 1, scale * height),
        np.linspace(0, width - 1, scale * width),
        indexing="ij",
    )
    maps = [
        scipy.ndimage.map_coordinates(image[..., channel], grid, order=1)
        for image in images
        for channel in range(images.shape[-1])
    ]
    stacked = np.reshape(maps, (len(images), -1, *grid[0].shape))
    return np.moveaxis(stacked, 1, -1)


@pytest.mark.parametrize("dtype", TOLERANCES)
@pytest.mark.parametrize(("scale", "kernel_size"), [(2, 3), (3, 1), (1, 2)])
def test_upsampled_transposed_convolution_is_that_of_the_upsampled_images(
    scale, kernel_size, dtype
):
    weights = {
        "x": random_tensor(2, 4, 5, 3),
        "kernel": random_tensor(3, kernel_size, kernel_size, 6, seed=1),
        "bias": random_tensor(6, seed=2),
    }
    layer = UpsampledConv2DTranspose(6, kernel_size, scale, dtype=dtype)
    fast = layer_function(layer, weights, dtype)

    basis = upsample_with_scipy(np.eye(20).reshape(20, 4, 5, 1), scale)

    def plain(x, kernel, bias):
        # The interpolation as one matrix, a column for every pixel.
        up = tf.einsum(
            "nhw,bnc->bhwc", basis[..., 0], tf.reshape(x, (2, 20, 3))
        )
        shape = [2, *(np.array(up.shape[1:3]) + kernel_size - 1), 6]
        kernel = tf.transpose(kernel, (2, 1, 3, 0))
        return tf.nn.conv2d_transpose(up, kernel, shape, 1, "VALID") + bias

    assert_same(fast, value_and_gradients(plain, list(weights.values())), dtype)


def test_activation_comes_last():
    layer = UpsampledConv2DTranspose(2, 3, activation="relu")
    layer.build((None, 2, 2, 1))
    layer.set_weights([np.zeros((1, 3, 3, 2)), np.array([3.0, -3.0])])
    y = layer(tf.zeros((1, 2, 2, 1)))
    np.testing.assert_array_equal(y[0, 0, 0], [3, 0])


def test_interpolation_of_a_single_point_copies_it():
    np.testing.assert_array_equal(bilinear_matrix(1, 2), [[1], [1]])


def test_static_shape_and_config():
    layer = UpsampledConv2DTranspose(
        7, 4, 3, activation="relu", bias_initializer="ones", name="up"
    )
    restored = UpsampledConv2DTranspose.from_config(layer.get_config())
    assert restored(keras.Input((4, 5, 2))).shape == (None, 15, 18, 7)
    assert restored.name == "up"
    assert restored.activation is keras.activations.relu
    assert np.all(restored.bias.numpy() == 1)


# --- One channel --------------------------------------------------------------


@pytest.mark.parametrize("dtype", TOLERANCES)
@pytest.mark.parametrize("kernel_size", [1, 2, 3])
@pytest.mark.parametrize(
    ("fast_class", "plain_class", "filters", "channels"),
    [
        (OneChannelConv2D, keras.layers.Conv2D, 4, 1),
        (OneFilterConv2DTranspose, keras.layers.Conv2DTranspose, 1, 4),
    ],
)
def test_one_channel_layers_equal_the_plain_ones(
    fast_class, plain_class, filters, channels, kernel_size, dtype
):
    weights = {
        "x": random_tensor(2, 5, 7, channels),
        "kernel": random_tensor(kernel_size, kernel_size, 1, 4, seed=1),
        "bias": random_tensor(filters, seed=2),
    }
    arguments = {
        "filters": filters,
        "kernel_size": kernel_size,
        "activation": "tanh",
    }
    fast = layer_function(fast_class(**arguments, dtype=dtype), weights, dtype)
    plain = layer_function(
        plain_class(**arguments, dtype="float64"), weights, "float64"
    )
    assert_same(fast, plain, dtype)
