import numpy as np
import pytest
import scipy.stats
from sklearn.metrics import average_precision_score, roc_auc_score, roc_curve

from nae_tf.metrics import detection
from nae_tf.metrics.detection import auroc, detection_curve

RATES = [0.05, 0.3, 0.5, 0.95, 1.0]


def score_sets():
    """Scores [num_inliers], [num_outliers]: continuous, tied, separated."""
    rng = np.random.default_rng(0)
    return {
        "continuous": (rng.normal(0, 1, 61), rng.normal(1, 2, 40)),
        "tied": (
            rng.integers(0, 8, 50).astype("float32"),
            rng.integers(3, 12, 70).astype("float32"),
        ),
        "all equal": (np.zeros(5), np.zeros(3)),
        "separated": (np.arange(3.0), np.arange(3.0, 9.0)),
        "swapped": (np.arange(3.0, 9.0), np.arange(3.0)),
        "one each": (np.zeros(1), np.ones(1)),
    }


every_set = pytest.mark.parametrize(
    ("inliers", "outliers"), score_sets().values(), ids=score_sets()
)


def labelled(inliers, outliers):
    labels = np.repeat([0, 1], [len(inliers), len(outliers)])
    return labels, np.concatenate([inliers, outliers])


@every_set
def test_auroc_equals_its_definition(inliers, outliers):
    difference = np.subtract.outer(outliers, inliers)
    expected = np.mean((difference > 0) + 0.5 * (difference == 0))
    assert auroc(inliers, outliers) == pytest.approx(expected, abs=1e-12)


@every_set
def test_auroc_equals_scikit_learn(inliers, outliers):
    expected = roc_auc_score(*labelled(inliers, outliers))
    assert auroc(inliers, outliers) == pytest.approx(expected, abs=1e-12)


@every_set
def test_average_precision_of_outliers_equals_scikit_learn(inliers, outliers):
    expected = average_precision_score(*labelled(inliers, outliers))
    curve = detection_curve(inliers, outliers)
    received = detection.average_precision_of_outliers(curve)
    assert received == pytest.approx(expected, abs=1e-12)


@every_set
def test_average_precision_of_inliers_equals_scikit_learn(inliers, outliers):
    labels, scores = labelled(inliers, outliers)
    expected = average_precision_score(1 - labels, -scores)
    curve = detection_curve(inliers, outliers)
    received = detection.average_precision_of_inliers(curve)
    assert received == pytest.approx(expected, abs=1e-12)


@every_set
@pytest.mark.parametrize("tpr", RATES)
def test_fpr_at_tpr_equals_the_first_such_point_of_scikit_learns_curve(
    inliers, outliers, tpr
):
    fprs, tprs, _ = roc_curve(
        *labelled(inliers, outliers), drop_intermediate=False
    )
    expected = fprs[tprs >= tpr].min()
    received = detection.fpr_at_tpr(detection_curve(inliers, outliers), tpr)
    assert received == pytest.approx(expected, abs=1e-12)


def test_a_rate_that_is_met_exactly_counts_as_met():
    # 19 of 20 outliers are 95 %, and no inlier lies above the 19th.
    outliers = np.append(np.arange(10.0, 29.0), -1.0)
    curve = detection_curve(np.arange(5.0), outliers)
    assert detection.fpr_at_tpr(curve, 0.95) == 0.0
    assert detection.fpr_at_tpr(curve, 0.951) == 1.0


def test_background_rejection_is_the_inverse_of_the_false_alarm_rate():
    # The two outliers above 7.5 are half of four; 2 of 10 inliers lie there.
    inliers, outliers = np.arange(10.0), np.array([0.5, 0.6, 7.5, 9.5])
    curve = detection_curve(inliers, outliers)
    assert detection.background_rejection(curve, 0.5) == pytest.approx(10 / 2)


def test_background_rejection_without_false_alarms_is_infinite():
    curve = detection_curve(np.arange(3.0), np.arange(3.0, 9.0))
    assert detection.background_rejection(curve, 1.0) == np.inf


def test_metrics_of_gaussian_scores_have_their_closed_forms():
    count, shift = 100_000, 1.5
    quantiles = scipy.stats.norm.ppf((np.arange(count) + 0.5) / count)
    curve = detection_curve(quantiles, quantiles + shift)
    normal = scipy.stats.norm
    assert detection.area_under_roc(curve) == pytest.approx(
        normal.cdf(shift / np.sqrt(2)), abs=1e-4
    )
    assert detection.fpr_at_tpr(curve, 0.95) == pytest.approx(
        normal.sf(shift - normal.ppf(0.95)), abs=1e-4
    )


def test_leading_axes_of_a_curve_are_independent():
    sets = [score_sets()[name] for name in ("continuous", "tied")]
    counts = np.zeros([2, 2, 200], int)
    for row, (inliers, outliers) in enumerate(sets):
        inlier_ranks, outlier_ranks, _ = detection.score_ranks(
            inliers, outliers
        )
        counts[0, row] = np.bincount(inlier_ranks, minlength=200)
        counts[1, row] = np.bincount(outlier_ranks, minlength=200)
    curves = detection.DetectionCurve.from_counts(*counts)
    for metric in [
        detection.area_under_roc,
        detection.average_precision_of_inliers,
        detection.average_precision_of_outliers,
        lambda curve: detection.fpr_at_tpr(curve, 0.95),
        lambda curve: detection.background_rejection(curve, 0.3),
    ]:
        expected = [metric(detection_curve(*scores)) for scores in sets]
        np.testing.assert_allclose(metric(curves), expected, rtol=1e-12)


def test_infinite_scores_rank_highest():
    assert auroc(np.array([0.0, 1.0]), np.array([2.0, np.inf])) == 1.0
    assert auroc(np.array([0.0, np.inf]), np.array([2.0, np.inf])) == 0.625


def test_scores_in_bfloat16_are_numbers():
    # Rounded to eight bits, so that many are tied.
    bfloat16 = pytest.importorskip("ml_dtypes").bfloat16
    random = np.random.default_rng(0)
    inliers = random.normal(size=300).astype(bfloat16)
    outliers = random.normal(1, size=200).astype(bfloat16)
    scores = np.concatenate([inliers, outliers]).astype(np.float64)
    expected = roc_auc_score(np.repeat([0, 1], [300, 200]), scores)
    assert auroc(inliers, outliers) == pytest.approx(expected)
