"""How far two AUROCs of the same examples differ by chance."""

import numpy as np
import scipy.stats


def auroc_difference_error(before, after) -> float:
    """Standard error of the difference of two AUROCs of the same examples.

    DeLong, DeLong & Clarke-Pearson (1988). With the placement of an inlier, the
    share of outliers that score higher, and that of an outlier, the share of
    inliers that score lower, and d their differences between both models,

        error**2 = var(d of inliers) / num_inliers
                   + var(d of outliers) / num_outliers

    Args:
        before: scores of one model, float [num_inliers] and [num_outliers], at
            least two of each; higher is more outlying.
        after: scores of the other model for the same examples.

    Returns:
        float >= 0.

    Example:
        >>> from nae_tf.metrics import auroc_difference_error
        >>> scores = [0.1, 0.2, 0.3], [0.25, 0.9]
        >>> auroc_difference_error(scores, scores)
        0.0
    """
    variance = 0.0
    for one, other in zip(
        _placements(*before), _placements(*after), strict=True
    ):
        difference = other - one
        variance += np.var(difference, ddof=1) / len(difference)
    return float(np.sqrt(variance))


def _placements(inlier_scores, outlier_scores):
    """Return shares of higher outliers and of lower inliers, ties half."""
    inliers, outliers = map(np.asarray, (inlier_scores, outlier_scores))
    ranks = scipy.stats.rankdata(np.concatenate([inliers, outliers]))
    # A rank among all, less that among one's own kind, counts the others below.
    lower_outliers = ranks[: len(inliers)] - scipy.stats.rankdata(inliers)
    lower_inliers = ranks[len(inliers) :] - scipy.stats.rankdata(outliers)
    return (
        1.0 - lower_outliers / len(outliers),
        lower_inliers / len(inliers),
    )
