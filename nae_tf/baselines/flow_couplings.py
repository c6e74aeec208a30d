"""The layers of Glow in which a half of the channels decides on the other.

x_a and x_b are the halves; x_a stays as it is, and so networks of any kind may
compute what happens to x_b (Kingma & Dhariwal 2018, Table 1 and section 3.3).

    layer     y_b                         log |det dy/dx|
    Coupling  (x_b + t(x_a)) * s(x_a)     sum(log s(x_a))
    Split     (x_b - m(x_a)) / r(x_a)     -sum(log r(x_a))

`FlowScale` puts all layers of a scale together. Next: `glow`.
"""

import keras
import tensorflow as tf

from nae_tf.baselines.flow_layers import (
    ActNorm,
    ChannelMixing,
    FlowLayer,
    squeeze,
    unsqueeze,
)

# Smallest scale of a coupling. The inverse divides by it.
_MIN_SCALE = 0.01
# Speeds up the training of scales that begin at 1 (openai/glow).
_LOG_SCALE_FACTOR = 3.0


def coupling_scale(logits):
    """Return the scales of a coupling, in (0.01, 1), and .88 at logits of 0.

    Differs from the paper: its scale, sigmoid(logits + 2), may be arbitrarily
    close to 0, and the inverse then overflows.
    """
    return _MIN_SCALE + (1 - _MIN_SCALE) * tf.sigmoid(logits + 2)


def _sum_over_pixels(x):
    return tf.reduce_sum(x, [1, 2, 3])


class ZeroConv2D(keras.layers.Layer):
    """A 3x3 convolution that returns zeros until it is trained."""

    def __init__(self, filters: int, dtype=None):
        """Prepare the convolution.

        Args:
            filters: number of channels of the result, > 0.
            dtype: dtype policy of the layer.
        """
        super().__init__(dtype=dtype)
        self.convolution = keras.layers.Conv2D(
            filters,
            3,
            padding="same",
            data_format="channels_last",
            kernel_initializer="zeros",
            dtype=dtype,
        )

    def build(self, input_shape):
        """Create kernel, bias and scale."""
        self.convolution.build(input_shape)
        shape = (self.convolution.filters,)
        self.log_scale = self.add_weight(
            name="log_scale", shape=shape, initializer="zeros"
        )

    def call(self, x):
        """Convolve, float [batch, height, width, channels], and scale."""
        log_scale = tf.convert_to_tensor(self.log_scale)
        return self.convolution(x) * tf.exp(_LOG_SCALE_FACTOR * log_scale)


class CouplingNetwork(keras.layers.Layer):
    """Shift and scale logits of a coupling: conv3, conv1, conv3 (section 3.3).

    The hidden convolutions are followed by `ActNorm` and a ReLU.
    """

    def __init__(self, hidden_channels: int, filters: int, dtype=None):
        """Prepare the layers.

        Args:
            hidden_channels: channels of both hidden layers, > 0.
            filters: number of channels of the result, > 0.
            dtype: dtype policy of the layers.
        """
        super().__init__(dtype=dtype)
        self.hidden = [
            keras.layers.Conv2D(
                hidden_channels,
                kernel_size,
                padding="same",
                data_format="channels_last",
                use_bias=False,  # ActNorm has one.
                kernel_initializer=keras.initializers.RandomNormal(stddev=0.05),
                dtype=dtype,
            )
            for kernel_size in (3, 1)
        ]
        self.norms = [ActNorm(dtype=dtype) for _ in self.hidden]
        self.last = ZeroConv2D(filters, dtype=dtype)

    def build(self, input_shape):
        """Build the layers."""
        shape = tuple(input_shape)
        for convolution, norm in zip(self.hidden, self.norms, strict=True):
            convolution.build(shape)
            shape = (*shape[:-1], convolution.filters)
            norm.build(shape)
        self.last.build(shape)

    def call(self, x, initialize=False):
        """Map float [batch, height, width, channels] to `filters` channels."""
        for convolution, norm in zip(self.hidden, self.norms, strict=True):
            x, _ = norm(convolution(x), initialize=initialize)
            x = tf.nn.relu(x)
        return self.last(x)


class Coupling(FlowLayer):
    """An affine coupling: one half of the channels moves the other."""

    def __init__(self, hidden_channels: int, dtype=None):
        """Prepare the coupling.

        Args:
            hidden_channels: channels of the network's hidden layers, > 0.
            dtype: dtype policy of the layer.
        """
        super().__init__(dtype=dtype)
        self.hidden_channels = hidden_channels

    def build(self, input_shape):
        """Build the network of the half that stays."""
        channels = input_shape[-1]
        self.num_fixed = channels // 2
        self.network = CouplingNetwork(
            self.hidden_channels, 2 * (channels - self.num_fixed), self.dtype
        )
        self.network.build((*input_shape[:-1], self.num_fixed))

    def _halves(self, x):
        return x[..., : self.num_fixed], x[..., self.num_fixed :]

    def _shift_and_scale(self, fixed, initialize=False):
        outputs = self.network(fixed, initialize=initialize)
        shift, logits = tf.split(outputs, 2, axis=-1)
        return shift, coupling_scale(logits)

    def call(self, x, initialize=False):
        """Map x, float [batch, height, width, channels], as Table 1 says."""
        fixed, moved = self._halves(x)
        shift, scale = self._shift_and_scale(fixed, initialize)
        y = tf.concat([fixed, (moved + shift) * scale], -1)
        return y, _sum_over_pixels(tf.math.log(scale))

    def inverse(self, y):
        """Map y back to x."""
        fixed, moved = self._halves(y)
        shift, scale = self._shift_and_scale(fixed)
        return tf.concat([fixed, moved / scale - shift], -1)


class Split(FlowLayer):
    """The end of half of the channels, standardised by the other half.

    The half that ends has a normal distribution, whose mean and standard
    deviation depend on the other half. So it is standard normal once both are
    taken out.
    """

    def build(self, input_shape):
        """Build the convolution from one half to the other's parameters."""
        channels = input_shape[-1]
        self.network = ZeroConv2D(channels, dtype=self.dtype)
        self.network.build((*input_shape[:-1], channels // 2))

    def call(self, x, initialize=False):
        """Map x, float [batch, height, width, channels], as Table 1 says."""
        del initialize
        rest, ending = tf.split(x, 2, axis=-1)
        mean, log_std = tf.split(self.network(rest), 2, axis=-1)
        ending = (ending - mean) * tf.exp(-log_std)
        return tf.concat([rest, ending], -1), -_sum_over_pixels(log_std)

    def inverse(self, y):
        """Map y back to x."""
        rest, ending = tf.split(y, 2, axis=-1)
        mean, log_std = tf.split(self.network(rest), 2, axis=-1)
        return tf.concat([rest, ending * tf.exp(log_std) + mean], -1)


class FlowScale(FlowLayer):
    """One scale of Glow: `squeeze`, then steps of three layers, then a `Split`.

    Attributes:
        splits: whether the second half of the output's channels ends here.
        output_image_shape: (height, width, channels) of the output.
    """

    def __init__(
        self,
        num_steps: int,
        hidden_channels: int,
        squeezes: bool,
        splits: bool,
        dtype=None,
    ):
        """Prepare the layers.

        Args:
            num_steps: number of steps, > 0.
            hidden_channels: channels in the networks of the couplings, > 0.
            squeezes: whether the scale begins with `squeeze`.
            splits: whether it ends with a `Split`.
            dtype: dtype policy of the layers.
        """
        super().__init__(dtype=dtype)
        self.squeezes = squeezes
        self.splits = splits
        self.output_image_shape: tuple[int, ...] = ()
        self.parts: list[FlowLayer] = [
            layer
            for _ in range(num_steps)
            for layer in (
                ActNorm(dtype=dtype),
                ChannelMixing(dtype=dtype),
                Coupling(hidden_channels, dtype=dtype),
            )
        ]
        if splits:
            self.parts.append(Split(dtype=dtype))

    def build(self, input_shape):
        """Build the layers."""
        height, width, channels = input_shape[1:]
        if self.squeezes:
            height, width, channels = height // 2, width // 2, 4 * channels
        self.output_image_shape = (height, width, channels)
        for layer in self.parts:
            layer.build((None, height, width, channels))

    def call(self, x, initialize=False):
        """Map x, float [batch, height, width, channels], through all layers."""
        y = squeeze(x) if self.squeezes else x
        log_determinant = tf.zeros(tf.shape(x)[:1], x.dtype)
        for layer in self.parts:
            y, of_layer = layer(y, initialize=initialize)
            log_determinant += of_layer
        return y, log_determinant

    def inverse(self, y):
        """Map y back to x."""
        for layer in reversed(self.parts):
            y = layer.inverse(y)
        return unsqueeze(y) if self.squeezes else y
