"""Numbers that the authors' PyTorch code computed, in this package's layout."""

import os
import pathlib
from typing import NamedTuple

import keras
import numpy as np
import pytest

from nae_tf.networks.fast_layers import UpsampledConv2DTranspose


class Golden(NamedTuple):
    """What the authors' code computed for one small random autoencoder.

    `values` maps names to float64 arrays, images with the channels last.
    The weights are PyTorch's, in layer order: see `set_torch_weights`.
    """

    values: dict[str, np.ndarray]
    encoder_weights: list[np.ndarray]
    decoder_weights: list[np.ndarray]


def load_golden(name: str) -> Golden:
    """Read `$NAE_TF_GOLDEN_DIR/<name>.npz`; skip the test if there is none.

    Args:
        name: "conv28_small" or "conv64_small".
    """
    folder = os.environ.get("NAE_TF_GOLDEN_DIR")
    if not folder:
        pytest.skip("NAE_TF_GOLDEN_DIR is not set: no numbers to compare with")
    with np.load(pathlib.Path(folder) / f"{name}.npz") as arrays:
        image_shape = arrays["x"].shape[1:]
        values, encoder_weights, decoder_weights = {}, [], []
        for key in arrays.files:
            value = arrays[key]
            if key.startswith("encoder/"):
                encoder_weights.append(value)
            elif key.startswith("decoder/"):
                decoder_weights.append(value)
            elif value.shape[-3:] == image_shape:
                values[key] = np.moveaxis(value, -3, -1)
            else:
                values[key] = value
    return Golden(values, encoder_weights, decoder_weights)


def set_torch_weights(
    model: keras.Model, torch_weights: list[np.ndarray]
) -> None:
    """Set a network's weights from those of its PyTorch twin.

    Args:
        model: a network of `nae_tf.networks` whose layers form a chain.
        torch_weights: PyTorch's parameters in layer order, each layer's
            weight before its bias.
    """
    shapes = [weight.shape for weight in torch_weights]
    if len(shapes) != len(model.weights):
        raise ValueError(
            f"{model.name}: expected {len(model.weights)} weights, received "
            f"{len(shapes)} of shapes {shapes}; give those of its twin."
        )
    remaining = iter(torch_weights)
    for layer in model.layers:
        layer.set_weights(
            [
                _from_torch(layer, next(remaining), weight.shape)
                for weight in layer.weights
            ]
        )


def _from_torch(layer, weight, shape):
    """One PyTorch weight in the layout that the Keras layer keeps it in."""
    if isinstance(layer, keras.layers.EinsumDense) and weight.ndim == 4:
        # A transposed convolution of a single position.
        weight = np.transpose(weight, (0, 2, 3, 1))
    elif isinstance(layer, UpsampledConv2DTranspose) and weight.ndim == 4:
        weight = np.transpose(weight, (0, 3, 2, 1))
    elif weight.ndim == 4:
        weight = np.transpose(weight, (2, 3, 1, 0))
    elif weight.ndim == 2:
        weight = np.transpose(weight)
    # A convolution to a single position is kept as a matrix.
    return np.reshape(weight, shape)
