"""The charts' geometry, read back from the SVG."""

from xml.etree import ElementTree

import numpy as np
import pytest
import scipy.integrate

from nae_tf.evaluation.charts import histogram_chart, roc_chart
from nae_tf.metrics.detection import auroc


def paths(svg, name):
    """Points [num_points, 2] of the paths of a class."""
    return [
        np.array(
            [point.split() for point in path.get("d")[1:].split("L")], float
        )
        for path in ElementTree.fromstring(svg).iter("path")
        if name in path.get("class").split()
    ]


def heights(area):
    """Heights of a histogram's bars, in units of the plot."""
    return area[0, 1] - area[1::2, 1]


def plot_box(svg):
    """Left, right, top and bottom of the plot."""
    (axis,) = paths(svg, "axis")
    top = min(line[:, 1].min() for line in paths(svg, "grid"))
    return *axis[:, 0], top, axis[0, 1]


def test_bars_are_the_shares_of_each_set():
    inliers = np.array([0.0, 0.0, 0.0, 2.0])
    outliers = np.array([2.0, 4.0] * 50)
    svg = histogram_chart("scores", inliers, outliers)
    (inlier_area,), (outlier_area,) = (
        paths(svg, "inlier"),
        paths(svg, "outlier"),
    )
    bars = heights(inlier_area)
    assert np.sort(bars)[-2:] == pytest.approx([bars.sum() / 4, bars.max()])
    assert bars.max() == pytest.approx(0.75 * bars.sum(), rel=0.01)
    bars_of_outliers = heights(outlier_area)
    assert bars_of_outliers.sum() == pytest.approx(bars.sum(), rel=0.01)
    # Both have examples at 2, in the middle of the axis.
    middle = inlier_area[:, 0].mean()
    for area in (inlier_area, outlier_area):
        filled = area[1:-1][heights(area[:-1]).repeat(2)[: len(area) - 2] > 0]
        assert np.abs(filled[:, 0] - middle).min() < 10


def test_charts_that_are_compared_have_one_axis():
    alike, low, high = np.full(4, 3.0), np.full(4, 2.0), np.full(4, 7.0)
    every = np.concatenate([alike, low, high])
    places = []
    for outliers in (low, high):
        svg = histogram_chart("scores", alike, outliers, every)
        (area,) = paths(svg, "inlier")
        filled = heights(area[:-1]).repeat(2)[: len(area) - 2] > 0
        places.append(area[1:-1][filled][:, 0].mean())
    assert places[0] == pytest.approx(places[1])


def test_widely_spread_scores_get_a_logarithmic_axis():
    spread = np.geomspace(1e-3, 1e2, 400)
    svg = histogram_chart("scores", spread, spread)
    assert "log scale" in svg and ">0.01<" in svg and ">10<" in svg
    (area,) = paths(svg, "inlier")
    # Uniform on that axis: bars of equal height but for rounding of counts.
    assert heights(area)[:-1].std() < 0.02 * heights(area)[:-1].mean()


@pytest.mark.parametrize(
    "scores",
    [[0.5], [0.0, 0.0], [-1.0, 2.0], [1.0, np.inf], [np.inf], [1e-9, 1e9]],
)
def test_any_scores_can_be_drawn(scores):
    scores = np.array(scores)
    for outliers in (scores, np.zeros(0)):
        svg = histogram_chart("scores", scores, outliers)
        assert "nan" not in svg and "inf" not in svg.replace("inlier", "")


@pytest.mark.parametrize("count", [3, 5000])
def test_the_area_under_a_curve_is_its_auroc(count):
    rng = np.random.default_rng(0)
    inliers, outliers = rng.normal(0, 1, count), rng.normal(1, 1, count)
    svg = roc_chart(
        "roc", {"AE": (outliers, inliers), "NAE": (inliers, outliers)}
    )
    left, right, top, bottom = plot_box(svg)
    for name, expected in [
        ("base", auroc(outliers, inliers)),
        ("own", auroc(inliers, outliers)),
    ]:
        (curve,) = paths(svg, name)
        x = (curve[:, 0] - left) / (right - left)
        y = (bottom - curve[:, 1]) / (bottom - top)
        assert scipy.integrate.trapezoid(y, x) == pytest.approx(
            expected, abs=0.01
        )
        assert len(curve) <= 400
        np.testing.assert_allclose([x[0], y[0], x[-1], y[-1]], [0, 0, 1, 1])


def test_infinite_scores_are_in_the_last_bin():
    scores = np.array([0.0, 1.0, np.inf, np.inf])
    (area,) = paths(histogram_chart("s", scores, np.zeros(0)), "inlier")
    bars = heights(area)
    # With what is finite and largest, three of the four.
    assert bars[-2] == pytest.approx(0.75 * bars.sum(), rel=0.01)


def test_ticks_stand_where_their_labels_say():
    svg = roc_chart("roc", {"m": (np.zeros(2), np.ones(2))})
    left, right, top, bottom = plot_box(svg)
    ticks = {"tick x": [], "tick y": []}
    for text in ElementTree.fromstring(svg).iter("text"):
        if text.get("class") in ticks:
            share = float(text.text.removesuffix("\N{NO-BREAK SPACE}%")) / 100
            ticks[text.get("class")].append((share, text))
    assert all(len(axis) >= 3 for axis in ticks.values())
    for share, text in ticks["tick x"]:
        x = left + share * (right - left)
        assert float(text.get("x")) == pytest.approx(x, abs=0.1)
    for share, text in ticks["tick y"]:
        y = bottom - share * (bottom - top)
        assert float(text.get("y")) == pytest.approx(y, abs=5)


def test_titles_are_escaped():
    svg = roc_chart('<b a="&">', {"m": (np.zeros(2), np.ones(2))})
    assert ElementTree.fromstring(svg).get("aria-label") == '<b a="&">'
