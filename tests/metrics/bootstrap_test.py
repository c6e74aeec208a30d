import functools

import numpy as np
import pytest
import scipy.stats
from sklearn.metrics import (
    average_precision_score,
    roc_auc_score,
)

from nae_tf.metrics import bootstrap, detection
from nae_tf.metrics.bootstrap import detection_estimates, percentile_interval

METRICS = {
    "auroc": detection.area_under_roc,
    "aupr_out": detection.average_precision_of_outliers,
    "fpr": functools.partial(detection.fpr_at_tpr, tpr=0.8),
    "rejection": functools.partial(
        detection.background_rejection, signal_efficiency=0.8
    ),
}


def gaussian_scores(rng, num_inliers=60, num_outliers=40, shift=1.0):
    return rng.normal(0, 1, num_inliers), rng.normal(shift, 1, num_outliers)


def test_values_are_those_of_all_examples():
    scores = gaussian_scores(np.random.default_rng(0))
    estimates = detection_estimates(*scores, METRICS, num_resamples=50)
    labels = np.repeat([0, 1], [60, 40])
    assert estimates["auroc"].value == pytest.approx(
        roc_auc_score(labels, np.concatenate(scores))
    )
    for estimate in estimates.values():
        assert estimate.low <= estimate.value <= estimate.high


def test_resamples_have_the_size_of_their_set_and_its_mean():
    inliers, outliers = np.arange(5.0), np.arange(2.0, 5.0)
    curves = list(bootstrap.resampled_curves(inliers, outliers, 20_000))
    detected = np.concatenate([curve.detected for curve in curves])
    alarms = np.concatenate([curve.false_alarms for curve in curves])
    assert detected.shape == (20_000, 5)
    assert np.all(detected[:, -1] == 3) and np.all(alarms[:, -1] == 5)
    # Each of the values 4, 3, ..., 0 is drawn n * 1/n times in the mean, with
    # the binomial's variance; no outlier is 1 or 0.
    for counts, number, present in [
        (np.diff(alarms, prepend=0), 5, 5),
        (np.diff(detected, prepend=0), 3, 3),
    ]:
        std = np.sqrt(number * (1 / number) * (1 - 1 / number))
        z = (counts[:, :present].mean(0) - 1) / std * np.sqrt(20_000)
        assert np.all(np.abs(z) < 5)
        assert np.all(counts[:, present:] == 0)
    # The two sets are drawn independently.
    correlation = np.corrcoef(alarms[:, 0], detected[:, 0])[0, 1]
    assert abs(correlation) * np.sqrt(20_000) < 5


def test_the_standard_error_is_that_of_hanley_and_mcneil():
    # With exponential scores, outliers of mean m: A = m / (1 + m), Q1 and Q2
    # are exact (Hanley & McNeil 1982).
    rng = np.random.default_rng(1)
    num_inliers, num_outliers, mean = 300, 200, 3.0
    inliers = rng.exponential(1, num_inliers)
    outliers = rng.exponential(mean, num_outliers)
    area = detection.auroc(inliers, outliers)
    q1, q2 = area / (2 - area), 2 * area**2 / (1 + area)
    variance = (
        area * (1 - area)
        + (num_outliers - 1) * (q1 - area**2)
        + (num_inliers - 1) * (q2 - area**2)
    ) / (num_inliers * num_outliers)
    values = np.concatenate(
        [
            detection.area_under_roc(curve)
            for curve in bootstrap.resampled_curves(inliers, outliers, 4000)
        ]
    )
    assert values.std() == pytest.approx(np.sqrt(variance), rel=0.1)
    assert values.mean() == pytest.approx(area, abs=3e-3)


def coverage_z_scores(draw, truth, tested, trials=800, confidence=0.9):
    """How far the share of intervals that hold the truth is from its level."""
    covered = dict.fromkeys(truth, 0)
    rng = np.random.default_rng(2)
    for trial in range(trials):
        estimates = detection_estimates(
            *draw(rng), tested, confidence, num_resamples=200, seed=trial
        )
        for name, estimate in estimates.items():
            covered[name] += estimate.low <= truth[name] <= estimate.high
    std = np.sqrt(confidence * (1 - confidence) * trials)
    return {
        name: (count - confidence * trials) / std
        for name, count in covered.items()
    }


def test_intervals_cover_the_truth_as_often_as_they_say():
    normal, shift, tpr = scipy.stats.norm, 1.2, 0.8
    truth = {
        "auroc": normal.cdf(shift / np.sqrt(2)),
        "fpr": normal.sf(shift - normal.ppf(tpr)),
        "rejection": 1 / normal.sf(shift - normal.ppf(tpr)),
    }
    z_scores = coverage_z_scores(
        lambda rng: gaussian_scores(rng, 200, 150, shift),
        truth,
        {name: METRICS[name] for name in truth},
    )
    assert all(abs(z) < 5 for z in z_scores.values()), z_scores


def test_intervals_of_tied_scores_cover_the_truth_as_often_as_they_say():
    levels = np.arange(12)
    weights = [scipy.stats.binom.pmf(levels, 11, p) for p in (0.4, 0.6)]
    population = {
        "y_true": np.repeat([0, 1], 12),
        "y_score": np.tile(levels, 2),
        "sample_weight": np.concatenate(weights),
    }
    truth = {
        "auroc": roc_auc_score(**population),
        "aupr_out": average_precision_score(**population),
    }
    z_scores = coverage_z_scores(
        lambda rng: [rng.choice(levels, 150, p=p) for p in weights],
        truth,
        {name: METRICS[name] for name in truth},
    )
    assert all(abs(z) < 5 for z in z_scores.values()), z_scores


def test_the_interval_of_the_inverse_is_the_inverse_of_the_interval():
    scores = gaussian_scores(np.random.default_rng(3), 200, 200)
    estimates = detection_estimates(*scores, METRICS)
    fpr, rejection = estimates["fpr"], estimates["rejection"]
    assert rejection.low == pytest.approx(1 / fpr.high)
    assert rejection.high == pytest.approx(1 / fpr.low)


def test_separated_scores_have_an_infinite_rejection():
    estimate = detection_estimates(np.arange(9.0), 10 + np.arange(9.0), METRICS)
    assert estimate["rejection"] == bootstrap.IntervalEstimate(
        np.inf, np.inf, np.inf
    )
    assert estimate["auroc"] == bootstrap.IntervalEstimate(1.0, 1.0, 1.0)


def test_the_seed_decides_and_the_block_size_does_not(monkeypatch):
    scores = gaussian_scores(np.random.default_rng(4))
    first = detection_estimates(*scores, METRICS, num_resamples=70)
    assert detection_estimates(*scores, METRICS, num_resamples=70) == first
    other = detection_estimates(*scores, METRICS, num_resamples=70, seed=1)
    assert other["auroc"].low != first["auroc"].low
    monkeypatch.setattr(bootstrap, "_BLOCK_ELEMENTS", 900)
    assert detection_estimates(*scores, METRICS, num_resamples=70) == first


def test_other_scores_of_the_same_examples_are_resampled_alike():
    inliers, outliers = gaussian_scores(np.random.default_rng(6))

    def areas(*scores):
        curves = bootstrap.resampled_curves(*scores, num_resamples=50)
        return np.concatenate([detection.area_under_roc(c) for c in curves])

    # Whatever the resample, negated scores rank its pairs the other way round.
    np.testing.assert_allclose(
        areas(-inliers, -outliers), 1 - areas(inliers, outliers), atol=1e-12
    )


def test_a_percentile_interval_ends_at_order_statistics():
    values = np.random.default_rng(5).permutation(np.arange(1002.0))
    many = 10**9
    assert percentile_interval(values, 0.95, many) == (25.0, 976.0)
    infinite = np.append(values, np.inf)
    assert percentile_interval(infinite, 0.9999, many)[1] == np.inf
    assert percentile_interval(np.ones(1), 0.95, 1) == (1.0, 1.0)


@pytest.mark.parametrize(
    ("num_examples", "tail"),
    # Phi(-t sqrt(n / (n - 1))), t of printed tables: 2.776, 2.262, 2.093, ...
    [(5, 0.0010), (10, 0.0086), (20, 0.0157), (40, 0.0203), (100, 0.0231)],
)
def test_quantiles_of_few_examples_are_moved_out(num_examples, tail):
    values = np.arange(10_001.0)
    low, high = percentile_interval(values, 0.95, num_examples)
    assert low == pytest.approx(10_000 * tail, abs=1.0)
    assert high == 10_000 - low


def test_intervals_of_ten_examples_cover_the_truth():
    # Plain percentiles hold it in 86 % of samples.
    auroc = 0.7
    shift = np.sqrt(2) * scipy.stats.norm.ppf(auroc)
    z_scores = coverage_z_scores(
        lambda rng: gaussian_scores(rng, 10, 10, shift),
        {"auroc": auroc},
        {"auroc": METRICS["auroc"]},
    )
    assert abs(z_scores["auroc"]) < 4
