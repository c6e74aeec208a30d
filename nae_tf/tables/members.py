"""Small autoencoders side by side: their weights and their energies.

K members of equal sizes are one computation. Every weight has a first axis of
members, so that one matrix product serves all of them, and one traced graph
serves tables of every width. Next: `negatives`, and `training`.
"""

import itertools

import numpy as np
import tensorflow as tf

# Kernel and bias of two layers.
_NETWORK = 4


def initial_weights(
    num_members: int, sizes: tuple[int, int, int], seed: int
) -> list[np.ndarray]:
    """Draw the weights of encoders and decoders, uniform by fan-in.

    Args:
        num_members: number of autoencoders, > 0.
        sizes: numbers of features, of hidden units and of latents.
        seed: int >= 0.

    Returns:
        float32 arrays, kernel [members, inputs, outputs] and bias
        [members, 1, outputs] of each layer: features to hidden to latents, and
        back.

    Example:
        >>> from nae_tf.tables.members import initial_weights
        >>> weights = initial_weights(4, (30, 64, 8), seed=0)
        >>> [weight.shape for weight in weights[:4]]
        [(4, 30, 64), (4, 1, 64), (4, 64, 8), (4, 1, 8)]
    """
    generator = np.random.default_rng(seed)
    weights = []
    for path in (sizes, sizes[::-1]):
        for inputs, outputs in itertools.pairwise(path):
            limit = inputs**-0.5
            for rows in (inputs, 1):
                shape = (num_members, rows, outputs)
                draw = generator.uniform(-limit, limit, shape)
                weights.append(draw.astype(np.float32))
    return weights


def encode(x, weights):
    """Map examples to the unit sphere of latents.

    Args:
        x: float [members, batch, features].
        weights: as `initial_weights` returns them, in the type of `x`.

    Returns:
        float [members, batch, latents], unit vectors.
    """
    return tf.math.l2_normalize(_perceptron(x, weights[:_NETWORK]), -1)


def decode(z, weights):
    """Map latents [members, batch, latents] to examples."""
    return _perceptron(z, weights[_NETWORK:])


def residuals(x, weights):
    """Differences x - decode(encode(x)), shape of `x`."""
    return x - decode(encode(x, weights), weights)


def energies(x, weights):
    """Energy of every example under every member (Eq. 9).

    Args:
        x: float [members, batch, features].
        weights: as `initial_weights` returns them, in the type of `x`.

    Returns:
        float [members, batch], mean squared errors.
    """
    return tf.reduce_mean(tf.square(residuals(x, weights)), -1)


def _perceptron(x, weights):
    kernel, bias, last_kernel, last_bias = weights
    hidden = tf.nn.relu(tf.matmul(x, kernel) + bias)
    return tf.matmul(hidden, last_kernel) + last_bias
