"""Densities on a grid, against closed forms."""

import math

import numpy as np
import pytest
import scipy.stats

from nae_tf.data.densities import eight_gaussians_log_density
from reproduction.density_grid import Grid

GRID = Grid(-8.0, 8.0, 160)


def normal_log_density(mean):
    """Unnormalised, of a standard normal distribution around (mean, 0)."""
    return -0.5 * np.sum((GRID.points() - [mean, 0.0]) ** 2, axis=1)


def test_points_are_the_midpoints_of_the_cells():
    np.testing.assert_allclose(
        Grid(0.0, 4.0, 2).points(), [[1, 1], [3, 1], [1, 3], [3, 3]]
    )


def test_the_normaliser_of_a_normal_distribution():
    density, log_normalizer = GRID.normalize(normal_log_density(1.0))
    assert log_normalizer == pytest.approx(math.log(2 * math.pi))
    assert density.sum() * GRID.cell_area == pytest.approx(1.0)
    row, column = np.unravel_index(density.argmax(), density.shape)
    # x = 1 lies between the cells 89 and 90, y = 0 between 79 and 80.
    assert column in (89, 90) and row in (79, 80)


def test_a_constant_in_the_log_density_changes_the_normaliser_only():
    density, log_normalizer = GRID.normalize(normal_log_density(0.0))
    shifted, log_shifted = GRID.normalize(normal_log_density(0.0) - 2_000.0)
    np.testing.assert_allclose(shifted, density)
    assert log_shifted == pytest.approx(log_normalizer - 2_000.0)


def test_distances_of_normal_distributions():
    distance = 1.5
    log_q = normal_log_density(distance)
    p, _ = GRID.normalize(normal_log_density(0.0))
    q, _ = GRID.normalize(log_q)
    closed_form = 2 * scipy.stats.norm.cdf(distance / 2) - 1
    assert GRID.total_variation(p, q) == pytest.approx(closed_form, abs=1e-3)
    found = GRID.kl_divergence(p, log_q - 3.0)
    assert found == pytest.approx(distance**2 / 2, rel=1e-3)


def test_the_divergence_is_finite_where_the_density_is_too_small_for_a_float():
    p, _ = GRID.normalize(normal_log_density(0.0))
    scale = 100.0  # Normal with a variance of 1 / scale.
    closed_form = -math.log(scale) + scale - 1.0
    found = GRID.kl_divergence(p, scale * normal_log_density(0.0))
    assert found == pytest.approx(closed_form, rel=1e-2)


def test_the_divergence_has_a_direction():
    left = np.where(GRID.points()[:, 0] < 0, 0.0, -np.inf)
    flat = np.zeros(len(left))
    everywhere, _ = GRID.normalize(flat)
    half, _ = GRID.normalize(left)
    assert GRID.kl_divergence(half, flat) == pytest.approx(math.log(2))
    assert GRID.kl_divergence(everywhere, left) == math.inf
    assert GRID.total_variation(half, everywhere) == pytest.approx(0.5)
    right, _ = GRID.normalize(np.where(np.isinf(left), 0.0, -np.inf))
    assert GRID.total_variation(half, right) == pytest.approx(1.0)


def test_the_eight_gaussians_lie_in_the_box():
    grid = Grid(-5.0, 5.0)
    _, log_normalizer = grid.normalize(
        eight_gaussians_log_density(grid.points())
    )
    assert log_normalizer == pytest.approx(0.0, abs=1e-6)
