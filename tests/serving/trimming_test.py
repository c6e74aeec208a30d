"""Calibration with outliers among the inliers: the promise and its price."""

import math

import numpy as np
import pytest
from scipy import stats

from nae_tf.serving.calibration import threshold_at
from nae_tf.serving.trimming import trim, trimmed_false_alarm_rate

N, OUTLIERS, RATE = 400, 20, 0.05


def false_alarm_rate(draw_outliers, num_outliers, share, trials=1_500):
    """Mean probability that an inlier is called an outlier, and its error."""
    random = np.random.default_rng(11)
    rates = []
    for _ in range(trials):
        scores = random.normal(size=N)
        scores[:num_outliers] = draw_outliers(random, num_outliers)
        kept = np.sort(trim(scores, share).scores)
        rates.append(stats.norm.sf(threshold_at(kept, RATE)))
    return np.mean(rates), np.std(rates) / math.sqrt(trials)


def far_outliers(random, count):
    return 10 + random.normal(size=count)


def test_trimming_leaves_out_the_highest_by_whole_scores():
    scores = np.array([3.0, 1.0, 4.0, 1.5, 9.0, 2.6, 5.0])
    trimmed = trim(scores, 3 / 7)
    assert trimmed.left_out.tolist() == [4, 6, 2]
    assert trimmed.scores.tolist() == [3.0, 1.0, 1.5, 2.6]
    assert len(trim(scores, 0.14).left_out) == 0
    assert len(trim(np.arange(100.0), 0.29).left_out) == 29


@pytest.mark.parametrize("share", [-0.1, 1.0])
def test_a_share_out_of_range_is_refused(share):
    with pytest.raises(ValueError, match=r"trim: .*share"):
        trim([1.0], share)


def test_the_outliers_themselves_left_out_keep_the_promise_of_clean_scores():
    rate, error = false_alarm_rate(far_outliers, OUTLIERS, OUTLIERS / N)
    bound = trimmed_false_alarm_rate(RATE, N, OUTLIERS, OUTLIERS, 0)
    # Of 380 inliers the 19th highest is the threshold: exactly 19 / 381.
    assert bound == pytest.approx(19 / 381)
    assert abs(rate - 19 / 381) < 4 * error


def test_outliers_that_stay_cost_detection_and_no_false_alarms():
    rate, error = false_alarm_rate(far_outliers, OUTLIERS, 0.0)
    assert rate + 4 * error < 0.01


def test_inliers_left_out_cost_what_is_stated():
    rate, error = false_alarm_rate(far_outliers, 0, OUTLIERS / N)
    # The threshold is the score of rank 20 + 19 among 400.
    bound = trimmed_false_alarm_rate(RATE, N, OUTLIERS, 0, OUTLIERS)
    assert bound == pytest.approx(39 / 401)
    assert abs(rate - bound) < 4 * error


@pytest.mark.parametrize("shift", [-3.0, 0.0, 1.0, 2.0, 3.0])
def test_the_bound_holds_wherever_outliers_score(shift):
    def outliers(random, count):
        return shift + random.normal(size=count)

    rate, error = false_alarm_rate(outliers, OUTLIERS, OUTLIERS / N, 600)
    bound = trimmed_false_alarm_rate(RATE, N, OUTLIERS, OUTLIERS, OUTLIERS)
    assert rate < bound + 4 * error


def test_counts_out_of_range_are_refused():
    for counts in [(0, 0, 0, 0), (9, 9, 0, 0), (9, 2, 10, 0), (9, 2, 3, 3)]:
        with pytest.raises(ValueError, match="trimmed_false_alarm_rate: "):
            trimmed_false_alarm_rate(RATE, *counts)
