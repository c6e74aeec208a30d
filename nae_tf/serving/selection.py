"""Benjamini-Hochberg on counts of p-values, where rows are too many to sort."""

from collections.abc import Mapping

import numpy as np

from nae_tf.base.setting_checks import check_number

# Relative. P-values of exports are floats of single precision.
_ROUNDING = 1e-6


def selection_limit(
    counts: Mapping[float, int], false_discovery_rate: float
) -> float:
    """Return the highest p-value that Benjamini & Hochberg select.

        max {p_(j): p_(j) <= q * j / m}

    Conformal p-values have no more than n + 1 values for n calibration scores,
    so that counts of them are few, however many the rows.

    Args:
        counts: number of rows by p-value in [0, 1].
        false_discovery_rate: share q of inliers among the selected, in [0, 1].

    Returns:
        The limit, or -1 if nothing is selected.

    Raises:
        ValueError: if the rate is outside [0, 1].

    Example:
        >>> from nae_tf.serving.selection import selection_limit
        >>> selection_limit({0.001: 1, 0.02: 1, 0.03: 1, 0.8: 1}, 0.1)
        0.03
    """
    check_number(
        "selection_limit",
        "false_discovery_rate",
        false_discovery_rate,
        "[0, 1]",
    )
    if not counts:
        return -1.0
    values = np.array(sorted(counts))
    ranks = np.cumsum([counts[value] for value in values])
    limits = false_discovery_rate * ranks / ranks[-1]
    selected = values[values <= limits * (1 + _ROUNDING)]
    return float(selected[-1]) if len(selected) else -1.0
