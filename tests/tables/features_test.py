"""Columns of tables against SciPy and NumPy."""

import numpy as np
import pytest
import scipy.stats

from nae_tf.tables import TableFeatures, folds


def standardised(x):
    return (x - x.mean(0)) / x.std(0)


def normal_scores(feature):
    """Standard scores of the normal quantiles of ranks from 0 to 1."""
    ranks = scipy.stats.rankdata(feature) - 1
    share = np.clip(ranks / (len(feature) - 1), 1e-7, 1 - 1e-7)
    return standardised(scipy.stats.norm.ppf(share))


@pytest.fixture(scope="module")
def narrow():
    return np.random.default_rng(0).lognormal(size=(50, 3)) * [1.0, 1e-3, 1e4]


@pytest.fixture(scope="module")
def wide():
    generator = np.random.default_rng(0)
    latents = generator.normal(size=(40, 5)) * [9, 7, 5, 4, 3]
    mixed = latents @ generator.normal(size=(5, 70))
    return mixed + 8 * generator.normal(size=(40, 70))


def test_columns_are_standard_scores_and_normal_scores_of_ranks(narrow):
    features = TableFeatures(random_state=0)
    columns = features.fit_transform(narrow)
    assert (features.num_values_, features.num_columns_) == (3, 6)
    np.testing.assert_allclose(columns[:, :3], standardised(narrow))
    for number, feature in enumerate(narrow.T):
        # Ranks of values that differ by more than the sixth decimal.
        np.testing.assert_allclose(
            columns[:, 3 + number], normal_scores(feature), atol=1e-3
        )
    energies = np.ones((4, 50))
    assert features.energies(narrow, energies) is energies


def test_an_outlying_value_does_not_stretch_its_normal_score(narrow):
    columns = TableFeatures().fit(narrow).transform([[1e9, 0.0, 0.0]])
    assert columns[0, 0] > 1e8
    assert columns[0, 3] < 5.2


def test_missing_values_are_the_mean(narrow):
    features = TableFeatures().fit(narrow)
    row = narrow[:1].copy()
    row[0, 1] = np.nan
    columns = features.transform(row)
    np.testing.assert_array_equal(columns[0, [1, 4]], 0)
    known = [0, 2, 3, 5]
    np.testing.assert_allclose(
        columns[0, known], features.transform(narrow[:1])[0, known]
    )


def test_missing_values_do_not_count_in_the_fit(narrow):
    x = np.concatenate([narrow, np.full((10, 3), np.nan)])
    x[50:, 0] = narrow[:10, 0]
    features = TableFeatures().fit(x)
    np.testing.assert_allclose(features.scaler_.mean_[1:], narrow.mean(0)[1:])
    np.testing.assert_allclose(features.scaler_.scale_[1:], narrow.std(0)[1:])


@pytest.mark.parametrize("value", [0.0, 0.1, 1e6])
def test_constant_features_have_columns_of_zeros(narrow, value):
    x = np.insert(narrow, 1, value * (1 + 1e-16), axis=1)
    columns = TableFeatures().fit_transform(x)
    assert columns.shape == (50, 8)
    np.testing.assert_allclose(columns[:, [1, 5]], 0, atol=1e-9)


def test_a_table_of_constants_has_columns_of_zeros():
    for width in (2, 70):
        features = TableFeatures().fit(np.full((20, width), 0.1))
        columns = features.transform(np.full((3, width), 0.1))
        np.testing.assert_allclose(columns, 0, atol=1e-9)


def test_lists_are_tables():
    columns = TableFeatures().fit_transform([[1.0, 5.0], [3.0, 1.0]])
    np.testing.assert_allclose(columns[:, :2], [[-1, 1], [1, -1]])


def components_by_hand(z):
    """Mean and principal axes of 90% of the variance, by NumPy."""
    mean = z.mean(0)
    _, deviations, axes = np.linalg.svd(z - mean, full_matrices=False)
    kept = np.cumsum(deviations**2) / np.sum(deviations**2)
    return mean, axes[: 1 + np.sum(kept <= 0.9)]


def test_columns_of_wide_tables_are_principal_components(wide):
    features = TableFeatures(random_state=0)
    columns = features.fit_transform(wide)
    _, axes = components_by_hand(standardised(wide))
    count = len(axes)
    assert 5 < count < 20  # Not half as many as rows.
    assert features.num_columns_ == features.num_values_ == count
    kept = features.components_.components_
    np.testing.assert_allclose(kept @ kept.T, np.eye(count), atol=1e-10)
    scores = standardised(wide) @ axes.T
    # One scale for all, and either sign.
    np.testing.assert_allclose(
        np.abs(columns), np.abs(scores) / scores.std(), atol=1e-8
    )


def test_of_noise_there_are_half_as_many_columns_as_rows_or_64():
    for rows, columns in [(30, 15), (150, 64)]:
        x = np.random.default_rng(0).normal(size=(rows, 300))
        assert TableFeatures().fit_transform(x).shape == (rows, columns)


@pytest.mark.parametrize("has_folds", [False, True])
@pytest.mark.parametrize("rows", [40, 20])
def test_every_direction_counts_in_the_unit_of_its_block(wide, rows, has_folds):
    x = wide[:rows]
    fold = folds(rows, 4, seed=0) if has_folds else np.full(rows, -1)
    features = TableFeatures(random_state=0).fit(x, fold=fold)
    new = x[:3] + np.random.default_rng(1).normal(size=(3, 70))
    z, z_new = standardised(x), (new - x.mean(0)) / x.std(0)
    columns = features.num_values_
    expected = []
    for number in range(4) if has_folds else [-2]:
        mean, axes = components_by_hand(z[fold != number])

        def sums(z, mean=mean, axes=axes):
            scores = (z - mean) @ axes.T
            tail = z - mean - scores @ axes
            return np.sum(scores[:, columns:] ** 2, 1), np.sum(tail**2, 1)

        counts = max(len(axes) - columns, 0), 70 - len(axes)
        own = sums(z[fold == number] if has_folds else z)
        energy = 0
        for block, own_block, count in zip(
            sums(z_new), own, counts, strict=True
        ):
            if count:
                energy += count * block / own_block.mean()
        expected.append(energy / 70)
    found = features.energies(new, np.zeros((len(expected), 3)))
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    # And the columns count as many directions as they are.
    ones = features.energies(new, np.ones((len(expected), 3)))
    np.testing.assert_allclose(ones - found, columns / 70)


@pytest.mark.parametrize("width", [3, 70])
def test_a_feature_without_any_value_is_refused_by_its_number(width):
    x = np.random.default_rng(0).normal(size=(20, width))
    x[:, 2] = np.nan
    with pytest.raises(ValueError, match=r"none of feature 2 .*one of 1;.*out"):
        TableFeatures().fit(x)
