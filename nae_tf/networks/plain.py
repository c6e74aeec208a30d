"""Networks of Keras's own layers, for tools that know no others.

Compilers for FPGAs and converters to other frameworks go through a network
layer by layer. The layers of `fast_layers` and `layers` are written here as
layers of Keras that have the same weights and give the same values.
"""

import itertools

import keras
import numpy as np

from nae_tf.networks.fast_layers import (
    OneChannelConv2D,
    UpsampledConv2DTranspose,
    bilinear_matrix,
)
from nae_tf.networks.layers import SpectralNormConv2D
from nae_tf.networks.network import DATA_FORMAT

# Layers of Keras, one after another, that stand for one layer; each with its
# weights.
Twin = list[tuple[keras.layers.Layer, list[np.ndarray]]]


def to_plain_network(network: keras.Model) -> keras.Model:
    """Return the same network of layers of Keras alone.

    Weights are copied, and values agree to rounding. Bilinear upsampling with
    aligned corners, which Keras lacks, becomes two `EinsumDense` with constant
    matrices. The network is for inference: a kernel of spectral normalisation
    is divided by its norm once.

    Args:
        network: a functional or sequential model; inner models are taken
            apart, and layers of classes that this package does not know stay.

    Returns:
        A functional model with the inputs and outputs of `network`.

    Raises:
        ValueError: if `network` is not a functional or sequential model.

    Example:
        >>> import numpy as np
        >>> from nae_tf.networks import Conv28Encoder, to_plain_network
        >>> encoder = Conv28Encoder(latent_dim=2, width=4, hidden_units=8)
        >>> plain = to_plain_network(encoder)
        >>> {type(layer).__module__.split(".")[0] for layer in plain.layers}
        {'keras'}
        >>> x = np.random.default_rng(0).uniform(size=(5, 28, 28, 1))
        >>> bool(np.allclose(plain(x), encoder(x), atol=1e-6))
        True
    """
    if not _has_graph(network):
        raise ValueError(
            "to_plain_network: expected a functional or sequential Keras "
            f"model of known input shape, received {type(network).__name__}; "
            "make it one by keras.Model(inputs, outputs)."
        )
    twins: dict[int, Twin] = {}

    def call(layer, *arguments, **keywords):
        if id(layer) not in twins:
            twins[id(layer)] = _twin(layer)
        outputs, *_ = arguments
        for twin, _ in twins[id(layer)]:
            outputs = twin(outputs, *arguments[1:], **keywords)
        return outputs

    if isinstance(network, keras.Sequential):
        outputs = inputs = _input_like(network)
        for layer in network.layers:
            outputs = call(layer, outputs)
        plain = keras.Model(inputs, outputs, name=network.name)
    else:
        plain = keras.models.clone_model(
            network, clone_function=lambda layer: layer, call_function=call
        )
    for twin, weights in itertools.chain.from_iterable(twins.values()):
        twin.set_weights(weights)
    return plain


def to_plain_networks(model) -> tuple[keras.Model, keras.Model]:
    """Return a model's encoder and decoder of layers of Keras alone.

    They are the networks themselves: of a model that standardises they take
    and give standardised features, and the encoder's codes are not yet in the
    latent space, as projected onto the sphere. A model of the same class that
    is made of them has the same scores.

    Args:
        model: an autoencoder with an `encoder` and a `decoder`.

    Returns:
        The two networks, as `to_plain_network` makes them.

    Raises:
        ValueError: if the model has no such networks.

    Example:
        >>> from nae_tf import NAE
        >>> from nae_tf.networks import (
        ...     Conv28Decoder,
        ...     Conv28Encoder,
        ...     to_plain_networks,
        ... )
        >>> nae = NAE(Conv28Encoder(2, 4, 8), Conv28Decoder(2, 4))
        >>> encoder, decoder = to_plain_networks(nae)
        >>> decoder.output_shape
        (None, 28, 28, 1)
    """
    parts = [getattr(model, name, None) for name in ("encoder", "decoder")]
    if None in parts:
        raise ValueError(
            "to_plain_networks: expected a model with an encoder and a "
            f"decoder, received {type(model).__name__}; to_plain_network takes "
            "a single network."
        )
    encoder, decoder = map(to_plain_network, parts)
    return encoder, decoder


def _has_graph(network):
    """Return whether the layers of a network and their order are known."""
    if isinstance(network, keras.Sequential):
        return network.built
    return isinstance(network, keras.Model) and hasattr(network, "operations")


def _input_like(network):
    """Return an input of the shape and dtype of a network's only one."""
    (given,) = network.inputs
    return keras.Input(batch_shape=given.shape, dtype=given.dtype)


def _twin(layer) -> Twin:
    """Return the layers of Keras that stand for a layer."""
    if isinstance(layer, keras.Model) and _has_graph(layer):
        inner = to_plain_network(layer)
        return [(inner, inner.get_weights())]
    if isinstance(layer, UpsampledConv2DTranspose):
        return _of_upsampling(layer)
    if isinstance(layer, keras.layers.Conv2DTranspose) and _is_plain(layer):
        return _of_transpose(layer)
    if isinstance(layer, SpectralNormConv2D):
        kernel = layer.normalized(keras.ops.convert_to_tensor(layer.kernel))
        return _convolution(layer, [], np.asarray(kernel))
    if isinstance(layer, OneChannelConv2D):
        return _convolution(layer, [], np.asarray(layer.kernel))
    same = type(layer).from_config(layer.get_config())
    return [(same, layer.get_weights())]


def _is_plain(transpose):
    """Return whether a transposed convolution has no stride and no padding."""
    steps = (*transpose.strides, *transpose.dilation_rate)
    return (
        steps == (1, 1, 1, 1)
        and transpose.padding == "valid"
        and transpose.data_format == DATA_FORMAT
    )


def _of_transpose(layer):
    """A border of zeros, and a convolution by the kernel turned by 180°."""
    height, width = layer.kernel_size
    border = keras.layers.ZeroPadding2D(
        (height - 1, width - 1),
        data_format=DATA_FORMAT,
        name=f"{layer.name}_border",
        dtype=layer.dtype_policy,
    )
    # [row tap, column tap, output channel, input channel]
    kernel = np.asarray(layer.kernel)[::-1, ::-1].swapaxes(2, 3)
    return _convolution(layer, [(border, [])], kernel)


def _of_upsampling(layer):
    """Products that upsample rows and columns, and the same convolution."""
    height, width = layer.map_shape
    channels = layer.kernel.shape[0]
    rows = _border_and_upsampling(layer, height)
    columns = _border_and_upsampling(layer, width)

    def product(equation, shape, axis):
        return keras.layers.EinsumDense(
            equation,
            (*shape, channels),
            name=f"{layer.name}_{axis}",
            dtype=layer.dtype_policy,
        )

    before = [
        (product("bhwc,hp->bpwc", (rows.shape[1], width), "rows"), [rows]),
        (
            product(
                "bpwc,wq->bpqc", (rows.shape[1], columns.shape[1]), "columns"
            ),
            [columns],
        ),
    ]
    # From [channel, column tap, row tap, filter].
    kernel = np.asarray(layer.kernel).transpose(2, 1, 0, 3)[::-1, ::-1]
    return _convolution(layer, before, kernel)


def _border_and_upsampling(layer, size):
    """Matrix [size, points] of upsampled points between those of a border."""
    border = layer.kernel_size - 1
    matrix = bilinear_matrix(size, layer.scale)
    return np.pad(matrix, ((border, border), (0, 0))).T


def _convolution(layer, before, kernel):
    """Layers with their weights, then a convolution like a layer's.

    Args:
        layer: the layer whose name, bias and activation it has.
        before: layers that come first, each with its weights.
        kernel: float [row taps, column taps, channels, filters].
    """
    bias = getattr(layer, "bias", None)
    is_strided = isinstance(layer, SpectralNormConv2D)
    convolution = keras.layers.Conv2D(
        kernel.shape[-1],
        kernel.shape[:2],
        strides=layer.strides if is_strided else 1,
        padding=layer.padding if is_strided else "valid",
        data_format=DATA_FORMAT,
        activation=layer.activation,
        use_bias=bias is not None,
        name=layer.name,
        dtype=layer.dtype_policy,
    )
    weights = [kernel] if bias is None else [kernel, np.asarray(bias)]
    return [*before, (convolution, weights)]
