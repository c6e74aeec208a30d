"""How a network of Table 10 is put together.

A `Network` is a functional Keras model. Its graph is written with a
`LayerBuilder`, whose methods are the operations of appendix D.2.
"""

from collections.abc import Callable

import keras

from nae_tf.base.saving import arguments_of_call, rebuild
from nae_tf.networks.fast_layers import (
    OneChannelConv2D,
    OneFilterConv2DTranspose,
    UpsampledConv2DTranspose,
)
from nae_tf.networks.layers import fan_in_uniform

LEAKY_RELU_SLOPE = 0.2
# PyTorch's value; Keras has 1e-3.
GROUP_NORM_EPSILON = 1e-5
# Stated, because a keras.json of the user may have another default.
DATA_FORMAT = "channels_last"


class Network(keras.Model):
    """A functional Keras model whose config is its constructor's arguments.

    The constructor of a subclass builds a graph from its arguments, which are
    numbers, strings or tuples, and passes the graph to this constructor.

    Args:
        inputs: symbolic input of the graph, a `keras.Input`.
        outputs: symbolic output of the graph.
        dtype: dtype, policy or its name; None for Keras's global policy.
        name: name of the model; None means a name by its class.

    Example:
        >>> from nae_tf.networks import LayerBuilder, Network
        >>> class Bottleneck(Network):
        ...     def __init__(self, latent_dim, dtype=None, name=None):
        ...         build = LayerBuilder(dtype)
        ...         inputs = build.input((30,))
        ...         x = build.dense(inputs, 16, activation="relu")
        ...         outputs = build.dense(x, latent_dim)
        ...         super().__init__(inputs, outputs, dtype, name)
        >>> encoder = Bottleneck(latent_dim=2, dtype="float64")
        >>> encoder.output_shape
        (None, 2)
        >>> encoder.get_config()["latent_dim"]
        2
    """

    def __new__(cls, *args, **kwargs):
        """Store the arguments, because the graph does not contain them."""
        network = super().__new__(cls, *args, **kwargs)
        # Files have lists for tuples. Keras would wrap a dictionary, to track
        # layers in it.
        network._arguments = tuple(
            (name, tuple(value) if isinstance(value, list) else value)
            for name, value in arguments_of_call(cls, args, kwargs).items()
        )
        return network

    def __init__(self, inputs, outputs, dtype=None, name=None):
        super().__init__(inputs, outputs, name=name)
        self.dtype_policy = keras.dtype_policies.get(dtype)

    def get_config(self):
        """Return the constructor's arguments and the frozen layers.

        The dtype is resolved.
        """
        config = {
            **dict(self._arguments),
            "name": self.name,
            "dtype": self.dtype_policy.name,
            "trainable": self.trainable,
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

    Each method takes and returns a symbolic tensor. Convolutions that are slow
    on a CPU take another form with the same weights and values: those with a
    single output or input position are matrix products, others are in
    `fast_layers`.

    Args:
        dtype: dtype, policy or its name; None for Keras's global policy.
        kernel_initializer: function of fan-in and fan-out that returns an
            initializer; None for `layers.fan_in_uniform`.

    Example:
        >>> import keras
        >>> from nae_tf.networks import LayerBuilder
        >>> build = LayerBuilder(dtype="float32")
        >>> inputs = build.input((28, 28, 1))
        >>> x = build.conv(inputs, 8, kernel_size=3, activation="relu")
        >>> x = build.max_pool(x)
        >>> outputs = build.conv_to_point(x, 2)
        >>> keras.Model(inputs, outputs).output_shape
        (None, 2)
    """

    def __init__(self, dtype=None, kernel_initializer: Callable | None = None):
        self.dtype_policy = keras.dtype_policies.get(dtype)
        self.kernel_initializer = kernel_initializer

    def input(self, shape):
        """Return a float input; float32 with a mixed policy."""
        return keras.Input(shape, dtype=self.dtype_policy.variable_dtype)

    def dense(self, x, units, activation=None):
        """Apply a fully connected layer, FC in Table 10."""
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
        """Apply a convolution, Conv2d in Table 10."""
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
            data_format=DATA_FORMAT,
            activation=activation,
            use_bias=use_bias,
            dtype=self.dtype_policy,
            **self._initializers(area * x.shape[-1], area * filters),
        )
        return layer(x)

    def conv_to_point(self, x, filters, activation=None):
        """Apply a Conv2d that covers the whole map, to [batch, filters]."""
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
        """Apply a transposed convolution, ConvT2d in Table 10."""
        area = kernel_size**2
        layer_class = keras.layers.Conv2DTranspose
        if (filters, strides, padding) == (1, 1, "valid"):
            layer_class = OneFilterConv2DTranspose
        layer = layer_class(
            filters,
            kernel_size,
            strides,
            padding,
            data_format=DATA_FORMAT,
            activation=activation,
            dtype=self.dtype_policy,
            **self._initializers(area * filters, area * x.shape[-1]),
        )
        return layer(x)

    def conv_transpose_from_point(self, x, filters, size, activation=None):
        """Apply a ConvT2d to one position, to [batch, size, size, filters].

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
        """Apply group normalisation with PyTorch's epsilon."""
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
        """Apply a ReLU."""
        return keras.layers.ReLU(dtype=self.dtype_policy)(x)

    def leaky_relu(self, x):
        """Apply a leaky ReLU with slope 0.2, LReLU in Table 10."""
        layer = keras.layers.LeakyReLU(
            negative_slope=LEAKY_RELU_SLOPE, dtype=self.dtype_policy
        )
        return layer(x)

    def activation(self, x, activation):
        """Apply any activation function, by name."""
        return keras.layers.Activation(activation, dtype=self.dtype_policy)(x)

    def max_pool(self, x):
        """Pool maxima, MaxPool(2) in Table 10."""
        layer = keras.layers.MaxPooling2D(
            2, data_format=DATA_FORMAT, dtype=self.dtype_policy
        )
        return layer(x)

    def average_pool(self, x):
        """Pool averages, AvgPool(2) in Table 10."""
        layer = keras.layers.AveragePooling2D(
            2, data_format=DATA_FORMAT, dtype=self.dtype_policy
        )
        return layer(x)

    def global_average_pool(self, x):
        """Pool the average of the whole map, to [batch, 1, 1, channels]."""
        layer = keras.layers.GlobalAveragePooling2D(
            DATA_FORMAT, keepdims=True, dtype=self.dtype_policy
        )
        return layer(x)

    def upsampled_conv_transpose(self, x, filters, kernel_size, activation):
        """Upsample, Bilinear(2) in Table 10, then apply a ConvT2d."""
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
        """Repeat every pixel, Nearest(2) in Table 10."""
        layer = keras.layers.UpSampling2D(
            2, data_format=DATA_FORMAT, dtype=self.dtype_policy
        )
        return layer(x)

    def add(self, x, y):
        """Add element by element."""
        return keras.layers.Add(dtype=self.dtype_policy)([x, y])

    def multiply(self, x, y):
        """Multiply element by element."""
        return keras.layers.Multiply(dtype=self.dtype_policy)([x, y])

    def flatten(self, x):
        """Reshape [batch, ...] to [batch, size]."""
        return keras.layers.Flatten(DATA_FORMAT, dtype=self.dtype_policy)(x)

    def reshape(self, x, shape):
        """Reshape [batch, ...] to `[batch, *shape]`."""
        return keras.layers.Reshape(shape, dtype=self.dtype_policy)(x)

    def _initializers(self, fan_in, fan_out):
        if self.kernel_initializer is None:
            kernel = fan_in_uniform(fan_in)
        else:
            kernel = self.kernel_initializer(fan_in, fan_out)
        return {
            "kernel_initializer": kernel,
            "bias_initializer": fan_in_uniform(fan_in),
        }
