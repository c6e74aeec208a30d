"""What the figures show, read back from matplotlib."""

import numpy as np
import pytest
from matplotlib.colors import to_rgba

from nae_tf.evaluation.sample_figure import stages_figure
from reproduction.density_grid import Grid
from reproduction.plots import images, plane
from reproduction.plots.densities import (
    Panel,
    Reconstructions,
    density_figure,
    manifold_figure,
)

RNG = np.random.default_rng(0)


def shown(axes):
    """The image of a panel, [height, width] or with channels."""
    return np.asarray(axes.images[0].get_array())


def test_an_image_table_has_every_image_at_its_place():
    rows = {name: RNG.uniform(0, 1, [3, 4, 5, 1]) for name in ("top", "low")}
    figure = images.image_table(rows, {"left": 1, "right": 2})
    panels = np.reshape(figure.axes, [2, 3])
    for panel_row, (name, row) in zip(panels, rows.items(), strict=True):
        assert panel_row[0].get_ylabel() == name
        for panel, image in zip(panel_row, row, strict=True):
            np.testing.assert_array_equal(shown(panel), image[..., 0])
            assert panel.images[0].get_clim() == (0, 1)
    titles = [panel.get_title(loc="left") for panel in panels[0]]
    assert titles == ["left", "right", ""]


def test_frames_tell_detected_outliers_from_missed_ones():
    shown_images = {
        "inliers": RNG.uniform(0, 1, [2, 4, 4, 3]),
        "outliers": RNG.uniform(0, 1, [2, 4, 4, 3]),
    }
    figure = images.reconstruction_figure(
        shown_images,
        {"AE": np.zeros([4, 4, 4, 3])},
        {"AE": np.array([True, False, True, False])},
        np.array([False, False, True, True]),
    )
    frames = [
        panel.spines["left"].get_edgecolor()
        if panel.spines["left"].get_visible()
        else None
        for panel in np.reshape(figure.axes, [2, 4])[1]
    ]
    detected, missed = to_rgba("#1f6fb4"), to_rgba("#e07b00")
    assert frames == [None, None, detected, missed]


def test_the_latent_size_figure_shows_means_quantiles_and_aurocs():
    errors = {
        "inliers": [RNG.exponential(1, 500), RNG.exponential(2, 500)],
        "digit 9": [RNG.exponential(3, 500), RNG.exponential(4, 500)],
    }
    aurocs = {"AE": [0.9, 0.7], "NAE": [0.95, 0.97]}
    figure = images.latent_size_figure([4, 32], errors, aurocs)
    left, right = figure.axes
    for container, values in zip(left.containers, errors.values(), strict=True):
        line, _, (bars,) = container
        np.testing.assert_array_equal(line.get_xdata(), [4, 32])
        np.testing.assert_allclose(
            line.get_ydata(), [sample.mean() for sample in values]
        )
        np.testing.assert_allclose(
            [segment[:, 1] for segment in bars.get_segments()],
            [np.quantile(sample, [0.1, 0.9]) for sample in values],
        )
    for line, values in zip(right.lines, aurocs.values(), strict=True):
        np.testing.assert_array_equal(line.get_ydata(), values)


def test_stages_show_a_sample_at_the_same_place():
    stages = {
        name: RNG.uniform(*ends, [3, 4, 4, 1])
        for name, ends in [("start", (-1.0, 2.0)), ("end", (0.2, 0.8))]
    }
    figure = stages_figure(stages)
    for panel, (name, samples) in zip(figure.axes, stages.items(), strict=True):
        assert panel.get_title() == name
        assert panel.images[0].get_clim() == (0, 1)
        # Two rows of two, with a gap of one pixel.
        for index, (row, column) in enumerate([(0, 0), (0, 5), (5, 0)]):
            np.testing.assert_array_equal(
                shown(panel)[row : row + 4, column : column + 4],
                np.clip(samples[index, ..., 0], 0, 1),
            )
    points = RNG.normal(size=[6, 2])
    (panel,) = stages_figure({"x": points}).axes
    np.testing.assert_array_equal(panel.collections[0].get_offsets(), points)


def test_a_density_has_its_low_end_below_and_left_and_one_scale():
    density, samples = RNG.uniform(0, 1, [4, 4]), RNG.uniform(-2, 2, [3, 2])
    panels = [Panel("a", density, samples), Panel("b", 2 * density)]
    figure = density_figure([panels], Grid(-2.0, 2.0, 4), peak=0.5)
    for axes, panel in zip(figure.axes, panels, strict=True):
        (image,) = axes.images
        assert axes.get_title() == panel.title
        np.testing.assert_array_equal(shown(axes), panel.density)
        assert image.origin == "lower"
        assert list(image.get_extent()) == [-2, 2, -2, 2]
        assert image.get_clim() == (0, 0.5)
    (dots,) = figure.axes[0].collections
    np.testing.assert_array_equal(dots.get_offsets(), samples)
    assert not figure.axes[1].collections


def test_points_are_linked_to_their_reconstructions():
    result = Reconstructions(
        *[RNG.normal(size=[count, 2]) for count in (2, 3, 2, 3, 4)]
    )
    (axes,) = manifold_figure({"AE": result}).axes
    *links, manifold = [line.get_xydata() for line in axes.lines]
    points = np.concatenate([result.inliers, result.outliers])
    targets = np.concatenate(
        [result.reconstructed_inliers, result.reconstructed_outliers]
    )
    np.testing.assert_array_equal(links, np.stack([points, targets], axis=1))
    np.testing.assert_array_equal(manifold, result.manifold)
    for dots, expected in zip(
        axes.collections, [result.inliers, result.outliers], strict=True
    ):
        np.testing.assert_array_equal(dots.get_offsets(), expected)


def test_arrows_point_up_where_the_energy_rises():
    points = RNG.uniform(-4, 4, [2, 5, 2])
    changes = np.array([[1.0, 2.0, 3.0, 4.0, -0.5], [-1, -2, -0.1, 0.2, -3]])
    figure = plane.energy_gradient_figure(
        (-5.0, 5.0),
        np.ones([3, 3]),
        np.ones([3, 3]),
        points[0],
        changes[0],
        points[1],
        changes[1],
    )
    (axes,) = figure.axes
    arrows = [item for item in axes.collections if hasattr(item, "V")]
    for arrow, start, change in zip(arrows, points, changes, strict=True):
        np.testing.assert_allclose(arrow.XY, start)
        np.testing.assert_allclose(arrow.U, 0)
        # The largest change of all is 15 % of the axis.
        lengths = 1.5 * np.sqrt(np.abs(change) / 4)
        np.testing.assert_allclose(arrow.V, np.sign(change) * lengths)


def test_the_star_is_where_the_visible_chain_starts_and_the_cross_its_end():
    visible = RNG.uniform(-4, 4, [7, 2])
    figure = plane.on_manifold_figure(
        (-5.0, 5.0),
        np.ones([3, 3]),
        np.arange(4.0),
        np.arange(4.0),
        np.zeros([4, 2]),
        np.arange(3.0),
        np.arange(3.0),
        np.zeros([3, 2]),
        visible,
    )
    marks = {
        line.get_marker(): np.array(line.get_xydata())
        for line in figure.axes[1].lines
        if len(line.get_xdata()) == 1
    }
    np.testing.assert_array_equal(marks["*"], visible[:1])
    np.testing.assert_array_equal(marks["X"], visible[-1:])


@pytest.mark.parametrize("channels", [1, 3])
def test_images_outside_zero_and_one_are_clipped(channels):
    rows = {"row": RNG.uniform(-1, 2, [1, 3, 3, channels])}
    (axes,) = images.image_table(rows, {"": 1}).axes
    expected = np.clip(rows["row"][0], 0, 1)
    np.testing.assert_array_equal(np.squeeze(expected), shown(axes))
