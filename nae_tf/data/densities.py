"""Two-dimensional densities: Figures 3, 5 and 11.

Training draws fresh samples for every batch; evaluation uses fixed ones. The
log-densities are NumPy, for plots and tests.
"""

import functools
import math

import gin
import numpy as np
import tensorflow as tf

from nae_tf.base import randomness
from nae_tf.base.setting_checks import check_number
from nae_tf.data import sources, task

# Differs from the paper: it prints sqrt(2) / 4 as the covariance; in the
# authors' code, and by the peak of their plots, it is the standard deviation.
EIGHT_GAUSSIANS_STD = math.sqrt(2.0) / 4.0

_BLOB_CENTERS = np.array([[-2.0, 0.0], [2.0, 0.0]])
_BLOB_RADIUS = 1.0

# Samples of an evaluation, and of what counts as an epoch in training.
_NUM_SAMPLES = 20_000


def eight_gaussians_centers() -> np.ndarray:
    """Means of the eight Gaussians: a circle of radius 2 sqrt(2), [8, 2]."""
    angles = np.arange(8) * math.pi / 4.0
    circle = np.stack([np.cos(angles), np.sin(angles)], axis=-1)
    return 2.0 * math.sqrt(2.0) * circle


def sample_eight_gaussians(num_samples, seed, std=EIGHT_GAUSSIANS_STD):
    """Draw from the mixture of eight Gaussians of equal weight.

    Args:
        num_samples: number of samples.
        seed: stateless seed, int [2].
        std: standard deviation of every Gaussian.

    Returns:
        float32 [num_samples, 2].
    """
    centers = tf.constant(eight_gaussians_centers(), tf.float32)
    component = randomness.uniform(
        [num_samples], randomness.fold_in(seed, 0), tf.float32, high=8.0
    )
    normals = randomness.normal(
        [num_samples, 2], randomness.fold_in(seed, 1), tf.float32
    )
    return tf.gather(centers, tf.cast(component, tf.int32)) + std * normals


def eight_gaussians_log_density(
    x: np.ndarray, std: float = EIGHT_GAUSSIANS_STD
) -> np.ndarray:
    """Log-density of the mixture of eight Gaussians.

        log p(x) = log(1/8 * sum_k normal(x; center_k, std**2 * I))

    Args:
        x: float [batch, 2].
        std: standard deviation of every Gaussian.

    Returns:
        float [batch], in nats.
    """
    offsets = x[:, None, :] - eight_gaussians_centers()
    exponents = -np.sum(offsets**2, axis=-1) / (2.0 * std**2)
    normalizer = math.log(8.0 * 2.0 * math.pi * std**2)
    return np.logaddexp.reduce(exponents, axis=1) - normalizer


def sample_two_blobs(num_samples, seed):
    """Draw from two equal, disjoint discs, uniformly (Figure 11).

    The paper gives no numbers: the discs have radius 1 and centres (-2, 0)
    and (2, 0).

    Args:
        num_samples: number of samples.
        seed: stateless seed, int [2].

    Returns:
        float32 [num_samples, 2].
    """
    uniforms = randomness.uniform([num_samples, 3], seed, tf.float32)
    which, area, turn = tf.unstack(uniforms, axis=-1)
    radius = _BLOB_RADIUS * tf.sqrt(area)
    angle = 2.0 * math.pi * turn
    offset = radius[:, None] * tf.stack([tf.cos(angle), tf.sin(angle)], axis=-1)
    centers = tf.constant(_BLOB_CENTERS, tf.float32)
    return tf.gather(centers, tf.cast(2.0 * which, tf.int32)) + offset


def sample_box(num_samples, seed, low, high):
    """Draw uniformly from the box low <= x < high, float32 [number, 2]."""
    uniforms = randomness.uniform([num_samples, 2], seed, tf.float32)
    return tf.constant(low) + uniforms * (tf.constant(high) - tf.constant(low))


@gin.register(module="nae_tf")
def eight_gaussians(std: float = EIGHT_GAUSSIANS_STD) -> task.Task:
    """The paper's 2-D experiment (section 6.2): fresh samples for every batch.

    Outliers are uniform in the square [-5, 5]^2 that also bounds the chains;
    some of them lie among the inliers.

    Args:
        std: standard deviation of every Gaussian, > 0.

    Raises:
        ValueError: if it is out of range.

    Example:
        >>> from nae_tf.data import eight_gaussians
        >>> task = eight_gaussians()
        >>> batches = task.train.training_batches(batch_size=128, seed=0)
        >>> next(iter(batches)).shape
        TensorShape([128, 2])
    """
    check_number("eight_gaussians", "std", std, "(0, inf)")
    return _density_task(
        "eight Gaussians",
        functools.partial(sample_eight_gaussians, std=std),
        "uniform",
        functools.partial(sample_box, low=[-5.0, -5.0], high=[5.0, 5.0]),
    )


@gin.register(module="nae_tf")
def two_blobs() -> task.Task:
    """Figure 11: two uniform discs; the outliers lie between them.

    Example:
        >>> from nae_tf.data import two_blobs
        >>> task = two_blobs()
        >>> task.example_shape, list(task.outliers)
        ((2,), ['between'])
    """
    return _density_task(
        "two blobs",
        sample_two_blobs,
        "between",
        functools.partial(sample_box, low=[-0.75, -1.0], high=[0.75, 1.0]),
    )


def _density_task(name, sample_inliers, outlier_name, sample_outliers):
    def samples(title, sample, evaluation_seed):
        return sources.SampledExamples(
            title, _NUM_SAMPLES, (2,), None, sample, evaluation_seed
        )

    return task.Task(
        name=name,
        train=samples(f"{name}, training", sample_inliers, 0),
        validation=samples(f"{name}, validation", sample_inliers, 1),
        test=samples(f"{name}, test", sample_inliers, 2),
        selection={outlier_name: samples(outlier_name, sample_outliers, 3)},
        outliers={outlier_name: samples(outlier_name, sample_outliers, 4)},
    )
