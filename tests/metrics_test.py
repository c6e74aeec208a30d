import numpy as np
import pytest

from nae_tf.metrics import auroc


def pairwise_auroc(inliers, outliers):
    """Probability that an outlier scores higher, ties half: the definition."""
    difference = np.subtract.outer(outliers, inliers)
    return np.mean((difference > 0) + 0.5 * (difference == 0))


def test_auroc_equals_its_definition_with_ties():
    rng = np.random.default_rng(0)
    inliers = rng.integers(0, 8, 50).astype("float32")
    outliers = rng.integers(3, 12, 70).astype("float32")
    expected = pairwise_auroc(inliers, outliers)
    assert auroc(inliers, outliers) == pytest.approx(expected, abs=1e-12)


def test_auroc_of_separated_scores_is_one_and_of_swapped_ones_zero():
    assert auroc(np.arange(3.0), np.arange(3.0, 9.0)) == 1.0
    assert auroc(np.arange(3.0, 9.0), np.arange(3.0)) == 0.0


def test_auroc_ranks_infinite_scores_highest():
    assert auroc(np.array([0.0, 1.0]), np.array([2.0, np.inf])) == 1.0


@pytest.mark.parametrize(
    ("inliers", "outliers", "reason"),
    [
        ([], [1.0], "expected inlier scores, received none"),
        ([1.0], [], "expected outlier scores, received none"),
        ([np.nan, 1.0], [2.0], "1 of 2 inlier scores are NaN"),
    ],
)
def test_auroc_refuses_what_has_no_answer(inliers, outliers, reason):
    with pytest.raises(ValueError, match=reason) as error:
        auroc(np.array(inliers), np.array(outliers))
    assert "\n" not in str(error.value)
