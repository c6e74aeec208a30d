"""NAEDetector in the hands of other libraries, with the right sign."""

import numpy as np
import pandas
import pytest
from sklearn.compose import ColumnTransformer
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import GridSearchCV, StratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

from nae_tf import NAEDetector

GENERATOR = np.random.default_rng(0)
TRAIN = GENERATOR.normal(size=(150, 3))
INLIERS = GENERATOR.normal(size=(40, 3))
OUTLIERS = GENERATOR.normal(size=(40, 3)) + 8.0
TEST = np.concatenate([INLIERS, OUTLIERS])
IS_OUTLIER = np.repeat([0, 1], 40)


def short():
    return NAEDetector(pretraining_steps=40, steps=5, random_state=0)


def search(y):
    return GridSearchCV(
        short(),
        {"batch_size": [16]},
        scoring="roc_auc",
        cv=StratifiedKFold(2),
        error_score="raise",
        refit=False,
    ).fit(np.concatenate([TRAIN, OUTLIERS[:10]]), y)


def test_a_search_counts_the_larger_label_as_the_inlier():
    is_outlier = np.repeat([0, 1], [len(TRAIN), 10])
    right = search(1 - 2 * is_outlier).best_score_
    reversed_ = search(is_outlier).best_score_
    assert right > 0.5
    assert reversed_ == pytest.approx(1 - right)


def test_categories_are_columns_of_their_own():
    kinds = np.array(["a", "b"], object)[GENERATOR.integers(0, 2, 150)]
    # A number that fits its kind, and one of the other kind's.
    number = np.where(kinds == "a", -3.0, 3.0) + GENERATOR.normal(size=150) / 9
    x = np.stack([number, kinds], 1)
    detector = make_pipeline(
        ColumnTransformer(
            [("kind", OneHotEncoder(handle_unknown="ignore"), [1])],
            remainder="passthrough",
            sparse_threshold=0,
        ),
        NAEDetector(random_state=0),
    ).fit(x)
    rows = [[-3.0, "a"], [3.0, "b"], [3.0, "a"], [-3.0, "b"], [-3.0, "new"]]
    scores = detector.score_samples(np.array(rows, object))
    assert min(scores[:2]) > max(scores[2:])


def test_nonconform_needs_to_be_told_the_sign():
    nonconform = pytest.importorskip(
        "nonconform", exc_type=(ImportError, SyntaxError)
    )

    def p_values(**settings):
        return (
            nonconform.ConformalDetector(
                short(), nonconform.Split(n_calib=0.3), seed=1, **settings
            )
            .fit(TRAIN)
            .compute_p_values(OUTLIERS)
        )

    smallest = 1 / (45 + 1)
    right = p_values(score_polarity="higher_is_normal")
    np.testing.assert_allclose(right, smallest)
    np.testing.assert_allclose(p_values(), 1.0)


def test_pyod_combines_negative_scores():
    pytest.importorskip("combo")  # PyOD's combinations are this package's.
    pyod = pytest.importorskip("pyod.models.iforest")
    combination = pytest.importorskip("pyod.models.combination")
    utility = pytest.importorskip("pyod.utils.utility")
    ours = short().fit(TRAIN)
    theirs = pyod.IForest(random_state=0).fit(TRAIN)
    train, test = (
        np.stack([-ours.score_samples(x), theirs.decision_function(x)], 1)
        for x in (TRAIN, TEST)
    )
    _, standardised = utility.standardizer(train, test)
    for combine in (combination.average, combination.maximization):
        assert roc_auc_score(IS_OUTLIER, combine(standardised)) > 0.99


def test_dates_are_no_numbers():
    days = np.arange(80).reshape(40, 2)
    frame = pandas.DataFrame(days.astype(float), columns=["a", "b"])
    detector = short().fit(frame.to_numpy())
    frame["b"] = pandas.to_datetime(frame["b"], unit="D")
    values = days.astype("M8[D]"), days.astype("m8[s]")
    for dates in (*values, frame, frame["b"]):
        for call in (short().fit, detector.score_samples):
            with pytest.raises(ValueError, match="received dates or durations"):
                call(dates)


FRAMES = {
    "pandas": pandas.DataFrame,
    "polars": lambda columns: pytest.importorskip("polars").DataFrame(columns),
    "pyarrow": lambda columns: pytest.importorskip("pyarrow").table(columns),
}


@pytest.mark.parametrize("library", FRAMES)
def test_tables_of_every_library_are_arrays_with_names(library):
    def frame(x, names):
        return FRAMES[library](dict(zip(names, x.T, strict=True)))

    detector = short().fit(frame(TRAIN, "abc"))
    refusal = "expected the columns"
    # scikit-learn before 1.9 cannot name the columns of polars 2.
    if hasattr(detector, "feature_names_in_"):
        assert detector.feature_names_in_.tolist() == ["a", "b", "c"]
        refusal = "feature names should match"
    expected = short().fit(TRAIN).score_samples(TEST)
    scores = detector.score_samples(frame(TEST, "abc"))
    np.testing.assert_allclose(scores, expected, rtol=1e-6)
    with pytest.raises(ValueError, match=refusal):
        detector.predict(frame(TEST, "bca"))
