"""Scores of images against the size that they are compressed to."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

_COLORS = ("#1f6fb4", "#d1242f", "#6e7781")
_MOST_COLUMNS = 3


class Panel(NamedTuple):
    """The scores of one method.

    Attributes:
        title: name of the method.
        unit: what its score is.
        sets: compressed sizes and scores of images, by the name of their set.
    """

    title: str
    unit: str
    sets: Mapping[str, tuple[Sequence[float], Sequence[float]]]


def complexity_figure(panels: Sequence[Panel]):
    """Draw a panel per method, a colour per set of images.

    Scores above those of all sets but the last stand at the upper edge.

    Args:
        panels: methods, in their order.

    Returns:
        A `matplotlib.figure.Figure`.
    """
    from matplotlib.figure import Figure

    columns = min(len(panels), _MOST_COLUMNS)
    rows = -(-len(panels) // columns)
    figure = Figure(figsize=(3.0 * columns, 2.6 * rows), layout="constrained")
    all_axes = figure.subplots(rows, columns, squeeze=False).ravel()
    # Sizes are whole numbers: shifted a little, dots do not hide each other.
    rng = np.random.default_rng(0)
    for panel, axes in zip(panels, all_axes, strict=False):
        # Grey images may have scores far above all digits.
        *digits, _ = panel.sets.values()
        low, high = (f(f(scores) for _, scores in digits) for f in (min, max))
        low, high = low - (high - low) / 10, high + (high - low) / 10
        for (name, (sizes, scores)), color in zip(
            panel.sets.items(), _COLORS, strict=True
        ):
            shifts = rng.uniform(-0.4, 0.4, len(sizes))
            shown = np.minimum(scores, high)
            axes.scatter(
                np.asarray(sizes) + shifts,
                shown,
                4,
                color,
                label=name,
                lw=0,
                clip_on=False,
            )
        axes.set(title=panel.title, xlabel="bytes", ylabel=panel.unit)
        axes.set_ylim(low, high)
    for axes in all_axes[len(panels) :]:
        axes.set_axis_off()
    handles, labels = figure.axes[0].get_legend_handles_labels()
    figure.legend(
        handles, labels, loc="outside lower center", ncols=3, markerscale=3
    )
    return figure
