"""Scores that are equal but for the rounding of single precision."""

from collections.abc import Callable

import numpy as np

# Relative. In single precision, scores of a trained autoencoder of standardised
# features differ by 2e-5 between batches of 1 and of 256, those of images by
# 1e-6.
TIE_TOLERANCE = 1e-4


def lowest_equal(scores, minimum: Callable = np.minimum):
    """Return the lowest values that count as equal to scores.

    Args:
        scores: float array, or a tensor; may be infinite.
        minimum: function of the smaller of two arrays, or of two tensors.

    Example:
        >>> import numpy as np
        >>> from nae_tf.base.ties import lowest_equal
        >>> lowest_equal(np.array([2.0, -2.0]))
        array([ 1.9998, -2.0002])
    """
    return minimum(scores * (1 - TIE_TOLERANCE), scores * (1 + TIE_TOLERANCE))
