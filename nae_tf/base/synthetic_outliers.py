"""Outliers made of inliers, for those who have no outliers to choose by.

Every set keeps something of the inliers and breaks something else. What it
keeps does not tell its examples from inliers; a model has to know what it
broke.
"""

import numpy as np


def synthetic_outliers(
    inliers: np.ndarray, seed: int = 0
) -> dict[str, np.ndarray]:
    """Make sets of outliers of a sample of inliers.

    Images have "chimeras", the upper half of one image over the lower half of
    another; "upside-down" images; and "shuffled", the pixels of an image in
    another order. All other examples have "half-swapped", a random half of the
    features from another example; "permuted", every feature from an example of
    its own, so that only the distribution of each feature is left; and "noise",
    every feature uniform between its smallest and its largest value.

    Args:
        inliers: float [num_examples, ...]; images are [num_examples, height,
            width, channels]. At least two.
        seed: seed of what is drawn, int >= 0; the same seed makes the same
            outliers.

    Returns:
        Arrays of the shape and type of `inliers`, by the name of the set.

    Raises:
        ValueError: if there are fewer than two inliers.

    Example:
        >>> import numpy as np
        >>> from nae_tf.base.synthetic_outliers import synthetic_outliers
        >>> rows = np.array([[1.0, 10.0], [2.0, 20.0]])
        >>> synthetic_outliers(rows)["half-swapped"].tolist()
        [[2.0, 10.0], [1.0, 20.0]]
    """
    if len(inliers) < 2:
        raise ValueError(
            "synthetic_outliers: expected at least two inliers to make "
            f"outliers of, received {len(inliers)}."
        )
    rng = np.random.default_rng(seed)
    if inliers.ndim == 4:
        return {
            "chimeras": _chimeras(rng, inliers),
            "upside-down": inliers[:, ::-1].copy(),
            "shuffled": _shuffled(rng, inliers),
        }
    flat = inliers.reshape([len(inliers), -1])
    broken = {
        "half-swapped": _half_swapped(rng, flat),
        "permuted": rng.permuted(flat, axis=0),
        "noise": _noise(rng, flat),
    }
    return {
        name: rows.reshape(inliers.shape).astype(inliers.dtype)
        for name, rows in broken.items()
    }


def _partners(rng, count):
    """Draw an example other than itself for each of `count` examples."""
    return (np.arange(count) + rng.integers(1, count, size=count)) % count


def _chimeras(rng, images):
    middle = images.shape[1] // 2
    chimeras = images.copy()
    chimeras[:, middle:] = images[_partners(rng, len(images)), middle:]
    return chimeras


def _shuffled(rng, images):
    pixels = images.reshape([len(images), -1, images.shape[-1]])
    order = rng.permuted(
        np.tile(np.arange(pixels.shape[1]), (len(pixels), 1)), axis=1
    )
    return np.take_along_axis(pixels, order[..., None], 1).reshape(images.shape)


def _half_swapped(rng, rows):
    num_features = rows.shape[1]
    order = np.tile(np.arange(num_features), (len(rows), 1))
    rank = rng.permuted(order, axis=1)
    swapped = rank < max(num_features // 2, 1)
    return np.where(swapped, rows[_partners(rng, len(rows))], rows)


def _noise(rng, rows):
    return rng.uniform(rows.min(axis=0), rows.max(axis=0), rows.shape)
