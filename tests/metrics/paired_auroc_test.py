"""The error of a difference of AUROCs against pairs and resamples."""

import numpy as np
import pytest

from nae_tf.metrics import auroc, auroc_difference_error


def scores(num_inliers, num_outliers, seed=0):
    """Scores of two models, which agree in part, with ties."""
    rng = np.random.default_rng(seed)
    inliers = rng.normal(0.0, 1.0, num_inliers)
    outliers = rng.normal(1.0, 1.0, num_outliers)
    return [
        tuple(
            np.round(x + rng.normal(0, 0.5, len(x)), 1)
            for x in (inliers, outliers)
        )
        for _ in range(2)
    ]


def test_the_error_is_that_of_all_pairs():
    before, after = scores(30, 40)

    def wins(inliers, outliers):
        more = outliers[None] - inliers[:, None]
        return (more > 0) + 0.5 * (more == 0)

    difference = wins(*after) - wins(*before)
    expected = np.sqrt(
        difference.mean(1).var(ddof=1) / 30
        + difference.mean(0).var(ddof=1) / 40
    )
    found = auroc_difference_error(before, after)
    assert found == pytest.approx(expected)


def test_the_error_is_the_spread_over_data_sets():
    found = np.array(
        [
            (
                auroc(*after) - auroc(*before),
                auroc_difference_error(before, after),
            )
            for before, after in (scores(40, 60, seed) for seed in range(400))
        ]
    )
    assert found[:, 1].mean() == pytest.approx(found[:, 0].std(), rel=0.1)
