"""Figures of the paper, drawn by matplotlib (the extra `figures`)."""

from collections.abc import Mapping
from typing import Any

import numpy as np

# Readable in print, on dark pages and for the colour-blind.
_DETECTED, _MISSED = "#1f6fb4", "#e07b00"


def reconstruction_figure(
    images: Mapping[str, np.ndarray],
    reconstructions: Mapping[str, np.ndarray],
    outlier_flags: Mapping[str, np.ndarray],
    is_outlier: np.ndarray,
):
    """Show inputs over their reconstructions (Figure 1).

    A frame tells what the detector made of an outlier: blue for one that it
    detects, orange for one that it misses.

    Args:
        images: inputs by column group, each float [group, height, width,
            channels] in [0, 1]; the groups side by side are the columns.
        reconstructions: by method, float [columns, height, width, channels].
        outlier_flags: by method, bool [columns], what the method says.
        is_outlier: bool [columns], the truth.

    Returns:
        A `matplotlib.figure.Figure`.
    """
    from matplotlib.figure import Figure

    inputs = np.concatenate(list(images.values()))
    grid = {"input": inputs, **reconstructions}
    figure = Figure(figsize=(0.62 * len(inputs) + 0.8, 0.68 * len(grid) + 0.5))
    all_axes = figure.subplots(len(grid), len(inputs), squeeze=False)
    for row, (method, pictures) in zip(all_axes, grid.items(), strict=True):
        row[0].set_ylabel(method, rotation=0, ha="right", va="center")
        for column, axes in enumerate(row):
            _show_image(axes, pictures[column])
            if method in outlier_flags and is_outlier[column]:
                _frame(axes, bool(outlier_flags[method][column]))
    first = 0
    for title, group in images.items():
        middle = all_axes[0][first + (len(group) - 1) // 2]
        middle.set_title(title, fontsize="medium")
        first += len(group)
    figure.tight_layout(pad=0.4)
    return figure


def _show_image(axes: Any, image: np.ndarray):
    axes.imshow(np.squeeze(np.clip(image, 0, 1)), cmap="gray", vmin=0, vmax=1)
    axes.set(xticks=[], yticks=[])
    for spine in axes.spines.values():
        spine.set_visible(False)


def _frame(axes: Any, detected: bool):
    for spine in axes.spines.values():
        spine.set(
            visible=True,
            linewidth=2.5,
            color=_DETECTED if detected else _MISSED,
        )
