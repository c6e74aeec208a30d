"""Tests of nae_tf/data/densities.py."""

import numpy as np
import pytest
import scipy.stats

from nae_tf.data import densities


def grid(low, high, num):
    axis = np.linspace(low, high, num)
    points = np.stack(np.meshgrid(axis, axis), axis=-1).reshape(-1, 2)
    return points, (axis[1] - axis[0]) ** 2


def printed_centers():
    """Appendix D.1, as printed."""
    r = 2 * np.sqrt(2)
    axes = [[r, 0], [0, r], [-r, 0], [0, -r]]
    return np.array([*axes, [2, 2], [-2, 2], [2, -2], [-2, -2]])


def test_eight_gaussians_have_the_centres_of_the_paper():
    ours = densities.eight_gaussians_centers()
    distances = np.linalg.norm(ours[:, None] - printed_centers(), axis=-1)
    np.testing.assert_allclose(distances.min(axis=0), 0, atol=1e-12)
    np.testing.assert_allclose(distances.min(axis=1), 0, atol=1e-12)


def test_eight_gaussians_log_density_matches_scipy():
    x = np.random.default_rng(0).uniform(-5, 5, (200, 2))
    components = [
        scipy.stats.multivariate_normal(center, np.eye(2) / 8).pdf(x)
        for center in printed_centers()
    ]
    np.testing.assert_allclose(
        densities.eight_gaussians_log_density(x),
        np.log(np.mean(components, axis=0)),
        rtol=1e-9,
    )


def test_eight_gaussians_peak_is_that_of_the_authors_plots():
    points, _ = grid(-4.0, 4.0, 100)  # The grid of their plots.
    peak = np.exp(densities.eight_gaussians_log_density(points).max())
    np.testing.assert_allclose(peak, 0.1586, atol=5e-5)


@pytest.mark.parametrize("std", [np.sqrt(2) / 4, 0.1])
def test_eight_gaussians_samples_have_the_density(std):
    num = 40_000
    x = densities.sample_eight_gaussians(num, [1, 2], std).numpy()
    assert x.dtype == np.float32
    distances = np.linalg.norm(x[:, None] - printed_centers(), axis=-1)
    nearest = distances.argmin(axis=1)
    if std == 0.1:  # Then no sample strays to the next centre.
        counts = np.bincount(nearest, minlength=8)
        assert scipy.stats.chisquare(counts).pvalue > 1e-6
        scaled = (x - printed_centers()[nearest]) / std
        for column in scaled.T:
            assert scipy.stats.kstest(column, "norm").pvalue > 1e-6
    # E|x|^2 = r^2 + 2 std^2, var|x|^2 = 4 r^2 std^2 + 4 std^4.
    mean = 8 + 2 * std**2
    deviation = np.sqrt((32 * std**2 + 4 * std**4) / num)
    assert abs(np.mean(np.sum(x**2, -1)) - mean) / deviation < 5


def test_two_blobs_samples_are_uniform_on_two_discs():
    x = densities.sample_two_blobs(20_000, [3, 4]).numpy().astype(float)
    right = x[:, 0] > 0
    assert abs(right.sum() - 10_000) / np.sqrt(5_000) < 5
    offset = x - np.where(right[:, None], [2.0, 0.0], [-2.0, 0.0])
    squared_radius = np.sum(offset**2, axis=1)
    assert squared_radius.max() < 1 + 1e-6
    angle = np.arctan2(offset[:, 1], offset[:, 0]) / (2 * np.pi) + 0.5
    assert scipy.stats.kstest(squared_radius, "uniform").pvalue > 1e-6
    assert scipy.stats.kstest(angle, "uniform").pvalue > 1e-6
    correlation = scipy.stats.pearsonr(squared_radius, angle).statistic
    assert abs(correlation) * np.sqrt(20_000) < 5


def test_the_density_integrates_to_one():
    points, area = grid(-6.0, 6.0, 1_201)
    density = np.exp(densities.eight_gaussians_log_density(points))
    np.testing.assert_allclose(np.sum(density) * area, 1.0, atol=2e-3)


@pytest.mark.parametrize(
    "make", [densities.eight_gaussians, densities.two_blobs]
)
def test_density_tasks_have_independent_splits(make):
    task = make()
    assert task.example_shape == (2,)
    splits = [
        task.train,
        task.validation,
        task.test,
        *task.selection.values(),
        *task.outliers.values(),
    ]
    drawn = [next(iter(split.batches(1_000))).numpy() for split in splits]
    drawn.append(next(iter(task.train.training_batches(1_000, 0))).numpy())
    values = np.concatenate(drawn)[:, 0]
    # Independent float32 draws seldom coincide; shared streams always would.
    assert len(np.unique(values)) > 0.99 * len(values)
    assert all(split.num_levels is None for split in splits)


def test_the_gaussians_of_the_task_are_as_wide_as_asked():
    task = densities.eight_gaussians(std=0.01)
    x = next(iter(task.test.batches(1_000))).numpy()
    distances = np.linalg.norm(x[:, None] - printed_centers(), axis=-1)
    assert distances.min(axis=1).max() < 0.1


@pytest.mark.parametrize(
    ("make", "ends"),
    [
        (densities.eight_gaussians, [5.0, 5.0]),
        (densities.two_blobs, [0.75, 1.0]),
    ],
)
def test_outliers_are_uniform_in_their_box(make, ends):
    [outliers] = make().outliers.values()
    x = next(iter(outliers.batches(20_000))).numpy() / ends
    for column in x.T:
        assert scipy.stats.kstest(column, "uniform", (-1, 2)).pvalue > 1e-6


def test_outliers_between_the_blobs_have_no_density():
    [outliers] = densities.two_blobs().outliers.values()
    x = next(iter(outliers.batches(20_000))).numpy()
    distances = np.linalg.norm(x[:, None] - [[-2.0, 0.0], [2.0, 0.0]], axis=-1)
    assert (distances > 1.0).all(axis=1).mean() > 0.9
