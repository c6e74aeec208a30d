"""Distances between samples, against closed forms and double loops."""

import math

import numpy as np
import pytest
import scipy.linalg
from sklearn.metrics.pairwise import linear_kernel

from nae_tf.metrics.sample_distance import (
    frechet_distance,
    gaussian_kernel,
    kernel_distance,
    squared_mmd,
)


def sample_with(mean, covariance, count=50, seed=0):
    """A sample whose mean and (unbiased) covariance are exactly these."""
    x = np.random.default_rng(seed).normal(size=(count, len(mean)))
    x -= x.mean(axis=0)
    factor = np.linalg.cholesky(np.atleast_2d(np.cov(x, rowvar=False)))
    white = np.linalg.solve(factor, x.T).T
    return white @ np.linalg.cholesky(np.asarray(covariance)).T + mean


def test_frechet_distance_of_independent_features():
    x = sample_with([0.0, 1.0], np.diag([4.0, 9.0]))
    y = sample_with([3.0, 5.0], np.diag([1.0, 25.0]), seed=1)
    closed_form = 3**2 + 4**2 + (2 - 1) ** 2 + (3 - 5) ** 2
    assert frechet_distance(x, y) == pytest.approx(closed_form)


def test_frechet_distance_of_correlated_features():
    rng = np.random.default_rng(0)
    factors = rng.normal(size=(2, 5, 5))
    a, b = factors @ factors.transpose(0, 2, 1)
    x, y = sample_with(np.zeros(5), a), sample_with(np.ones(5), b, seed=1)
    root = scipy.linalg.sqrtm(a @ b).real
    closed_form = 5.0 + np.trace(a + b - 2 * root)
    assert frechet_distance(x, y) == pytest.approx(closed_form)


def test_frechet_distance_is_zero_only_between_equals():
    rng = np.random.default_rng(0)
    # Fewer rows than features: singular covariances.
    x = rng.normal(size=(4, 10))
    assert frechet_distance(x, x) == pytest.approx(0.0, abs=1e-9)
    assert frechet_distance(x, x + 2.0) == pytest.approx(40.0)
    assert frechet_distance(x, 1.1 * x) > 1e-3


def test_frechet_distance_of_a_single_feature():
    x, y = sample_with([1.0], [[4.0]]), sample_with([0.0], [[1.0]], seed=1)
    assert frechet_distance(x, y) == pytest.approx(1.0 + 1.0)


def test_squared_mmd_leaves_the_diagonal_out():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(5, 3)), rng.normal(size=(7, 3)) + 1.0

    def k(a, b):
        return math.exp(-np.sum((a - b) ** 2) / (2 * 0.7**2))

    def within(z):
        pairs = [(i, j) for i in range(len(z)) for j in range(len(z)) if i != j]
        return np.mean([k(z[i], z[j]) for i, j in pairs])

    cross = np.mean([k(a, b) for a in x for b in y])
    expected = within(x) + within(y) - 2 * cross
    assert squared_mmd(x, y, gaussian_kernel(0.7)) == pytest.approx(expected)


def test_squared_mmd_of_a_linear_kernel_is_unbiased_for_the_mean():
    rng = np.random.default_rng(0)
    values = [
        squared_mmd(
            rng.normal(size=(4, 2)),
            rng.normal(size=(6, 2)) + 0.5,
            linear_kernel,
        )
        for _ in range(4_000)
    ]
    error = np.std(values) / math.sqrt(len(values))
    assert abs(np.mean(values) - 2 * 0.5**2) < 5 * error


@pytest.mark.parametrize("variance", [1.0, 2.0])
def test_kernel_distance_of_normal_distributions(variance):
    # E (x y + 1)^3 = 1 + 3 var(x) var(y) for independent, centred normals.
    closed_form = 3 * (1 - variance) ** 2
    rng = np.random.default_rng(0)
    x = rng.normal(size=(40_000, 1))
    y = math.sqrt(variance) * rng.normal(size=(40_000, 1))
    estimate = kernel_distance(x, y, block_size=20)
    assert abs(estimate.value - closed_form) < 5 * estimate.standard_error
    assert estimate.standard_error < 0.3


def test_kernel_distance_of_one_block_is_the_cubic_mmd():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(9, 4)), rng.normal(size=(8, 4))
    estimate = kernel_distance(x, y)
    expected = squared_mmd(x, y, lambda a, b: (a @ b.T / 4 + 1) ** 3)
    assert estimate.value == pytest.approx(expected)
    assert estimate.standard_error is None


def test_many_rows_are_compared_some_at_a_time():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(5, 1)), rng.normal(size=(2_300, 1)) + 1
    largest = 0

    def kernel(a, b):
        nonlocal largest
        largest = max(largest, len(a))
        return (a @ b.T + 1) ** 3

    # Sums of powers instead of matrices: (a b + 1)^3 by its four terms.
    def mean_of(a, b, without_diagonal):
        total = sum(
            c * np.sum(a**p) * np.sum(b**p)
            for c, p in [(1, 3), (3, 2), (3, 1), (1, 0)]
        )
        if not without_diagonal:
            return total / (len(a) * len(b))
        diagonal = np.sum((a**2 + 1) ** 3)
        return (total - diagonal) / (len(a) * (len(a) - 1))

    expected = mean_of(x, x, True) + mean_of(y, y, True)
    expected -= 2 * mean_of(x, y, False)
    assert squared_mmd(x, y, kernel) == pytest.approx(expected)
    assert largest == 1_000


def test_kernel_distance_uses_every_row_once():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(9, 2)), rng.normal(size=(6, 2))
    blocks = [
        kernel_distance(x[start::3], y[start::3]).value for start in range(3)
    ]
    estimate = kernel_distance(x, y, block_size=2)
    assert estimate.value == pytest.approx(np.mean(blocks))
    assert estimate.standard_error == pytest.approx(
        np.std(blocks, ddof=1) / math.sqrt(3)
    )
