"""Standard scores of features that never varied, against scikit-learn's."""

import numpy as np
import pytest
from sklearn.preprocessing import StandardScaler

from nae_tf import NAEDetector
from nae_tf.tables.scaling import TableScaler

ROWS = 40


@pytest.fixture
def x():
    x = np.random.default_rng(0).normal(size=(ROWS, 4))
    x[:, 1], x[:, 2] = 273.15, 0.0
    return x


@pytest.mark.parametrize("change", [1e-3, 1.0, -40.0, 1e30])
def test_a_change_scores_as_if_its_row_had_been_fitted_too(x, change):
    row = x[:1] + np.array([[0.0, change, change, 0.0]])
    # Of one row that differs among n + 1, whatever the units.
    expected = StandardScaler().fit(np.concatenate([x, row])).transform(row)
    found = TableScaler().fit(x).transform(row)
    np.testing.assert_allclose(found[:, 1:3], expected[:, 1:3], rtol=1e-6)
    assert abs(found[0, 1]) == pytest.approx(np.sqrt(ROWS))


def test_all_else_is_that_of_scikit_learn(x):
    x[3, 0] = np.nan
    np.testing.assert_allclose(
        TableScaler().fit(x).transform(x),
        StandardScaler().fit_transform(x),
        atol=1e-9,
    )


def test_rounding_is_no_change_and_missing_values_are_none(x):
    row = x[:1].astype(np.float32).astype(float)
    assert row[0, 1] != 273.15
    np.testing.assert_array_equal(TableScaler().fit(x).transform(row)[0, 1], 0)
    x[:30, 2] = np.nan
    row[0, 1:3] = np.nan, 1.0
    found = TableScaler().fit(x).transform(row)[0]
    assert np.isnan(found[1])
    assert found[2] == pytest.approx(np.sqrt(ROWS - 30))


@pytest.mark.parametrize("columns", [4, 60])
def test_a_flag_that_was_never_raised_makes_an_outlier(columns):
    x = np.random.default_rng(0).normal(size=(100, columns))
    x[:, 0] = 0.0
    detector = NAEDetector(pretraining_steps=20, steps=0, random_state=0).fit(x)
    for change in (1e-6, 1.0, 1e6):
        raised = x.copy()
        raised[:, 0] = change
        assert np.all(detector.p_values(raised) < 0.02)
        assert np.all(detector.explain(raised).argmax(axis=1) == 0)
