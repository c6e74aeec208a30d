"""Confidence intervals of detection metrics by the bootstrap.

Inliers and outliers are resampled with replacement, each set for itself, as two
independent samples (Efron & Tibshirani 1993, chapters 8 and 13). All metrics
are computed on the same resamples, and scores of other methods for the same
examples are resampled alike.

Percentile intervals of few examples are too short, as those of the normal
distribution are where Student's is due. The quantiles are moved out by as much
as the two differ (Hesterberg, What Teachers Should Know About the Bootstrap,
The American Statistician 69 (2015), https://arxiv.org/abs/1411.5279).
"""

import dataclasses
from collections.abc import Callable, Iterator, Mapping

import numpy as np
import scipy.stats

from nae_tf.base.setting_checks import check_integer, check_number
from nae_tf.metrics.detection import (
    DetectionCurve,
    detection_curve,
    score_ranks,
)

# Bounds the memory of counts: resamples per block times distinct scores.
_BLOCK_ELEMENTS = 2**22


@dataclasses.dataclass(frozen=True)
class IntervalEstimate:
    """A metric and its confidence interval.

    Attributes:
        value: value of the metric on all examples.
        low: lower end of the interval.
        high: upper end of the interval.
    """

    value: float
    low: float
    high: float


def resampled_curves(
    inlier_scores, outlier_scores, num_resamples: int, seed: int = 0
) -> Iterator[DetectionCurve]:
    """Yield detection curves of bootstrap resamples, in blocks.

    Args:
        inlier_scores: float [num_inliers].
        outlier_scores: float [num_outliers].
        num_resamples: total number of resamples, > 0.
        seed: seed of the resamples, int >= 0.

    Yields:
        Curves with leading axis [block].
    """
    inliers, outliers, num_ranks = score_ranks(inlier_scores, outlier_scores)
    # A generator for each set: numbers do not depend on the size of a block.
    inlier_rng, outlier_rng = np.random.default_rng(seed).spawn(2)
    width = max(num_ranks, len(inliers), len(outliers))
    block = max(1, _BLOCK_ELEMENTS // width)
    for start in range(0, num_resamples, block):
        count = min(block, num_resamples - start)
        yield DetectionCurve.from_counts(
            _resampled_counts(inliers, num_ranks, count, inlier_rng),
            _resampled_counts(outliers, num_ranks, count, outlier_rng),
        )


def detection_estimates(
    inlier_scores,
    outlier_scores,
    metrics: Mapping[str, Callable[[DetectionCurve], np.ndarray]],
    confidence: float = 0.95,
    num_resamples: int = 1000,
    seed: int = 0,
) -> dict[str, IntervalEstimate]:
    """Compute metrics with percentile bootstrap intervals.

    The interval holds the middle `confidence` of the metric's values over the
    resamples, and of few examples somewhat more (`percentile_interval`). It
    follows every monotone change of scale: the interval of 1/FPR is the inverse
    of that of FPR. It says nothing about the spread between trainings. A metric
    that is the same in all resamples, such as the AUROC of scores without any
    overlap, has an interval of length zero.

    Args:
        inlier_scores: float [num_inliers], higher is more outlying.
        outlier_scores: float [num_outliers].
        metrics: functions of a curve, by name.
        confidence: level of the intervals, in (0, 1).
        num_resamples: number of resamples, > 0.
        seed: seed of the resamples, int >= 0.

    Returns:
        Estimates by name, each with `value`, `low` and `high`, which may be
        infinite.

    Raises:
        ValueError: if scores are empty or NaN, or the level or the number is
            out of range.

    Example:
        >>> import numpy as np
        >>> from nae_tf.metrics import area_under_roc, detection_estimates
        >>> rng = np.random.default_rng(0)
        >>> inliers, outliers = rng.normal(0, 1, 200), rng.normal(2, 1, 200)
        >>> estimates = detection_estimates(
        ...     inliers, outliers, {"AUROC": area_under_roc}
        ... )
        >>> auroc = estimates["AUROC"]
        >>> print(f"{auroc.value:.2f}, {auroc.low:.2f} to {auroc.high:.2f}")
        0.92, 0.89 to 0.94
    """
    check_number("bootstrap", "confidence", confidence, "(0, 1)")
    check_integer("bootstrap", "num_resamples", num_resamples, 1)
    check_integer("bootstrap", "seed", seed, 0)
    curve = detection_curve(inlier_scores, outlier_scores)
    blocks = resampled_curves(
        inlier_scores, outlier_scores, num_resamples, seed
    )
    values: dict[str, list] = {name: [] for name in metrics}
    for block in blocks:
        for name, metric in metrics.items():
            values[name].append(metric(block))
    num_examples = min(len(inlier_scores), len(outlier_scores))
    estimates = {}
    for name, metric in metrics.items():
        low, high = percentile_interval(
            np.concatenate(values[name]), confidence, num_examples
        )
        estimates[name] = IntervalEstimate(float(metric(curve)), low, high)
    return estimates


def percentile_interval(
    values, confidence: float, num_examples: int
) -> tuple[float, float]:
    """Return the expanded percentile interval of bootstrap values.

        tail = Phi(sqrt(n / (n - 1)) * t),  t: (1 - confidence) / 2 quantile
                                            of Student's, n - 1 degrees

    For 95 % this is .0086 of ten examples, .0231 of a hundred, and .025 of many
    (Hesterberg 2015). The ends are two of the values, so infinite ones are no
    obstacle.

    Args:
        values: float [num_resamples], no NaN.
        confidence: level of the interval, in (0, 1).
        num_examples: number n > 0 of examples that are resampled.
    """
    n = max(num_examples, 2)  # One example has no spread at all.
    student = scipy.stats.t.ppf((1 - confidence) / 2, n - 1)
    tail = scipy.stats.norm.cdf(np.sqrt(n / (n - 1)) * student)
    low = np.quantile(values, tail, method="lower")
    high = np.quantile(values, 1 - tail, method="higher")
    return float(low), float(high)


def _resampled_counts(ranks, num_ranks, num_resamples, rng):
    """Count the ranks of resampled examples, int [resamples, num_ranks]."""
    chosen = rng.integers(len(ranks), size=(num_resamples, len(ranks)))
    # One long count of (resample, rank) pairs.
    pairs = ranks[chosen] + num_ranks * np.arange(num_resamples)[:, None]
    counts = np.bincount(pairs.ravel(), minlength=num_resamples * num_ranks)
    return counts.reshape(num_resamples, num_ranks)
