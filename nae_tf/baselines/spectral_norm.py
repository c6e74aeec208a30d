"""Spectral normalisation of the kernels of a network (Miyato et al., 2018).

    kernel / |W u|,   u <- W^T W u / |W^T W u|

W is the kernel as a matrix, and the unit vector u the direction that it
stretches most. `keras.layers.SpectralNormalization` overwrites kernels at every
training call, and `nae_tf.networks` has a convolution of its own for the
networks of Table 10; these functions leave the layers of a network as they are.

References:
    Miyato et al., Spectral Normalization for Generative Adversarial Networks,
        2018. https://arxiv.org/abs/1802.05957
"""

import contextlib
from collections.abc import Sequence

import keras
import numpy as np
import tensorflow as tf

from nae_tf.base.private import all_layers


def as_matrix(kernel):
    """Return a kernel [..., inputs, outputs] as a matrix, [-1, outputs]."""
    return tf.reshape(kernel, [-1, kernel.shape[-1]])


def first_right_singular_vector(kernel) -> np.ndarray:
    """Return the direction that a kernel stretches most: max |W u|, |u| = 1.

    Args:
        kernel: float array [..., inputs, outputs].

    Returns:
        float array [outputs].
    """
    return np.linalg.svd(as_matrix(kernel), full_matrices=False)[2][0]


def power_iteration(kernel, direction):
    """Turn a vector towards the direction that a kernel stretches most.

    Args:
        kernel: float [..., inputs, outputs].
        direction: float [outputs], u.

    Returns:
        float [outputs], of length 1.
    """
    matrix = as_matrix(kernel)
    stretched = tf.linalg.matvec(matrix, direction)
    turned = tf.linalg.matvec(matrix, stretched, transpose_a=True)
    return turned / tf.norm(turned)


def divide_by_spectral_norm(kernel, direction):
    """Divide a kernel by its largest singular value, |W u|.

    Args:
        kernel: float [..., inputs, outputs].
        direction: float [outputs], u, of length 1.

    Returns:
        float, shape of `kernel`. Gradients flow through the norm (Eq. 11).
    """
    return kernel / tf.norm(tf.linalg.matvec(as_matrix(kernel), direction))


def layers_with_kernel(network: keras.Model) -> list[keras.layers.Layer]:
    """Return the dense layers and convolutions of a network, in order."""
    return [
        layer
        for layer in all_layers(network)
        if hasattr(layer, "kernel") and len(layer.kernel.shape) > 1
    ]


@contextlib.contextmanager
def normalized_kernels(layers: Sequence, directions: Sequence):
    """Let layers have normalised kernels within the context.

    The norms are computed once. State that a layer changes within the context,
    as batch normalisation does, is lost.

    Args:
        layers: layers with a kernel.
        directions: variables [outputs], u of every layer.
    """
    with keras.StatelessScope() as scope:
        for layer, direction in zip(layers, directions, strict=True):
            kernel = tf.convert_to_tensor(layer.kernel)
            direction = tf.cast(tf.convert_to_tensor(direction), kernel.dtype)
            kernel = divide_by_spectral_norm(kernel, direction)
            scope.add_update((layer.kernel, kernel))
        yield
