"""How close samples are to data: distances between two sets of vectors.

The vectors are features of images, as `evaluation.features` computes them, or
the examples themselves in low dimension. All are NumPy, in double precision.
"""

import functools
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from sklearn.metrics.pairwise import polynomial_kernel, rbf_kernel

from nae_tf.base.number_arrays import as_numbers
from nae_tf.base.setting_checks import check_integer


class BlockMean(NamedTuple):
    """A mean over blocks of samples.

    Attributes:
        value: mean over the blocks.
        standard_error: standard error of the mean; None for a single block.
    """

    value: float
    standard_error: float | None


# Rows of a kernel matrix at a time: 400 MB with 50,000 columns.
_KERNEL_ROWS = 1_000


def frechet_distance(x: np.ndarray, y: np.ndarray) -> float:
    """Frechet distance between normal distributions fitted to two samples.

        |mean_x - mean_y|^2 + trace(cov_x + cov_y - 2 (cov_x cov_y)^(1/2))

    For Inception features this is FID (Heusel et al. 2017). For other features
    it is not comparable with published values. It is biased upwards for few
    samples: take several times as many as there are features.

    Args:
        x: float [num_x, num_features], at least two rows.
        y: float [num_y, num_features], at least two rows.

    Returns:
        float >= 0.

    Raises:
        ValueError: if the shapes do not fit, or values are not finite.

    Example:
        >>> import numpy as np
        >>> from nae_tf.metrics import frechet_distance
        >>> x = np.random.default_rng(0).normal(size=(1_000, 2))
        >>> round(frechet_distance(x, x + [3.0, 0.0]), 6)
        9.0
    """
    x, y = _checked_pair(x, y)
    offset = x.mean(axis=0) - y.mean(axis=0)
    covariance_x, covariance_y = _covariance(x), _covariance(y)
    # cov_x cov_y has the eigenvalues of a symmetric matrix, whose roots are
    # real however nearly singular it is.
    root = _symmetric_root(covariance_x)
    eigenvalues = np.linalg.eigvalsh(root @ covariance_y @ root)
    cross = np.sqrt(np.maximum(eigenvalues, 0.0)).sum()
    distance = offset @ offset + np.trace(covariance_x + covariance_y)
    return float(max(distance - 2.0 * cross, 0.0))


def squared_mmd(x: np.ndarray, y: np.ndarray, kernel: Callable) -> float:
    """Squared maximum mean discrepancy (MMD), the unbiased estimate.

        mean_{i != j} k(x_i, x_j) + mean_{i != j} k(y_i, y_j)
        - 2 mean_{i, j} k(x_i, y_j)

    It is zero in expectation for samples of one distribution, so it may be
    negative (Gretton et al. 2012, Eq. 3).

    Args:
        x: float [num_x, num_features], at least two rows.
        y: float [num_y, num_features], at least two rows.
        kernel: function of two such arrays that returns float [num_x, num_y].

    Returns:
        float.

    Raises:
        ValueError: if the shapes do not fit, or values are not finite.

    Example:
        >>> import numpy as np
        >>> from sklearn.metrics.pairwise import rbf_kernel
        >>> from nae_tf.metrics import squared_mmd
        >>> x, y = np.random.default_rng(0).normal(size=(2, 500, 2))
        >>> print(f"{squared_mmd(x, y, rbf_kernel):.1f}")
        0.0
        >>> print(f"{squared_mmd(x, y + 1.0, rbf_kernel):.1f}")
        0.2
    """
    x, y = _checked_pair(x, y)
    within = 0.0
    for sample in (x, y):
        count = len(sample)
        total, diagonal = _kernel_sums(kernel, sample, sample)
        within += (total - diagonal) / (count * (count - 1))
    total, _ = _kernel_sums(kernel, x, y)
    return float(within - 2.0 * total / (len(x) * len(y)))


def _kernel_sums(kernel, x, y):
    """Sum a kernel matrix and its diagonal, some rows at a time."""
    total, diagonal = 0.0, 0.0
    for start in range(0, len(x), _KERNEL_ROWS):
        values = kernel(x[start : start + _KERNEL_ROWS], y)
        total += values.sum()
        diagonal += np.trace(values, offset=start)
    return total, diagonal


def kernel_distance(
    x: np.ndarray, y: np.ndarray, block_size: int = 1_000
) -> BlockMean:
    """Kernel distance KID of two samples of features, without bias.

    `squared_mmd` with the kernel (x . y / num_features + 1)^3, averaged over
    disjoint blocks (Binkowski et al. 2018). Published values are those of
    Inception features.

    Args:
        x: float [num_x, num_features], at least two rows.
        y: float [num_y, num_features], at least two rows.
        block_size: largest number of rows of the smaller sample per block,
            > 1; the blocks are equally large.

    Returns:
        Mean over the blocks, `value`, and its `standard_error`, which is None
        for a single block.

    Raises:
        ValueError: if the shapes do not fit, values are not finite, or the
            block size is out of range.

    Example:
        >>> import numpy as np
        >>> from nae_tf.metrics import kernel_distance
        >>> x, y = np.random.default_rng(0).normal(size=(2, 400, 8))
        >>> same = kernel_distance(x, y, block_size=100)
        >>> shifted = kernel_distance(x, y + 1.0, block_size=100)
        >>> print(f"{same.value:.1f}, {shifted.value:.1f}")
        0.0, 9.0
    """
    x, y = _checked_pair(x, y)
    check_integer("kernel_distance", "block_size", block_size, 2)
    num_blocks = max(-(-min(len(x), len(y)) // block_size), 1)
    # Each block needs two rows of either sample.
    num_blocks = min(num_blocks, min(len(x), len(y)) // 2)
    kernel = functools.partial(polynomial_kernel, degree=3, coef0=1)
    values = [
        squared_mmd(x[block::num_blocks], y[block::num_blocks], kernel)
        for block in range(num_blocks)
    ]
    error = None
    if num_blocks > 1:
        error = float(np.std(values, ddof=1) / np.sqrt(num_blocks))
    return BlockMean(float(np.mean(values)), error)


def gaussian_kernel(bandwidth: float) -> Callable:
    """Return the kernel `exp(-|x - y|^2 / (2 bandwidth^2))`.

    Args:
        bandwidth: distance at which the kernel falls to exp(-1/2), > 0.

    Returns:
        A kernel for `squared_mmd`.
    """
    return functools.partial(rbf_kernel, gamma=1.0 / (2.0 * bandwidth**2))


def _covariance(x):
    return np.atleast_2d(np.cov(x, rowvar=False))


def _symmetric_root(matrix):
    values, vectors = np.linalg.eigh(matrix)
    return (vectors * np.sqrt(np.maximum(values, 0.0))) @ vectors.T


def _checked_pair(x, y):
    x, y = (as_numbers("metrics", "features", each) for each in (x, y))
    if x.ndim != 2 or y.ndim != 2 or x.shape[1] != y.shape[1]:
        raise ValueError(
            "expected two samples of shape [number, num_features], received "
            f"{x.shape} and {y.shape}."
        )
    if min(len(x), len(y)) < 2:
        raise ValueError(
            "expected at least two examples in each sample, received "
            f"{len(x)} and {len(y)}."
        )
    for sample in (x, y):
        if not np.isfinite(sample).all():
            raise ValueError("a sample's features hold NaN or infinity.")
    return x, y
