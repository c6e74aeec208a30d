"""Convolutions of Table 10 in the form that a CPU computes fastest.

Each layer has the weights and the values of the plain layers that it replaces.
docs/results/speed.md gives the times that each form saves.
"""

import functools

import keras
import numpy as np
import tensorflow as tf


def bilinear_matrix(size: int, scale: int) -> np.ndarray:
    """Matrix of 1-D linear interpolation with aligned end points.

    Output i lies at input position i * (size - 1) / (scale * size - 1).

    Args:
        size: int > 0. Number of input points.
        scale: int > 0. There are `scale * size` output points.

    Returns:
        float64 [scale * size, size]. Rows sum to 1.
    """
    position = np.linspace(0, size - 1, scale * size)
    distance = np.abs(position[:, None] - np.arange(size))
    return np.maximum(0, 1 - distance)


def upsampled_taps(size: int, scale: int, kernel_size: int) -> np.ndarray:
    """Matrix of a transposed convolution of an upsampled line, tap by tap.

        taps[p, i, k] = bilinear_matrix(size, scale)[p - k, i]

    Args:
        size: int > 0. Number of input points.
        scale: int > 0. Factor of the upsampling.
        kernel_size: int > 0. Number of taps.

    Returns:
        float64 [scale * size + kernel_size - 1, size, kernel_size]; zero where
        there is no point p - k.
    """
    matrix = bilinear_matrix(size, scale)
    taps = np.zeros((len(matrix) + kernel_size - 1, size, kernel_size))
    for k in range(kernel_size):
        taps[k : k + len(matrix), :, k] = matrix
    return taps


@keras.saving.register_keras_serializable(package="nae_tf")
class UpsampledConv2DTranspose(keras.layers.Layer):
    """Bilinear upsampling, then a transposed convolution, in one layer.

        y[p, q] = bias + sum_{h, w, k, l} A[p, h, k] B[q, w, l] x[h, w] K[l, k]

    A and B are the constant `upsampled_taps` of rows and columns, K[l, k] is
    the [channels, filters] matrix of a tap. Both operations are linear, so the
    channels can be mixed before the upsampling, on scale**2 times fewer
    positions. Three matrix products do all: over channels, columns and rows.
    Corners are aligned, as in the authors' Conv28.

    Input: [batch, height, width, channels]. Output: [batch, scale * height +
    kernel_size - 1, scale * width + kernel_size - 1, filters].

    Args:
        filters: int > 0. Channels of the output.
        kernel_size: int > 0. Height and width of the kernel.
        scale: int > 0. Factor of the upsampling.
        activation: name of the activation, or None.
        kernel_initializer: initializer of the kernel, [channels, column tap,
            row tap, filters], in the order of its use.
        bias_initializer: initializer of the bias, [filters].
        **kwargs: further arguments of `keras.layers.Layer`.
    """

    # `mixed_precision` may cast its kernel before the layer is called.
    casts_kernel = True

    def __init__(
        self,
        filters: int,
        kernel_size: int,
        scale: int = 2,
        activation=None,
        kernel_initializer="glorot_uniform",
        bias_initializer="zeros",
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.filters = filters
        self.kernel_size = kernel_size
        self.scale = scale
        self.activation = keras.activations.get(activation)
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.bias_initializer = keras.initializers.get(bias_initializer)

    def build(self, input_shape):
        """Create the weights and compute the constant matrices."""
        _, height, width, channels = input_shape
        if height is None or width is None:
            raise ValueError(
                "UpsampledConv2DTranspose: expected a static height and width, "
                f"received input_shape={tuple(input_shape)}; give the model's "
                "`keras.Input` the image size."
            )
        self.map_shape = (height, width)
        size = self.kernel_size
        self.kernel = self.add_weight(
            name="kernel",
            shape=(channels, size, size, self.filters),
            initializer=self.kernel_initializer,
        )
        self.bias = self.add_weight(
            name="bias",
            shape=(self.filters,),
            initializer=self.bias_initializer,
        )
        rows = upsampled_taps(height, self.scale, size)
        columns = upsampled_taps(width, self.scale, size)
        self._row_matrix = rows.reshape(len(rows), -1)
        self._column_matrix = columns.reshape(len(columns), -1)
        super().build(input_shape)

    def call(self, inputs):
        """Mix channels, then spread the columns, then the rows."""
        _, height, width, channels = inputs.shape
        size, filters = self.kernel_size, self.filters
        _, out_height, out_width, _ = self.compute_output_shape(inputs.shape)
        rows = keras.ops.cast(self._row_matrix, inputs.dtype)
        columns = keras.ops.cast(self._column_matrix, inputs.dtype)
        # [(batch, row, column), (column tap, row tap, filter)]
        kernel = keras.ops.reshape(self.kernel, (channels, -1))
        x = keras.ops.reshape(inputs, (-1, channels))
        x = keras.ops.matmul(x, kernel)
        # [(batch, row), (column, column tap), (row tap, filter)]
        x = keras.ops.reshape(x, (-1, width * size, size * filters))
        x = keras.ops.matmul(columns, x)
        # [(batch, row), row tap, out column, filter]
        x = keras.ops.reshape(x, (-1, out_width, size, filters))
        x = keras.ops.transpose(x, (0, 2, 1, 3))
        x = keras.ops.reshape(x, (-1, height * size, out_width * filters))
        x = keras.ops.matmul(rows, x)
        x = keras.ops.reshape(x, (-1, out_height, out_width, filters))
        return self.activation(x + self.bias)

    def compute_output_shape(self, input_shape):
        """Return the upsampled shape, grown by kernel_size - 1."""
        batch, height, width, _ = input_shape
        growth = self.kernel_size - 1
        return (
            batch,
            self.scale * height + growth,
            self.scale * width + growth,
            self.filters,
        )

    def get_config(self):
        """Return the constructor's arguments."""
        return super().get_config() | {
            "filters": self.filters,
            "kernel_size": self.kernel_size,
            "scale": self.scale,
            "activation": keras.activations.serialize(self.activation),
            "kernel_initializer": keras.initializers.serialize(
                self.kernel_initializer
            ),
            "bias_initializer": keras.initializers.serialize(
                self.bias_initializer
            ),
        }


@keras.saving.register_keras_serializable(package="nae_tf")
class OneChannelConv2D(keras.layers.Conv2D):
    """`keras.layers.Conv2D` of one-channel images, stride 1, no padding.

    The values are the same. `add_shifted_kernels` computes the gradient with
    respect to the images, which every step of a visible chain needs.
    """

    def convolution_op(self, inputs, kernel):
        """Convolve."""
        return conv2d_of_one_channel(inputs, tf.convert_to_tensor(kernel))


@keras.saving.register_keras_serializable(package="nae_tf")
class OneFilterConv2DTranspose(keras.layers.Conv2DTranspose):
    """`keras.layers.Conv2DTranspose` with one filter, stride 1, no padding.

    The values are the same; `add_shifted_kernels` computes them.
    """

    def call(self, inputs):
        """Convolve."""
        kernel = tf.convert_to_tensor(self.kernel)
        y = conv2d_transpose_to_one_channel(inputs, kernel)
        return self.activation(y + self.bias)


def add_shifted_kernels(x, kernel):
    """Transposed convolution to one channel: add a shifted kernel per input.

        y[p, q] = sum_{k, l} <kernel[k, l], x[p - k, q - l]>

    One matrix product contracts the channels. Then the maps of the taps are
    shifted and added. A general convolution keeps vectors of output channels in
    its registers, and with one channel most of them are idle.

    Args:
        x: float [batch, height, width, channels].
        kernel: float [kernel_size, kernel_size, 1, channels].

    Returns:
        float [batch, height + kernel_size - 1, width + kernel_size - 1, 1].
    """
    size, _, _, channels = kernel.shape
    _, height, width, _ = x.shape
    # [(batch, row), (row tap, column tap), column]
    taps = tf.matmul(
        tf.reshape(kernel, (size * size, channels)),
        tf.reshape(x, (-1, width, channels)),
        transpose_b=True,
    )
    # Shift by column tap and add: [(batch, row, row tap), out column]
    shift = tf.constant(_shift_matrix(width, size), x.dtype)
    taps = tf.matmul(tf.reshape(taps, (-1, size * width)), shift)
    taps = tf.reshape(taps, (-1, height, size, width + size - 1))
    # Shift by row tap and add.
    rows = [
        tf.pad(taps[:, :, k], [[0, 0], [k, size - 1 - k], [0, 0]])
        for k in range(size)
    ]
    return tf.add_n(rows)[..., None]


def _shift_matrix(size, num_taps):
    """Return the 0-1 matrix that moves position i of tap k to i + k."""
    taps = np.stack(
        [np.eye(size, size + num_taps - 1, k) for k in range(num_taps)]
    )
    return taps.reshape(num_taps * size, -1)


def _traced_by_itself(function):
    """Trace a function with a gradient of its own outside of other graphs.

    TensorFlow keeps the gradient of every trace for good, and with it the graph
    that it is traced in. This one is small, and traced once for each shape; a
    training step's has a whole model in it. Eager calls leave nothing behind.
    """

    @functools.cache
    def traced(*signature):
        return tf.function(function, signature, autograph=False)

    @functools.wraps(function)
    def call(x, kernel):
        if tf.executing_eagerly():
            return function(x, kernel)
        any_batch = tf.TensorSpec((None, *x.shape[1:]), x.dtype)
        y = traced(any_batch, tf.TensorSpec(kernel.shape, kernel.dtype))(
            x, kernel
        )
        y.set_shape((x.shape[0], *y.shape[1:]))
        return y

    return call


@_traced_by_itself
@tf.custom_gradient
def conv2d_of_one_channel(x, kernel):
    """Convolve one-channel images, stride 1, no padding.

    Args:
        x: float [batch, height, width, 1].
        kernel: float [kernel_size, kernel_size, 1, filters].

    Returns:
        float [batch, height - kernel_size + 1, width - kernel_size + 1,
        filters], and the function that gives both gradients.
    """

    def gradient(upstream):
        return add_shifted_kernels(upstream, kernel), _kernel_gradient(
            x, kernel, upstream
        )

    return tf.nn.conv2d(x, kernel, 1, "VALID"), gradient


@_traced_by_itself
@tf.custom_gradient
def conv2d_transpose_to_one_channel(x, kernel):
    """Transposed convolution to one channel, stride 1, no padding.

    Args:
        x: float [batch, height, width, channels].
        kernel: float [kernel_size, kernel_size, 1, channels].

    Returns:
        float [batch, height + kernel_size - 1, width + kernel_size - 1, 1],
        and the function that gives both gradients.
    """

    def gradient(upstream):
        # The transpose of a transposed convolution is the convolution.
        return (
            tf.nn.conv2d(upstream, kernel, 1, "VALID"),
            _kernel_gradient(upstream, kernel, x),
        )

    return add_shifted_kernels(x, kernel), gradient


def _kernel_gradient(images, kernel, maps):
    """Gradient of <maps, conv2d(images, kernel)> with respect to the kernel."""
    return tf.raw_ops.Conv2DBackpropFilter(
        input=images,
        filter_sizes=kernel.shape,
        out_backprop=maps,
        strides=[1, 1, 1, 1],
        padding="VALID",
    )
