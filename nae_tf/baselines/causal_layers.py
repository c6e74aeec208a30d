"""The shifted convolutions of PixelCNN++ (Salimans et al. 2017, section 2.4).

A convolution that is padded above and on both sides sees the rows up to its
own; one that is padded above and to the left sees, of its own row, the pixels
up to its own. Two streams of features go through the network, one of each kind.
In the first layer their shifts by a pixel turn "up to" into "before".

Kernels are weight-normalised (Salimans & Kingma 2016). Called with
`initialize=True`, eagerly, layers set their start values by the batch on its
way through. Next: `pixelcnn`.
"""

import keras
import tensorflow as tf

# Sizes of kernels, (rows, columns), of the two streams.
ABOVE = (2, 3)
BEFORE = (2, 2)
# Deviation of the second convolution of a block at the start: the block is
# nearly the identity (openai/pixel-cnn).
_BLOCK_STD = 0.1
_SMALLEST_VARIANCE = 1e-10


def shift_down(x):
    """Move images down by a row; the first row becomes zeros."""
    return tf.pad(x, [[0, 0], [1, 0], [0, 0], [0, 0]])[:, :-1]


def shift_right(x):
    """Move images right by a column; the first column becomes zeros."""
    return tf.pad(x, [[0, 0], [0, 0], [1, 0], [0, 0]])[:, :, :-1]


def concat_elu(x):
    """ELU of x and of -x, which doubles the channels."""
    return tf.nn.elu(tf.concat([x, -x], axis=-1))


class WeightNormLayer(keras.layers.Layer):
    """A linear layer of images, g * linear(x, v / |v|) + b.

    Args:
        filters: number of channels of the result, > 0.
        kernel_size: (rows, columns). A kernel of an odd number of columns is
            centred, and sees pixels on both sides; that of an even number
            sees those to the left.
        start_std: deviation of the results for the batch that starts the layer.
        dtype: dtype policy of the layer.
    """

    def __init__(
        self,
        filters: int,
        kernel_size: tuple[int, int],
        start_std: float = 1.0,
        dtype=None,
    ):
        super().__init__(dtype=dtype)
        self.filters = filters
        self.kernel_size = kernel_size
        self.start_std = start_std

    @property
    def columns_to_the_right(self) -> int:
        """Number of columns to the right of a pixel that its kernel sees."""
        columns = self.kernel_size[1]
        return columns // 2 if columns % 2 else 0

    def build(self, input_shape):
        """Create direction and length of the kernel, and the bias."""
        self.direction = self.add_weight(
            name="direction",
            shape=(*self.kernel_size, input_shape[-1], self.filters),
            initializer=keras.initializers.RandomNormal(stddev=0.05),
        )
        self.gain = self.add_weight(
            name="gain", shape=(self.filters,), initializer="ones"
        )
        self.bias = self.add_weight(
            name="bias", shape=(self.filters,), initializer="zeros"
        )

    def linear(self, x, kernel):
        """Apply a kernel to float [batch, height, width, channels]."""
        raise NotImplementedError

    def call(self, x, initialize=False):
        """Map float [batch, height, width, channels] to `filters` channels."""
        direction = tf.convert_to_tensor(self.direction)
        squares = tf.reduce_sum(tf.square(direction), [0, 1, 2])
        y = self.linear(x, direction * tf.math.rsqrt(squares))
        if initialize:
            mean, variance = tf.nn.moments(y, [0, 1, 2])
            gain = self.start_std * tf.math.rsqrt(variance + _SMALLEST_VARIANCE)
            self.gain.assign(gain)
            self.bias.assign(-mean * gain)
        return y * self.gain + self.bias


class CausalConv2D(WeightNormLayer):
    """A convolution that sees no rows below its own."""

    def __init__(self, filters, kernel_size, strides: int = 1, **settings):
        """Prepare the convolution.

        Args:
            filters: as `WeightNormLayer`.
            kernel_size: as `WeightNormLayer`.
            strides: 1, or 2 to halve the sides.
            **settings: further arguments of `WeightNormLayer`.
        """
        super().__init__(filters, kernel_size, **settings)
        self.strides = strides

    def linear(self, x, kernel):
        """Pad and convolve."""
        rows, columns = self.kernel_size
        right = self.columns_to_the_right
        sides = [columns - 1 - right, right]
        padded = tf.pad(x, [[0, 0], [rows - 1, 0], sides, [0, 0]])
        return tf.nn.conv2d(padded, kernel, self.strides, "VALID")


class CausalConv2DTranspose(WeightNormLayer):
    """A transposed convolution that doubles the sides, and is as causal."""

    def linear(self, x, kernel):
        """Apply the transposed convolution, and crop it to be causal."""
        _, height, width, _ = x.shape
        rows, columns = self.kernel_size
        size = (2 * height + rows - 1, 2 * width + columns - 1)
        y = tf.nn.conv2d_transpose(
            x,
            tf.transpose(kernel, [0, 1, 3, 2]),
            [tf.shape(x)[0], *size, self.filters],
            2,
            "VALID",
        )
        left = self.columns_to_the_right
        y = y[:, : 2 * height, left : left + 2 * width]
        return tf.ensure_shape(y, [None, 2 * height, 2 * width, self.filters])


class GatedBlock(keras.layers.Layer):
    """A gated residual block, x + p * sigmoid(q) (section 2.4)."""

    def __init__(
        self,
        kernel_size: tuple[int, int],
        channels: int,
        other_channels: int,
        dropout: float,
        dtype=None,
    ):
        """Prepare the layers.

        Args:
            kernel_size: `ABOVE` or `BEFORE`.
            channels: number of channels, > 0.
            other_channels: number of channels of the other input, or 0.
            dropout: rate of the dropout in training, in [0, 1).
            dtype: dtype policy of the layers.
        """
        super().__init__(dtype=dtype)
        self.channels = channels
        self.other_channels = other_channels
        self.dropout = dropout
        self.first = CausalConv2D(channels, kernel_size, dtype=dtype)
        self.shortcut = CausalConv2D(channels, (1, 1), dtype=dtype)
        self.second = CausalConv2D(
            2 * channels, kernel_size, start_std=_BLOCK_STD, dtype=dtype
        )

    def build(self, input_shape):
        """Build the layers."""
        shape = tuple(input_shape)[:-1]
        self.first.build((*shape, 2 * self.channels))
        self.second.build((*shape, 2 * self.channels))
        if self.other_channels:
            self.shortcut.build((*shape, 2 * self.other_channels))

    def call(self, x, other=None, seed=None, initialize=False):
        """Add to x what the block makes of it.

        Args:
            x: float [batch, height, width, channels].
            other: float [batch, height, width, other_channels], or None.
            seed: stateless seed of the dropout, int [2]; None for none.
            initialize: whether the layers set their start values.

        Returns:
            float, shape of `x`.
        """
        y = self.first(concat_elu(x), initialize=initialize)
        if other is not None:
            y += self.shortcut(concat_elu(other), initialize=initialize)
        y = concat_elu(y)
        if seed is not None and self.dropout:
            y = tf.nn.experimental.stateless_dropout(
                y, self.dropout, seed, "philox"
            )
        y = self.second(y, initialize=initialize)
        p, q = tf.split(y, 2, axis=-1)
        return x + p * tf.sigmoid(q)
