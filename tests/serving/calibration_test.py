"""Calibration: what p-values, thresholds and selections promise."""

import math

import numpy as np
import pytest
from scipy import stats

from nae_tf.serving.calibration import (
    Calibration,
    benjamini_hochberg,
    conditional_levels,
    conformal_p_values,
    threshold_at,
)


def test_a_p_value_counts_the_calibration_scores_that_are_as_high():
    calibration = np.array([1.0, 2.0, 2.0, 5.0])
    scores = np.array([0.0, 2.0, 3.0, 5.0, 6.0])
    expected = np.array([5, 4, 2, 2, 1]) / 5
    np.testing.assert_allclose(
        conformal_p_values(scores, calibration), expected
    )


def test_p_values_of_fresh_inliers_are_uniform():
    # Over calibration sets of 99, the p-value is uniform on 1/100, ..., 1.
    random = np.random.default_rng(0)
    values = [
        Calibration(random.exponential(size=99)).p_values(
            random.exponential(size=1)
        )[0]
        for _ in range(4000)
    ]
    # Discreteness only makes the Kolmogorov-Smirnov test milder; adding noise
    # of one step makes the values continuous.
    continuous = values - random.random(4000) / 100
    assert stats.kstest(continuous, "uniform").pvalue > 1e-3


@pytest.mark.parametrize("rate", [0.01, 0.05, 0.29, 0.5])
def test_the_false_alarm_rate_lies_in_its_binomial_band(rate):
    random = np.random.default_rng(1)
    num_trials, num_alarms = 4000, 0
    for _ in range(num_trials):
        calibration = Calibration(random.normal(size=99), rate)
        num_alarms += int(calibration.is_outlier(random.normal(size=1))[0])
    z = (num_alarms - num_trials * rate) / math.sqrt(
        num_trials * rate * (1 - rate)
    )
    assert abs(z) < 5


@pytest.mark.parametrize("n", [1, 2, 19, 99, 100])
@pytest.mark.parametrize("rate", [0.01, 0.05, 0.1, 0.29, 0.9, 0.999])
def test_a_score_exceeds_the_threshold_just_when_its_p_value_is_small(n, rate):
    random = np.random.default_rng(2)
    # Integers, so that there are ties.
    calibration = np.sort(random.integers(0, 40, n)).astype(float)
    scores = np.arange(-1.0, 42.0, 0.5)
    p_values = conformal_p_values(scores, calibration)
    np.testing.assert_array_equal(
        scores > threshold_at(calibration, rate), p_values <= rate + 1e-9
    )


def test_a_score_at_the_threshold_is_no_outlier():
    calibration = Calibration(np.arange(1.0, 20.0), 0.1)
    scores = np.array([17.0, 18.0, 18.5, 19.0])
    # Two of 20 ranks are 10 %: the largest calibration score and beyond.
    p_values = np.array([4, 3, 2, 2]) / 20
    np.testing.assert_allclose(calibration.p_values(scores), p_values)
    np.testing.assert_array_equal(
        calibration.is_outlier(scores), p_values <= 0.1
    )
    levels = conditional_levels(19, 0.1)
    np.testing.assert_array_equal(
        calibration.conditional_p_values(scores), levels[[3, 2, 1, 1]]
    )


def test_the_defaults_are_those_of_the_documentation():
    calibration = Calibration(np.arange(19.0))
    assert calibration.threshold == threshold_at(np.arange(19.0), 0.05)
    np.testing.assert_array_equal(
        calibration.levels, conditional_levels(19, 0.1)
    )


def test_too_few_scores_for_a_rate_raise_no_alarm():
    assert threshold_at(np.arange(18.0), 0.05) == math.inf
    assert threshold_at(np.arange(19.0), 0.05) == 18.0


@pytest.mark.parametrize("n", [1, 2, 7, 40])
def test_conditional_levels_are_the_published_product(n):
    delta, k = 0.1, max(n // 2, 1)
    expected = []
    for j in range(1, n + 1):
        i = n + 1 - j
        product = math.prod(max(i - m, 0) / (n - m) for m in range(k))
        expected.append(1 - (delta * product) ** (1 / k))
    levels = conditional_levels(n, delta)
    np.testing.assert_allclose(levels, [*expected, 1.0], atol=1e-12)


@pytest.mark.parametrize("n", [10, 100])
def test_conditional_levels_bound_all_order_statistics_at_once(n):
    random = np.random.default_rng(3)
    num_trials, delta = 20_000, 0.2
    uniform = np.sort(random.random((num_trials, n)), axis=1)
    levels = conditional_levels(n, delta)[:n]
    failures = np.mean(np.any(uniform > levels, axis=1))
    assert failures < delta + 5 * math.sqrt(delta * (1 - delta) / num_trials)
    # Not so wide as to be worthless.
    assert failures > delta / 10


def test_conditional_p_values_are_never_smaller_than_marginal_ones():
    random = np.random.default_rng(4)
    calibration = Calibration(random.normal(size=200))
    scores = random.normal(size=300)
    p_values = calibration.p_values(scores)
    conditional = calibration.conditional_p_values(scores)
    assert np.all(conditional >= p_values - 0.005)
    assert np.all(np.diff(conditional[np.argsort(p_values)]) >= 0)
    # The most outlying score of all gets the smallest level.
    assert calibration.conditional_p_values([99.0]) == calibration.levels[0]
    assert calibration.conditional_p_values([-99.0]) == 1.0


@pytest.mark.parametrize("rate", [0.01, 0.05, 0.2, 1.0])
def test_selection_takes_the_smallest_p_values_up_to_the_last_that_passes(rate):
    random = np.random.default_rng(5)
    p_values = np.concatenate([random.random(80), random.random(20) / 100])
    ascending = sorted(p_values)
    passing = [j for j in range(1, 101) if ascending[j - 1] <= rate * j / 100]
    expected = np.isin(p_values, ascending[: max(passing, default=0)])
    np.testing.assert_array_equal(benjamini_hochberg(p_values, rate), expected)


def test_the_share_of_inliers_among_selected_examples_is_bounded():
    random = np.random.default_rng(6)
    shares = []
    for _ in range(500):
        calibration = Calibration(random.normal(size=1000))
        scores = np.r_[random.normal(size=90), random.normal(4, 1, size=10)]
        selected = benjamini_hochberg(calibration.p_values(scores), 0.2)
        shares.append(selected[:90].sum() / max(selected.sum(), 1))
    error = np.std(shares) / math.sqrt(len(shares))
    # Benjamini and Hochberg's bound is 0.2 times the 90 % of inliers.
    assert np.mean(shares) < 0.18 + 5 * error
    assert np.mean(shares) > 0.1


def test_nothing_is_selected_from_nothing():
    assert benjamini_hochberg([], 0.1).shape == (0,)


def test_json_keeps_every_digit():
    scores = np.random.default_rng(7).normal(size=50).astype(np.float32)
    calibration = Calibration(scores, 0.01, 0.2)
    again = Calibration.from_json(calibration.to_json())
    np.testing.assert_array_equal(again.scores, np.sort(scores))
    assert (again.false_alarm_rate, again.failure_probability) == (0.01, 0.2)
