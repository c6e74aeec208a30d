"""Charts of the report, as SVG that takes its colours from the page.

Colours are classes of the page's style sheet, so that a chart follows the page
from light to dark. Every text is escaped by the XML writer.
"""

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from xml.etree import ElementTree

import numpy as np

from nae_tf.metrics.detection import detection_curve

_NUM_BINS = 40
# Scores that spread over more than this factor get a logarithmic axis.
_LOG_RATIO = 30.0
# Steps of a curve that a screen can show.
_MAX_STEPS = 400


def histogram_chart(
    title: str,
    inlier_scores: np.ndarray,
    outlier_scores: np.ndarray,
    other_scores: Sequence | np.ndarray = (),
) -> str:
    """Draw histograms of the scores of inliers and outliers.

    The bars of each set add up to one. The axis is logarithmic where positive
    scores spread widely. Infinite scores are in the last bin.

    Args:
        title: description of the chart for screen readers.
        inlier_scores: float [num_inliers].
        outlier_scores: float [num_outliers]; may be empty.
        other_scores: float [num_others], which the axis has room for: those of
            charts that are compared with this one.

    Returns:
        An SVG element.
    """
    scores = np.concatenate([inlier_scores, outlier_scores, other_scores])
    finite = scores[np.isfinite(scores)]
    if not finite.size:
        finite = np.zeros(1)
    low, high = finite.min(), finite.max()
    logarithmic = bool(low > 0 and high / low > _LOG_RATIO)
    if logarithmic:
        edges = np.geomspace(low, high, _NUM_BINS + 1)
    else:
        margin = (high - low) / 50 or max(abs(low), 1.0) / 50
        edges = np.linspace(low - margin, high + margin, _NUM_BINS + 1)
    shares = [
        np.histogram(np.clip(values, edges[0], edges[-1]), edges)[0]
        / max(len(values), 1)
        for values in (inlier_scores, outlier_scores)
    ]
    scale = _log_scale if logarithmic else _linear_scale
    chart = _Chart(
        title,
        scale(edges[0], edges[-1]),
        _linear_scale(0.0, 1.08 * max(map(np.max, shares))),
    )
    chart.y_axis("share of examples", percent=True)
    chart.x_axis("outlier score, log scale" if logarithmic else "outlier score")
    for name, heights in zip(("inlier", "outlier"), shares, strict=True):
        # The outline of the bars, from the floor and back to it.
        x = np.repeat(edges, 2)
        y = np.concatenate([[0.0], np.repeat(heights, 2), [0.0]])
        chart.line(x, y, f"area {name}")
    return chart.to_svg()


def roc_chart(
    title: str, scores: Mapping[str, tuple[np.ndarray, np.ndarray]]
) -> str:
    """Draw ROC curves: detected outliers against flagged inliers.

    Args:
        title: description of the chart for screen readers.
        scores: (inlier_scores, outlier_scores) by method; the last method is
            drawn on top, in the colour of the page.

    Returns:
        An SVG element.
    """
    chart = _Chart(title, _linear_scale(0, 1), _linear_scale(0, 1))
    chart.y_axis("outliers detected", percent=True)
    chart.x_axis("inliers flagged", percent=True)
    chart.line([0, 1], [0, 1], "chance")
    for index, pair in enumerate(scores.values()):
        curve = detection_curve(*pair)
        x = np.concatenate([[0.0], curve.false_alarm_rate])
        y = np.concatenate([[0.0], curve.detection_rate])
        keep = np.unique(
            np.linspace(0, len(x) - 1, _MAX_STEPS).round().astype(int)
        )
        chart.line(x[keep], y[keep], f"curve {method_class(index, scores)}")
    return chart.to_svg()


def course_chart(
    title: str, x, y, limit: float, y_title: str, percent: bool = False
) -> str:
    """Draw a course over numbers of examples, with a limit across it.

    Args:
        title: description of the chart for screen readers.
        x: float [number], numbers of examples, ascending.
        y: float [number], what is shown.
        limit: value of the dashed line.
        y_title: title of the axis of `y`.
        percent: whether `y` are shares.

    Returns:
        An SVG element.
    """
    x, y = np.asarray(x, float), np.asarray(y, float)
    low, high = min(0.0, limit, y.min()), max(0.0, limit, y.max())
    margin = (high - low) / 20 or 0.05
    bottom = low if percent else low - margin
    chart = _Chart(
        title,
        _linear_scale(min(0.0, x[0]), max(x[-1], 1.0)),
        _linear_scale(bottom, high + margin),
    )
    chart.y_axis(y_title, percent)
    chart.x_axis("examples")
    chart.line(np.array([0.0, x[-1]]), np.array([limit, limit]), "chance")
    keep = np.unique(np.linspace(0, len(x) - 1, _MAX_STEPS).astype(int))
    chart.line(x[keep], y[keep], "curve own")
    return chart.to_svg()


def share_chart(title: str, shares, x_title: str) -> str:
    """Draw shares in equal parts of [0, 1], with the share of each by chance.

    Args:
        title: description of the chart for screen readers.
        shares: float [number of parts], sum 1.
        x_title: title of the axis of the parts.

    Returns:
        An SVG element.
    """
    shares = np.asarray(shares, float)
    chance = 1.0 / len(shares)
    chart = _Chart(
        title,
        _linear_scale(0.0, 1.0),
        _linear_scale(0.0, 1.08 * max(shares.max(), 2 * chance)),
    )
    chart.y_axis("share of examples", percent=True)
    chart.x_axis(x_title)
    x = np.repeat(np.linspace(0.0, 1.0, len(shares) + 1), 2)
    y = np.concatenate([[0.0], np.repeat(shares, 2), [0.0]])
    chart.line(x, y, "area inlier")
    chart.line(np.array([0.0, 1.0]), np.array([chance, chance]), "chance")
    return chart.to_svg()


def method_class(index: int, methods: Sequence | Mapping) -> str:
    """Return the CSS class of a method: the last one is the run's own."""
    return "own" if index == len(methods) - 1 else "base"


# --- Drawing ------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class _Scale:
    """A map from data to [0, 1], with ticks in units of the data."""

    position: Callable
    ticks: Sequence[float]


def _linear_scale(low: float, high: float) -> _Scale:
    step = _nice_step(abs(high - low) / 4)
    first = math.ceil(min(low, high) / step - 1e-9)
    last = math.floor(max(low, high) / step + 1e-9)
    return _Scale(
        lambda value: (np.asarray(value) - low) / (high - low),
        [step * number for number in range(first, last + 1)],
    )


def _log_scale(low: float, high: float) -> _Scale:
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)))
    factors = (1, 2, 5) if len(decades) <= 2 else (1,)
    stride = math.ceil(len(decades) / 6)
    ticks = [
        factor * 10.0**decade
        for decade in [*decades[::stride], decades[-1] + 1]
        for factor in factors
    ]
    return _Scale(
        lambda value: np.log(np.asarray(value) / low) / np.log(high / low),
        [tick for tick in ticks if low <= tick <= high],
    )


def _nice_step(step: float) -> float:
    """Return the smallest number >= step of the form 1, 2 or 5 times 10^k."""
    power = 10.0 ** math.floor(math.log10(step))
    return power * next(
        factor for factor in (1, 2, 5, 10) if factor * power >= step * 0.999
    )


class _Chart:
    """An SVG with a plot area, drawn in the coordinates of the data."""

    def __init__(self, title: str, x: _Scale, y: _Scale):
        self.x, self.y = x, y
        self.left, self.right = 52, 368
        self.top, self.bottom = 10, 220
        self.svg = ElementTree.Element(
            "svg",
            {
                "viewBox": "0 0 380 260",
                "role": "img",
                "aria-label": title,
                "class": "chart",
            },
        )

    def px(self, value):
        return self.left + self.x.position(value) * (self.right - self.left)

    def py(self, value):
        return self.bottom - self.y.position(value) * (self.bottom - self.top)

    def line(self, x, y, name: str):
        """Join points of the data by lines."""
        self._path(zip(self.px(x), self.py(y), strict=True), name)

    def x_axis(self, title: str, percent: bool = False):
        """Draw the axis below the plot, and its grid lines."""
        for tick in self.x.ticks:
            x = self.px(tick)
            self._path([(x, self.top), (x, self.bottom)], "grid")
            label = _tick_label(tick, percent)
            self._text(label, x, self.bottom + 15, "tick x")
        floor = [(self.left, self.bottom), (self.right, self.bottom)]
        self._path(floor, "axis")
        middle = (self.left + self.right) / 2
        self._text(title, middle, self.bottom + 33, "axis-title")

    def y_axis(self, title: str, percent: bool = False):
        """Draw the axis left of the plot, and its grid lines."""
        for tick in self.y.ticks:
            y = self.py(tick)
            self._path([(self.left, y), (self.right, y)], "grid")
            label = _tick_label(tick, percent)
            self._text(label, self.left - 6, y + 3.5, "tick y")
        x, y = 12, (self.top + self.bottom) / 2
        turn = f"rotate(-90 {x} {y})"
        self._text(title, x, y, "axis-title", transform=turn)

    def to_svg(self) -> str:
        """Return the chart as text."""
        return ElementTree.tostring(self.svg, encoding="unicode")

    def _path(self, points, name):
        path = "L".join(f"{x:.1f} {y:.1f}" for x, y in points)
        self._add("path", name, d=f"M{path}")

    def _text(self, text, x, y, name, **attributes):
        element = self._add(
            "text", name, x=f"{x:.1f}", y=f"{y:.1f}", **attributes
        )
        element.text = text

    def _add(self, tag, name, **attributes):
        attributes["class"] = name
        return ElementTree.SubElement(self.svg, tag, attributes)


def _tick_label(value: float, percent: bool) -> str:
    if percent:
        return f"{round(100 * value, 6):g}\N{NO-BREAK SPACE}%"
    return f"{round(value, 12):g}"
