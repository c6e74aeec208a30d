"""Reconstruction error read as an energy (paper sections 2.1, 2.2 and 3.1).

    E(x) = dist(x, decode(encode(x)))                                (Eq. 3, 9)
    p(x) = exp(-E(x) / T) / Omega                                   (Eq. 4, 10)

Read `latent_space` and `langevin` next: they sample from this density.
"""

from collections.abc import Callable

import tensorflow as tf

from nae_tf.base.batches import scalar_like

# The largest filter that the structural similarity of Wang et al. (2004) uses.
_SSIM_FILTER_SIZE = 11


def squared_error(x, reconstruction):
    """Squared difference of every element, the paper's default distance."""
    return tf.math.squared_difference(x, reconstruction)


def absolute_error(x, reconstruction):
    """Absolute difference of every element (L1; paper section 2.1)."""
    return tf.abs(x - reconstruction)


def structural_dissimilarity(x, reconstruction):
    """Structural dissimilarity of two images, (1 - SSIM) / 2.

    The window of Wang et al. (2004) is 11 pixels wide; images that are smaller
    get the largest odd window that fits.

    Args:
        x: float [batch, height, width, channels], values in [0, 1].
        reconstruction: float, shape of `x`.

    Returns:
        float [batch], in [0, 1]; 0 for equal images.

    Raises:
        ValueError: if `x` is not a batch of images of known size.
    """
    if x.shape.rank != 4 or None in x.shape[1:3]:
        raise ValueError(
            "distance 'ssim' compares images: expected a tensor of shape "
            f"[batch, height, width, channels], received {x.shape}; use "
            "distance='squared_error' for other data."
        )
    smallest_side = min(x.shape[1], x.shape[2])
    largest_odd = smallest_side - 1 + smallest_side % 2
    # TensorFlow computes it in single precision for every type.
    similarity = tf.image.ssim(
        x,
        reconstruction,
        max_val=1.0,
        filter_size=min(_SSIM_FILTER_SIZE, largest_odd),
    )
    return (1.0 - tf.cast(similarity, x.dtype)) / 2.0


DISTANCES: dict[str, Callable] = {
    "squared_error": squared_error,
    "absolute_error": absolute_error,
    "ssim": structural_dissimilarity,
}


def reconstruction_error(
    x, reconstruction, distance: str = "squared_error", reduction: str = "mean"
):
    """Distance between examples and their reconstructions (Eq. 3).

    The networks may compute in a narrower type than `x`: the difference is
    always taken in the type of `x`.

    Args:
        x: float [batch, ...].
        reconstruction: float, shape of `x`.
        distance: "squared_error", "absolute_error" or "ssim".
        reduction: "mean" divides by the number of elements of one example, as
            the paper does in its experiments (section D.3); "sum" is the
            distance as Eq. 3 writes it. "ssim" is a mean either way.

    Returns:
        float [batch], never negative.
    """
    error = DISTANCES[distance](x, tf.cast(reconstruction, x.dtype))
    axes = list(range(1, error.shape.rank))
    if reduction == "sum":
        return tf.reduce_sum(error, axes)
    return tf.reduce_mean(error, axes)


def energy_and_gradient(energy_fn: Callable, x):
    """Energy of every example and its gradient with respect to the example.

    The examples of a batch do not interact, so the gradient of the summed
    energies holds each example's own gradient. No parameter gradient is taken.

    Args:
        energy_fn: function from float [batch, ...] to energies, float [batch].
        x: float [batch, ...].

    Returns:
        energy: float [batch].
        gradient: float, shape of `x`.
    """
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(x)
        energy = energy_fn(x)
    return energy, tape.gradient(energy, x)


def unnormalized_log_density(energy, temperature):
    """Log p(x) up to the constant log Omega, -E(x) / T (Eq. 10).

    Args:
        energy: float [batch].
        temperature: float > 0.

    Returns:
        float [batch].
    """
    return -energy / scalar_like(temperature, energy)


def error_map(x, reconstruction):
    """Squared error of every pixel: where an example is not reconstructed.

    Args:
        x: float [batch, ...].
        reconstruction: float, shape of `x`.

    Returns:
        float [batch, height, width] for images, the mean over channels. The
        shape of `x` for other examples.
    """
    squares = tf.math.squared_difference(x, reconstruction)
    if x.shape.rank == 4:
        return tf.reduce_mean(squares, axis=-1)
    return squares
