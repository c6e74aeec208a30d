"""The invertible layers of Glow (Kingma & Dhariwal 2018, Table 1).

A layer called on x returns y and log |det dy/dx|, float [batch] or, where all
examples have the same, a scalar; `inverse` returns x. Images are
[batch, height, width, channels].

    layer          y                        log |det dy/dx|
    ActNorm        (x + b) * exp(s)         H * W * sum(s)
    ChannelMixing  x @ P L (U + diag(d))    H * W * sum(log |d|)

Called with `initialize=True`, eagerly, layers set their start values by the
batch on its way through. Next: `flow_couplings`.
"""

import keras
import numpy as np
import scipy.linalg
import tensorflow as tf

# --- Mathematics --------------------------------------------------------------

_SMALLEST_STD = 1e-6


def squeeze(x):
    """Turn squares of 2 x 2 pixels into channels.

    Args:
        x: float [batch, 2 * height, 2 * width, channels].

    Returns:
        float [batch, height, width, 4 * channels]. The four pixels of the first
        channel come first.
    """
    _, height, width, channels = x.shape
    x = tf.reshape(x, [-1, height // 2, 2, width // 2, 2, channels])
    x = tf.transpose(x, [0, 1, 3, 5, 2, 4])
    return tf.reshape(x, [-1, height // 2, width // 2, 4 * channels])


def unsqueeze(x):
    """Undo `squeeze`.

    Args:
        x: float [batch, height, width, 4 * channels].

    Returns:
        float [batch, 2 * height, 2 * width, channels].
    """
    _, height, width, channels = x.shape
    x = tf.reshape(x, [-1, height, width, channels // 4, 2, 2])
    x = tf.transpose(x, [0, 1, 4, 2, 5, 3])
    return tf.reshape(x, [-1, 2 * height, 2 * width, channels // 4])


def standardizing_parameters(x):
    """Return the parameters by which `ActNorm` standardises a batch.

    Args:
        x: float [batch, height, width, channels].

    Returns:
        bias: float [channels].
        log_scale: float [channels].
    """
    mean, variance = tf.nn.moments(x, [0, 1, 2])
    return -mean, -tf.math.log(tf.sqrt(variance) + _SMALLEST_STD)


def standard_normal_log_density(z):
    """Log density of the standard normal distribution.

    Args:
        z: float [batch, size].

    Returns:
        float [batch], in nats.
    """
    size = tf.cast(tf.shape(z)[-1], z.dtype)
    log_normalizer = size * tf.cast(np.log(2 * np.pi) / 2, z.dtype)
    return -tf.reduce_sum(tf.square(z), -1) / 2 - log_normalizer


# --- Layers -------------------------------------------------------------------


class FlowLayer(keras.layers.Layer):
    """An invertible layer."""

    def call(self, x, initialize=False):
        """Map x, float [batch, ...], to y and log |det dy/dx|."""
        raise NotImplementedError

    def inverse(self, y):
        """Map y back to x."""
        raise NotImplementedError


class ActNorm(FlowLayer):
    """An affine map of every channel; at first it standardises a batch."""

    def build(self, input_shape):
        """Create bias and scale of every channel."""
        shape = (input_shape[-1],)
        # Of the identity, until a batch is there.
        self.bias, self.log_scale = (
            self.add_weight(name=name, shape=shape, initializer="zeros")
            for name in ("bias", "log_scale")
        )

    def call(self, x, initialize=False):
        """Map x, float [batch, height, width, channels], as Table 1 says."""
        if initialize:
            bias, log_scale = standardizing_parameters(x)
            self.bias.assign(bias)
            self.log_scale.assign(log_scale)
        log_scale = tf.convert_to_tensor(self.log_scale)
        y = (x + self.bias) * tf.exp(log_scale)
        num_pixels = x.shape[1] * x.shape[2]
        return y, num_pixels * tf.reduce_sum(log_scale)

    def inverse(self, y):
        """Map y back to x."""
        return y * tf.exp(-tf.convert_to_tensor(self.log_scale)) - self.bias


class ChannelMixing(FlowLayer):
    """The invertible 1x1 convolution, by the LU factors of its matrix.

    The matrix is orthogonal at the start. Its determinant is the product of
    the diagonal, whose signs are fixed: no step of training makes the matrix
    singular.
    """

    def build(self, input_shape):
        """Create the factors of a random orthogonal matrix."""
        size = input_shape[-1]
        orthogonal = keras.initializers.Orthogonal()((size, size), "float32")
        permutation, lower, upper = scipy.linalg.lu(
            np.asarray(orthogonal, np.float64)
        )
        diagonal = np.diag(upper)

        def weight(name, value, trainable=True):
            return self.add_weight(
                name=name,
                shape=value.shape,
                initializer=lambda shape, dtype: tf.constant(value, dtype),
                trainable=trainable,
            )

        self.permutation = weight("permutation", permutation, trainable=False)
        self.signs = weight("signs", np.sign(diagonal), trainable=False)
        self.log_diagonal = weight("log_diagonal", np.log(np.abs(diagonal)))
        self.lower = weight("lower", np.tril(lower, -1))
        self.upper = weight("upper", np.triu(upper, 1))

    def factors(self):
        """Return L and U of the matrix P L U, float [channels, channels]."""
        lower = tf.linalg.band_part(tf.convert_to_tensor(self.lower), -1, 0)
        upper = tf.linalg.band_part(tf.convert_to_tensor(self.upper), 0, -1)
        # What an optimizer may have put on the diagonals has no effect.
        diagonal = self.signs * tf.exp(self.log_diagonal)
        return (
            tf.linalg.set_diag(lower, tf.ones_like(diagonal)),
            tf.linalg.set_diag(upper, diagonal),
        )

    def call(self, x, initialize=False):
        """Map x, float [batch, height, width, channels], as Table 1 says."""
        del initialize
        lower, upper = self.factors()
        matrix = tf.convert_to_tensor(self.permutation) @ lower @ upper
        num_pixels = x.shape[1] * x.shape[2]
        return _mix(x, matrix), num_pixels * tf.reduce_sum(self.log_diagonal)

    def inverse(self, y):
        """Map y back to x."""
        lower, upper = self.factors()
        permutation = tf.transpose(tf.convert_to_tensor(self.permutation))
        half = tf.linalg.triangular_solve(lower, permutation, lower=True)
        return _mix(y, tf.linalg.triangular_solve(upper, half, lower=False))


def _mix(x, matrix):
    return tf.nn.conv2d(x, matrix[None, None], strides=1, padding="SAME")
