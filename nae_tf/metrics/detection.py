"""How well scores separate outliers from inliers (paper section 6.3).

Outliers are the positive class and higher scores are more outlying. A threshold
t flags every example with score >= t. A `DetectionCurve` counts what every
threshold flags, and each metric is a function of it. Next: `bootstrap`, their
confidence intervals.
"""

import dataclasses

import numpy as np

from nae_tf.base.number_arrays import as_numbers
from nae_tf.base.setting_checks import check_number


@dataclasses.dataclass(frozen=True, eq=False)
class DetectionCurve:
    """Numbers of flagged examples at every threshold, from the highest down.

    Attributes:
        detected: int [..., thresholds], outliers at or above each threshold;
            the last element is their number. Leading axes are resamples.
        false_alarms: int [..., thresholds], inliers at or above each
            threshold.

    Example:
        >>> from nae_tf.metrics import DetectionCurve
        >>> curve = DetectionCurve.from_counts(
        ...     inlier_counts=[0, 1, 3], outlier_counts=[2, 0, 0]
        ... )
        >>> curve.detection_rate.tolist()
        [1.0, 1.0, 1.0]
        >>> curve.false_alarm_rate.tolist()
        [0.0, 0.25, 1.0]
    """

    detected: np.ndarray
    false_alarms: np.ndarray

    @classmethod
    def from_counts(cls, inlier_counts, outlier_counts) -> "DetectionCurve":
        """Accumulate counts of examples by score, the highest score first.

        Args:
            inlier_counts: int [..., thresholds], inliers by score.
            outlier_counts: int [..., thresholds], outliers by score.
        """
        return cls(
            np.cumsum(outlier_counts, axis=-1),
            np.cumsum(inlier_counts, axis=-1),
        )

    @property
    def detection_rate(self) -> np.ndarray:
        """True-positive rate (TPR) at every threshold, in [0, 1]."""
        return self.detected / self.detected[..., -1:]

    @property
    def false_alarm_rate(self) -> np.ndarray:
        """False-positive rate (FPR) at every threshold, in [0, 1]."""
        return self.false_alarms / self.false_alarms[..., -1:]


def score_ranks(
    inlier_scores, outlier_scores
) -> tuple[np.ndarray, np.ndarray, int]:
    """Replace scores by the ranks of their values, the highest being 0.

    Equal scores have equal ranks. Infinite scores rank like any other.

    Args:
        inlier_scores: float [num_inliers].
        outlier_scores: float [num_outliers].

    Returns:
        inlier_ranks: int [num_inliers].
        outlier_ranks: int [num_outliers].
        num_ranks: number of distinct scores.

    Raises:
        ValueError: if either is empty, holds NaN or has no numbers.
    """
    inliers, outliers = both_scores(inlier_scores, outlier_scores)
    values, positions = np.unique(
        np.concatenate([inliers, outliers]), return_inverse=True
    )
    ranks = len(values) - 1 - positions
    return ranks[: len(inliers)], ranks[len(inliers) :], len(values)


def both_scores(inlier_scores, outlier_scores) -> tuple[np.ndarray, np.ndarray]:
    """Return scores of inliers and outliers as arrays.

    Args:
        inlier_scores: float [num_inliers].
        outlier_scores: float [num_outliers].

    Returns:
        float64 [num_inliers] and [num_outliers].

    Raises:
        ValueError: if either is empty, holds NaN or has no numbers.
    """
    found = []
    for name, scores in [
        ("inlier", inlier_scores),
        ("outlier", outlier_scores),
    ]:
        scores = as_numbers("metrics", f"{name} scores", scores, rank=1)
        if not scores.size:
            raise ValueError(f"metrics: expected {name} scores, received none.")
        if np.isnan(scores).any():
            raise ValueError(
                f"metrics: {np.isnan(scores).sum()} of {scores.size} "
                f"{name} scores are NaN; the model has diverged."
            )
        found.append(scores)
    return found[0], found[1]


def detection_curve(inlier_scores, outlier_scores) -> DetectionCurve:
    """Count what every threshold flags.

    Args:
        inlier_scores: float [num_inliers], higher is more outlying.
        outlier_scores: float [num_outliers].

    Returns:
        Counts at every distinct score as threshold.

    Raises:
        ValueError: if either is empty or holds NaN.

    Example:
        >>> from nae_tf.metrics import detection_curve
        >>> curve = detection_curve([0.1, 0.2, 0.3, 0.4], [0.35, 0.9])
        >>> curve.detected.tolist()
        [1, 1, 2, 2, 2, 2]
        >>> curve.false_alarms.tolist()
        [0, 1, 1, 2, 3, 4]
    """
    inliers, outliers, num_ranks = score_ranks(inlier_scores, outlier_scores)
    return DetectionCurve.from_counts(
        np.bincount(inliers, minlength=num_ranks),
        np.bincount(outliers, minlength=num_ranks),
    )


# --- Metrics: functions of a curve, float [...] in its leading axes -----------


def area_under_roc(curve: DetectionCurve):
    """Area under the ROC curve (AUROC), in [0, 1].

    It is the probability that an outlier scores higher than an inlier, ties
    counted half.

    Args:
        curve: counts with leading axes [...].

    Returns:
        float [...] in [0, 1].

    Example:
        >>> from nae_tf.metrics import area_under_roc, detection_curve
        >>> curve = detection_curve([0.1, 0.2, 0.3, 0.4], [0.35, 0.9])
        >>> float(area_under_roc(curve))
        0.875
    """
    outliers, inliers = _steps(curve.detected), _steps(curve.false_alarms)
    num_inliers = curve.false_alarms[..., -1:]
    below = num_inliers - curve.false_alarms
    pairs = np.sum(outliers * (below + 0.5 * inliers), axis=-1)
    return pairs / (curve.detected[..., -1] * num_inliers[..., 0])


def average_precision_of_outliers(curve: DetectionCurve):
    """Area under the precision-recall curve of outliers (AUPR-out).

        sum_k (recall_k - recall_(k-1)) * precision_k

    It is the sum over thresholds, not the trapezoidal rule, which is too
    optimistic. Chance reaches the share of outliers among the examples.

    Args:
        curve: counts with leading axes [...].

    Returns:
        float [...] in [0, 1].

    Example:
        >>> from nae_tf.metrics import (
        ...     average_precision_of_outliers,
        ...     detection_curve,
        ... )
        >>> curve = detection_curve([0.1, 0.2, 0.3, 0.4], [0.35, 0.9])
        >>> round(float(average_precision_of_outliers(curve)), 4)
        0.8333
    """
    return _average_precision(curve.detected, curve.false_alarms)


def average_precision_of_inliers(curve: DetectionCurve):
    """Area under the precision-recall curve of inliers (AUPR-in).

    It is `average_precision_of_outliers` with inliers as the positive class and
    scores negated.

    Args:
        curve: counts with leading axes [...].

    Returns:
        float [...] in [0, 1].

    Example:
        >>> from nae_tf.metrics import (
        ...     average_precision_of_inliers,
        ...     detection_curve,
        ... )
        >>> curve = detection_curve([0.1, 0.2, 0.3, 0.4], [0.35, 0.9])
        >>> round(float(average_precision_of_inliers(curve)), 4)
        0.95
    """
    return _average_precision(
        _from_below(curve.false_alarms), _from_below(curve.detected)
    )


def fpr_at_tpr(curve: DetectionCurve, tpr: float):
    """Share of inliers flagged at the threshold that detects enough outliers.

    Args:
        curve: counts with leading axes [...].
        tpr: share of the outliers in (0, 1]; the highest threshold that
            detects at least this share is taken.

    Returns:
        float [...] in [0, 1].

    Raises:
        ValueError: if `tpr` is out of range.

    Example:
        >>> from nae_tf.metrics import detection_curve, fpr_at_tpr
        >>> curve = detection_curve([0.1, 0.2, 0.3, 0.4], [0.35, 0.9])
        >>> float(fpr_at_tpr(curve, tpr=0.95))
        0.25
    """
    check_number("fpr_at_tpr", "tpr", tpr, "(0, 1]")
    first = np.argmax(curve.detection_rate >= tpr, axis=-1)
    return np.take_along_axis(
        curve.false_alarm_rate, first[..., None], axis=-1
    )[..., 0]


def background_rejection(curve: DetectionCurve, signal_efficiency: float):
    """Background rejection at a signal efficiency: 1 / FPR at a chosen TPR.

    This is the working point of particle physics, where outliers are the
    signal: the number of inliers per flagged inlier. It is infinite if no
    inlier is flagged.

    Args:
        curve: counts with leading axes [...].
        signal_efficiency: TPR in (0, 1].

    Returns:
        float [...] in [1, infinity].

    Raises:
        ValueError: if `signal_efficiency` is out of range.

    Example:
        >>> from nae_tf.metrics import background_rejection, detection_curve
        >>> curve = detection_curve([0.1, 0.2, 0.3, 0.4], [0.35, 0.9])
        >>> float(background_rejection(curve, signal_efficiency=0.95))
        4.0
    """
    rate = fpr_at_tpr(curve, signal_efficiency)
    with np.errstate(divide="ignore"):
        return 1.0 / rate


def auroc(inlier_scores, outlier_scores) -> float:
    """Area under the ROC curve of scores.

    It is the probability that an outlier scores higher than an inlier, ties
    counted half.

    Args:
        inlier_scores: float [num_inliers], higher is more outlying.
        outlier_scores: float [num_outliers].

    Returns:
        float in [0, 1].

    Raises:
        ValueError: if either is empty or holds NaN.

    Example:
        >>> from nae_tf.metrics import auroc
        >>> auroc([0.1, 0.2, 0.3, 0.4], [0.35, 0.9])
        0.875
    """
    return float(area_under_roc(detection_curve(inlier_scores, outlier_scores)))


def _steps(counts):
    return np.diff(counts, axis=-1, prepend=0)


def _from_below(counts):
    """Cumulative counts from the lowest score up."""
    return np.cumsum(_steps(counts)[..., ::-1], axis=-1)


def _average_precision(positives, negatives):
    # Above the highest score of a resample nothing is flagged.
    precision = positives / np.maximum(positives + negatives, 1)
    weights = _steps(positives) / positives[..., -1:]
    return np.sum(weights * precision, axis=-1)
