"""How a network of Table 10 is put together.

A `Network` is a functional Keras model. Its graph is written with a
`LayerBuilder`, whose methods are the operations of appendix D.2.
"""

from collections.abc import Callable

import keras

from nae_tf.base.saving import rebuild
from nae_tf.networks.fast_layers import (
    OneChannelConv2D,
    OneFilterConv2DTranspose,
    UpsampledConv2DTranspose,
)
from nae_tf.networks.layers import fan_in_uniform

LEAKY_RELU_SLOPE = 0.2
# PyTorch's value; Keras has 1e-3.
GROUP_NORM_EPSILON = 1e-5


class Network(keras.Model):
    """A functional Keras model that knows its constructor's arguments.

    Subclasses build their graph and pass it on, with the arguments that
    rebuild it.
    """

    def __init__(self, inputs, outputs, dtype_policy, name, **arguments):
        super().__init__(inputs, outputs, name=name)
        self.dtype_policy = dtype_policy
        # Keras would wrap a dictionary to track layers in it.
        self._arguments = tuple(arguments.items())

    def get_config(self):
        """Return the constructor's arguments, and what of it is frozen.

        The dtype is resolved.
        """
        config = {
            "name": self.name,
            "dtype": self.dtype_policy.name,
            "trainable": self.trainable,
            **dict(self._arguments),
        }
        # By number: a rebuilt network may give its layers other names.
        frozen = [
            i for i, layer in enumerate(self.layers) if not layer.trainable
        ]
        if self.trainable and frozen:
            config["frozen_layers"] = frozen
        return config

    @classmethod
    def from_config(cls, config):
        """Rebuild the network from `get_config`."""
        arguments = dict(config)
        frozen = arguments.pop("frozen_layers", [])
        network = rebuild(cls, arguments)
        for number in frozen:
            network.layers[number].trainable = False
        return network


class LayerBuilder:
    """Adds layers of one dtype and one initialisation to functional graphs.

    Each method takes and returns a symbolic tensor. Convolutions that a CPU is
    slow at take another form with the same weights and values: those with a
    single output or input position are matrix products, others are in
    `fast_layers`.

    Args:
        dtype: dtype, policy or its name; None for Keras's global policy.
        kernel_initializer: maps (fan_in, fan_out) to an initializer.
    """

    def __init__(
        self, dtype=None, kernel_initializer: Callable = fan_in_uniform
    ):
        self.dtype_policy = keras.dtype_policies.get(dtype)
        self.kernel_initializer = kernel_initializer

    def input(self, shape):
        """A float input; float32 with a mixed policy."""
        return keras.Input(shape, dtype=self.dtype_policy.variable_dtype)

    def dense(self, x, units, activation=None):
        """FC: a fully connected layer."""
        layer = keras.layers.Dense(
            units,
            activation,
            dtype=self.dtype_policy,
            **self._initializers(x.shape[-1], units),
        )
        return layer(x)

    def conv(
        self,
        x,
        filters,
        kernel_size,
        strides=1,
        padding="valid",
        activation=None,
        use_bias=True,
        layer_class=keras.layers.Conv2D,
    ):
        """Conv2d."""
        area = kernel_size**2
        plain = (layer_class, strides, padding) == (
            keras.layers.Conv2D,
            1,
            "valid",
        )
        if plain and x.shape[-1] == 1:
            layer_class = OneChannelConv2D
        layer = layer_class(
            filters,
            kernel_size,
            strides,
            padding,
            activation=activation,
            use_bias=use_bias,
            dtype=self.dtype_policy,
            **self._initializers(area * x.shape[-1], area * filters),
        )
        return layer(x)

    def conv_to_point(self, x, filters, activation=None):
        """Conv2d whose kernel covers the whole map: [batch, filters]."""
        return self.dense(self.flatten(x), filters, activation)

    def conv_transpose(
        self,
        x,
        filters,
        kernel_size,
        strides=1,
        padding="valid",
        activation=None,
    ):
        """ConvT2d."""
        area = kernel_size**2
        layer_class = keras.layers.Conv2DTranspose
        if (filters, strides, padding) == (1, 1, "valid"):
            layer_class = OneFilterConv2DTranspose
        layer = layer_class(
            filters,
            kernel_size,
            strides,
            padding,
            activation=activation,
            dtype=self.dtype_policy,
            **self._initializers(area * filters, area * x.shape[-1]),
        )
        return layer(x)

    def conv_transpose_from_point(self, x, filters, size, activation=None):
        """ConvT2d of a [batch, channels] vector: [batch, size, size, filters].

        The kernel is [channels, size, size, filters]; the bias is shared by
        all positions.
        """
        area = size**2
        layer = keras.layers.EinsumDense(
            "bi,ihwo->bhwo",
            output_shape=(size, size, filters),
            bias_axes="o",
            activation=activation,
            dtype=self.dtype_policy,
            **self._initializers(area * filters, area * x.shape[-1]),
        )
        return layer(x)

    def group_norm(self, x, groups):
        """Group normalisation with PyTorch's epsilon."""
        if x.shape[-1] % groups:
            raise ValueError(
                "group normalisation: expected groups that divide the "
                f"channels, received groups={groups} and {x.shape[-1]} "
                "channels; change the network's groups or width."
            )
        layer = keras.layers.GroupNormalization(
            groups, epsilon=GROUP_NORM_EPSILON, dtype=self.dtype_policy
        )
        return layer(x)

    def relu(self, x):
        """ReLU."""
        return keras.layers.ReLU(dtype=self.dtype_policy)(x)

    def leaky_relu(self, x):
        """LReLU with slope 0.2."""
        layer = keras.layers.LeakyReLU(
            negative_slope=LEAKY_RELU_SLOPE, dtype=self.dtype_policy
        )
        return layer(x)

    def activation(self, x, activation):
        """Any activation function by name."""
        return keras.layers.Activation(activation, dtype=self.dtype_policy)(x)

    def max_pool(self, x):
        """MaxPool(2)."""
        return keras.layers.MaxPooling2D(2, dtype=self.dtype_policy)(x)

    def average_pool(self, x):
        """AvgPool(2)."""
        return keras.layers.AveragePooling2D(2, dtype=self.dtype_policy)(x)

    def global_average_pool(self, x):
        """AvgPool of the whole map: [batch, 1, 1, channels]."""
        layer = keras.layers.GlobalAveragePooling2D(
            keepdims=True, dtype=self.dtype_policy
        )
        return layer(x)

    def upsampled_conv_transpose(self, x, filters, kernel_size, activation):
        """Bilinear(2), then ConvT2d."""
        area = kernel_size**2
        layer = UpsampledConv2DTranspose(
            filters,
            kernel_size,
            activation=activation,
            dtype=self.dtype_policy,
            **self._initializers(area * filters, area * x.shape[-1]),
        )
        return layer(x)

    def upsample_nearest(self, x):
        """Nearest(2)."""
        return keras.layers.UpSampling2D(2, dtype=self.dtype_policy)(x)

    def add(self, x, y):
        """Element-wise sum."""
        return keras.layers.Add(dtype=self.dtype_policy)([x, y])

    def multiply(self, x, y):
        """Element-wise product."""
        return keras.layers.Multiply(dtype=self.dtype_policy)([x, y])

    def flatten(self, x):
        """[batch, ...] to [batch, size]."""
        return keras.layers.Flatten(dtype=self.dtype_policy)(x)

    def reshape(self, x, shape):
        """[batch, ...] to [batch, *shape]."""
        return keras.layers.Reshape(shape, dtype=self.dtype_policy)(x)

    def _initializers(self, fan_in, fan_out):
        return {
            "kernel_initializer": self.kernel_initializer(fan_in, fan_out),
            "bias_initializer": fan_in_uniform(fan_in),
        }
