"""Calibration with inliers among which are some outliers.

Outliers among the calibration scores do little harm to the promise: those that
score high make p-values larger, so that fewer inliers are called outliers than
may be. They cost detection. Leaving out the highest scores wins it back, and is
paid for by every *inlier* that is left out.

Let n scores hold n_0 of inliers, leave out the k highest of the n, and let j of
those be inliers'. If p <= alpha for a new inlier, at most alpha * (n - k + 1)
- 1 of the scores that were kept are as high as its own, so at most j more of
all inliers'. Its rank among n_0 + 1 exchangeable scores is uniform. Hence

    P(p <= alpha) <= (floor(alpha * (n - k + 1)) + j) / (n_0 + 1)

whatever the outliers score, for every fixed limit j to the inliers among the k.
With j = 0 and k = n - n_0, which is a list of outliers that somebody has looked
at, this is the promise of clean calibration. With nothing but inliers, j = k:
trimming a clean set by 2 % adds 2 % to the rate of false alarms.
"""

import math
from typing import NamedTuple

import numpy as np

from nae_tf.base.number_arrays import as_numbers
from nae_tf.base.setting_checks import check_integer, check_number


class Trimmed(NamedTuple):
    """Calibration scores without the highest.

    Attributes:
        scores: float64 [kept], those that are kept, in their order.
        left_out: int [k], positions of the others, the highest first.

    Example:
        >>> from nae_tf.serving import trim
        >>> trim([0.1, 7.0, 0.3], share=0.4).left_out.tolist()
        [1]
    """

    scores: np.ndarray
    left_out: np.ndarray


def trim(scores, share: float) -> Trimmed:
    """Leave out the highest of calibration scores, which may be outliers'.

    `trimmed_false_alarm_rate` says what is promised then.

    Args:
        scores: float [n], scores of inliers and, it may be, some outliers.
        share: share of the scores to leave out, in [0, 1), rounded down to
            whole scores. Choose no more than are outliers.

    Raises:
        ValueError: if the share is out of range, or scores are no numbers.

    Example:
        >>> from nae_tf.serving import Calibration, trim
        >>> trimmed = trim([0.1, 7.0, 0.3, 0.2], share=0.25)
        >>> trimmed.scores.tolist(), trimmed.left_out.tolist()
        ([0.1, 0.3, 0.2], [1])
        >>> Calibration(trimmed.scores, 0.25).threshold
        0.3
    """
    check_number("trim", "share", share, "[0, 1)")
    scores = as_numbers("trim", "scores", scores, rank=1)
    if np.isnan(scores).any():
        raise ValueError("trim: expected scores, received NaN; leave it out.")
    # Products such as 0.29 * 100 fall short of their integer by rounding.
    k = math.floor(share * len(scores) * (1 + 1e-12))
    highest_first = np.argsort(-scores, kind="stable")
    is_kept = np.ones(len(scores), bool)
    is_kept[highest_first[:k]] = False
    return Trimmed(scores[is_kept], highest_first[:k])


def trimmed_false_alarm_rate(
    false_alarm_rate: float,
    num_scores: int,
    num_left_out: int,
    num_outliers: int,
    num_inliers_left_out: int,
) -> float:
    """Return the rate of false alarms that trimmed calibration keeps to.

        (floor(alpha * (n - k + 1)) + j) / (n_0 + 1),  at most 1

    Args:
        false_alarm_rate: rate alpha of the calibration, in (0, 1).
        num_scores: number n of scores before trimming, > 0.
        num_left_out: number k of them that were left out.
        num_outliers: number n - n_0 of them that are outliers'.
        num_inliers_left_out: number j of inliers among those left out, at
            most.

    Raises:
        ValueError: if a number is out of range.

    Example:
        >>> from nae_tf.serving import trimmed_false_alarm_rate
        >>> trimmed_false_alarm_rate(0.05, 999, 20, 20, 0)
        0.05
        >>> trimmed_false_alarm_rate(0.05, 999, 20, 0, 20)
        0.069
    """
    name = "trimmed_false_alarm_rate"
    n, k, j = num_scores, num_left_out, num_inliers_left_out
    check_number(name, "false_alarm_rate", false_alarm_rate, "(0, 1)")
    check_integer(name, "num_scores", n, 1)
    check_integer(name, "num_left_out", k, 0, n - 1)
    check_integer(name, "num_outliers", num_outliers, 0, n)
    check_integer(name, "num_inliers_left_out", j, 0, k)
    rank = math.floor(false_alarm_rate * (n - k + 1) * (1 + 1e-12)) + j
    return min(rank / (n - num_outliers + 1), 1.0)
