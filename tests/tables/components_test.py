"""Principal components of wide tables against the decomposition of NumPy."""

import numpy as np
import pytest

from nae_tf.tables.components import principal_components


@pytest.mark.parametrize(("rows", "features"), [(40, 70), (70, 40), (500, 3)])
@pytest.mark.parametrize("kept_variance", [0.5, 0.9])
def test_components_are_the_leading_right_singular_vectors(
    rows, features, kept_variance
):
    generator = np.random.default_rng(0)
    scale = np.geomspace(1, 1e-3, features)
    z = 5 + generator.normal(size=(rows, features)) * scale
    fitted = principal_components(z, kept_variance)
    _, values, axes = np.linalg.svd(z - z.mean(axis=0), full_matrices=False)
    shares = np.cumsum(values**2) / np.sum(values**2)
    count = 1 + np.sum(shares <= kept_variance)
    assert fitted.n_components_ == count == len(fitted.components_)
    cosines = np.sum(fitted.components_ * axes[:count], axis=1)
    np.testing.assert_allclose(np.abs(cosines), 1, atol=1e-9)
    scores = (z - z.mean(axis=0)) @ fitted.components_.T
    np.testing.assert_allclose(fitted.transform(z), scores, atol=1e-12)
    np.testing.assert_allclose(
        fitted.inverse_transform(scores),
        z.mean(axis=0) + scores @ fitted.components_,
        atol=1e-12,
    )


def test_repeated_rows_and_one_direction_have_one_component():
    z = np.outer(np.repeat([1.0, 2.0, 4.0], 3), np.arange(20.0))
    fitted = principal_components(z, 0.9)
    axis = np.arange(20.0) / np.linalg.norm(np.arange(20.0))
    np.testing.assert_allclose(np.abs(fitted.components_), [axis], atol=1e-12)


def test_a_table_of_constants_leaves_nothing_over():
    z = np.ones((5, 20))
    fitted = principal_components(z, 0.9)
    back = fitted.inverse_transform(fitted.transform(z))
    np.testing.assert_array_equal(back, z)
