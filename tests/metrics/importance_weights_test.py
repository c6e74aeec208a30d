"""Statistics of importance weights, by hand."""

import numpy as np

from nae_tf.metrics.importance_weights import (
    effective_sample_size,
    log_mean_weight,
    standard_error,
)


def test_statistics_of_weights():
    weights = np.array([[1.0, 1.0, 1.0, 1.0], [1.0, 2.0, 3.0, 6.0]])
    huge = np.log(weights) - 2_000.0
    np.testing.assert_allclose(log_mean_weight(huge), np.log([1, 3]) - 2_000)
    np.testing.assert_allclose(effective_sample_size(huge), [4, 144 / 50])
    # Delta method: deviation of the mean over the mean, here with 1 / n.
    errors = weights.std(axis=1) / 2 / weights.mean(axis=1)
    np.testing.assert_allclose(standard_error(huge), errors, atol=1e-6)
