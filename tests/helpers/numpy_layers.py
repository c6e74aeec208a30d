"""Operations of Table 10 in NumPy, to compute what a network should give.

`weights` are iterators over a network's weights in the order of use.
"""

import numpy as np
import scipy.ndimage
import tensorflow as tf


def with_random_weights(model):
    """Set all weights, no scale to 1 and no offset to 0; return both."""
    rng = np.random.default_rng(0)
    weights = []
    for weight in model.weights:
        *inputs, _ = weight.shape
        scale = 0.5 / np.sqrt(np.prod(inputs)) if inputs else 1
        weights.append(rng.normal(scale=scale, size=weight.shape))
    model.set_weights(weights)
    return model, iter(weights)


def random_inputs(model, batch=2):
    """Uniform inputs of the shape that the model takes."""
    shape = (batch, *model.input_shape[1:])
    return np.random.default_rng(0).uniform(size=shape)


def relu(x):
    """ReLU."""
    return np.maximum(x, 0)


def leaky_relu(x):
    """LReLU."""
    return np.where(x > 0, x, 0.2 * x)


def sigmoid(x):
    """Sigmoid."""
    return 1 / (1 + np.exp(-x))


def dense(x, weights):
    """FC of the flattened input."""
    return np.reshape(x, (len(x), -1)) @ next(weights) + next(weights)


def conv(x, weights, strides=1, padding="VALID", use_bias=True):
    """Conv2d."""
    y = tf.nn.conv2d(x, next(weights), strides, padding).numpy()
    return y + next(weights) if use_bias else y


def upsampled_conv_transpose(x, weights):
    """Bilinear(2) with aligned corners, then ConvT2d."""
    x = scipy.ndimage.zoom(x, (1, 2, 2, 1), order=1)
    kernel = np.transpose(next(weights), (2, 1, 3, 0))
    return conv_transpose(x, iter([kernel, next(weights)]))


def conv_transpose(x, weights, strides=1, padding=0):
    """ConvT2d, as the sum of the kernels that the inputs stamp."""
    kernel = next(weights)
    size, _, filters, _ = kernel.shape
    batch, height, width, _ = x.shape
    y = np.zeros(
        (
            batch,
            (height - 1) * strides + size,
            (width - 1) * strides + size,
            filters,
        )
    )
    for row, column in np.ndindex(height, width):
        top, left = row * strides, column * strides
        y[:, top : top + size, left : left + size] += np.einsum(
            "bi,hwoi->bhwo", x[:, row, column], kernel
        )
    inner = slice(padding, -padding or None)
    return y[:, inner, inner] + next(weights)


def conv_transpose_from_point(z, weights):
    """ConvT2d of a vector."""
    return np.einsum("bi,ihwo->bhwo", z, next(weights)) + next(weights)


def group_norm(x, weights, groups):
    """Group normalisation."""
    batch, height, width, channels = x.shape
    y = np.reshape(x, (batch, height * width, groups, channels // groups))
    mean = np.mean(y, axis=(1, 3), keepdims=True)
    variance = np.var(y, axis=(1, 3), keepdims=True)
    y = np.reshape((y - mean) / np.sqrt(variance + 1e-5), x.shape)
    return y * next(weights) + next(weights)


def pool(x, reduce):
    """MaxPool(2) or AvgPool(2): `reduce` is np.max or np.mean."""
    batch, height, width, channels = x.shape
    blocks = (batch, height // 2, 2, width // 2, 2, channels)
    return reduce(np.reshape(x, blocks), axis=(2, 4))


def upsample_nearest(x):
    """Nearest(2)."""
    return x.repeat(2, axis=1).repeat(2, axis=2)
