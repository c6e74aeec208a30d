"""What the figures show, read back from matplotlib."""

import numpy as np
import pytest
from matplotlib.colors import to_rgba

from nae_tf import figures, plane_figures

RNG = np.random.default_rng(0)


def shown(axes):
    """The image of a panel, [height, width] or with channels."""
    return np.asarray(axes.images[0].get_array())


def test_an_image_table_has_every_image_at_its_place():
    rows = {name: RNG.uniform(0, 1, [3, 4, 5, 1]) for name in ("top", "low")}
    figure = figures.image_table(rows, {"left": 1, "right": 2})
    panels = np.reshape(figure.axes, [2, 3])
    for panel_row, (name, images) in zip(panels, rows.items(), strict=True):
        assert panel_row[0].get_ylabel() == name
        for panel, image in zip(panel_row, images, strict=True):
            np.testing.assert_array_equal(shown(panel), image[..., 0])
    titles = [panel.get_title(loc="left") for panel in panels[0]]
    assert titles == ["left", "right", ""]


def test_frames_tell_detected_outliers_from_missed_ones():
    images = {
        "inliers": RNG.uniform(0, 1, [2, 4, 4, 3]),
        "outliers": RNG.uniform(0, 1, [2, 4, 4, 3]),
    }
    figure = figures.reconstruction_figure(
        images,
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
    figure = figures.latent_size_figure([4, 32], errors, aurocs)
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


def test_arrows_point_up_where_the_energy_rises():
    points = RNG.uniform(-4, 4, [2, 5, 2])
    changes = np.array([[1.0, 2.0, 3.0, 4.0, -0.5], [-1, -2, -0.1, 0.2, -3]])
    figure = plane_figures.energy_gradient_figure(
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
    figure = plane_figures.on_manifold_figure(
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
    (axes,) = figures.image_table(rows, {"": 1}).axes
    expected = np.clip(rows["row"][0], 0, 1)
    np.testing.assert_array_equal(np.squeeze(expected), shown(axes))
