"""How far two AUROCs of the same examples differ by chance."""

import numpy as np
import scipy.stats

from nae_tf.metrics.detection import both_scores


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

    Raises:
        ValueError: if there are fewer than two of a kind, other numbers of
            examples, NaN, or no numbers.

    Example:
        >>> from nae_tf.metrics import auroc_difference_error
        >>> scores = [0.1, 0.2, 0.3], [0.25, 0.9]
        >>> auroc_difference_error(scores, scores)
        0.0
    """
    pairs = [both_scores(*before), both_scores(*after)]
    sizes = [[len(scores) for scores in pair] for pair in pairs]
    if sizes[0] != sizes[1] or min(sizes[0]) < 2:
        raise ValueError(
            "auroc_difference_error: expected two scores or more of inliers "
            "and of outliers, as many by either model, received "
            f"{sizes[0]} and {sizes[1]}."
        )
    variance = 0.0
    for one, other in zip(*(_placements(*pair) for pair in pairs), strict=True):
        difference = other - one
        variance += np.var(difference, ddof=1) / len(difference)
    return float(np.sqrt(variance))


def _placements(inliers, outliers):
    """Return shares of higher outliers and of lower inliers, ties half."""
    ranks = scipy.stats.rankdata(np.concatenate([inliers, outliers]))
    # A rank among all, less that among one's own kind, counts the others below.
    lower_outliers = ranks[: len(inliers)] - scipy.stats.rankdata(inliers)
    lower_inliers = ranks[len(inliers) :] - scipy.stats.rankdata(outliers)
    return (
        1.0 - lower_outliers / len(outliers),
        lower_inliers / len(inliers),
    )
