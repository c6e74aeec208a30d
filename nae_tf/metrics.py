"""How well scores separate outliers from inliers (paper section 6.3)."""

import numpy as np
from sklearn.metrics import roc_auc_score


def auroc(inlier_scores, outlier_scores) -> float:
    """Area under the ROC curve, outliers being the positive class.

    It is the probability that an outlier scores higher than an inlier, ties
    counted half.

    Args:
        inlier_scores: float [num_inliers], higher is more outlying.
        outlier_scores: float [num_outliers].

    Returns:
        float in [0, 1].

    Raises:
        ValueError: if either is empty or holds NaN.
    """
    for name, scores in [
        ("inlier", inlier_scores),
        ("outlier", outlier_scores),
    ]:
        if np.size(scores) == 0:
            raise ValueError(f"auroc: expected {name} scores, received none.")
        if np.isnan(scores).any():
            raise ValueError(
                f"auroc: {np.isnan(scores).sum()} of {np.size(scores)} {name} "
                "scores are NaN; the model has diverged."
            )
    labels = np.repeat([0, 1], [len(inlier_scores), len(outlier_scores)])
    scores = np.concatenate([inlier_scores, outlier_scores])
    # Infinite scores are rank-able but scikit-learn refuses them.
    limit = np.finfo(scores.dtype).max
    return float(roc_auc_score(labels, np.clip(scores, -limit, limit)))
