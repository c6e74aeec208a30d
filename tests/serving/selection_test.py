"""Benjamini-Hochberg on counts, against SciPy on all p-values."""

import collections

import numpy as np
import pytest
import scipy.stats

from nae_tf.serving.selection import selection_limit


@pytest.mark.parametrize("rate", [0.0, 0.03, 0.1, 0.5, 1.0])
@pytest.mark.parametrize("seed", range(5))
def test_the_limit_selects_what_scipy_selects(seed, rate):
    rng = np.random.default_rng(seed)
    n = 49  # Of the calibration, so that ties are many.
    inliers = rng.integers(1, n + 2, 300)
    outliers = rng.integers(1, 4, 40)
    p_values = np.concatenate([inliers, outliers]) / (n + 1)
    limit = selection_limit(collections.Counter(p_values.tolist()), rate)
    adjusted = scipy.stats.false_discovery_control(p_values)
    # A p-value may lie on the limit, where rounding decides.
    expected = adjusted <= rate * (1 + 1e-9)
    np.testing.assert_array_equal(p_values <= limit, expected)


def test_the_rounding_of_single_precision_decides_nothing():
    # 1 / 300 is rounded up, and would exceed 0.1 * 1 / 30.
    p_value = float(str(np.float32(1 / 300)))
    assert p_value > 1 / 300
    counts = {p_value: 1, 1.0: 29}
    assert selection_limit(counts, 0.1) == p_value
    assert selection_limit(counts, 0.0999) == -1.0


def test_nothing_is_selected_among_no_rows():
    assert selection_limit({}, 0.1) == -1.0


@pytest.mark.parametrize("rate", [-0.1, 1.1, np.nan])
def test_a_rate_outside_its_interval_is_refused(rate):
    with pytest.raises(ValueError, match="false_discovery_rate"):
        selection_limit({0.5: 1}, rate)
