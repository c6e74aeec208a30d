"""Figures of the paper that show images or curves, drawn by matplotlib.

Every function takes arrays and returns a `matplotlib.figure.Figure`;
`figures/image_figures.py` computes the arrays from runs. Figures 2 and 4 are in
`plots/plane.py`, Figure 7 is in `nae_tf/evaluation/sample_figure.py`.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

# Readable in print, on dark pages and for the colour-blind.
INLIER, OUTLIER, NEUTRAL = "#1f6fb4", "#e07b00", "#6b7280"
_DETECTED, _MISSED = INLIER, OUTLIER


def image_table(
    rows: Mapping[str, Sequence[np.ndarray] | np.ndarray],
    groups: Mapping[str, int],
    frames: Mapping[str, Sequence[str | None]] | None = None,
    image_inches: float = 0.62,
):
    """Lay images out in rows, their columns in groups.

    Args:
        rows: images [height, width, channels] in [0, 1] of all columns, by
            title of the row.
        groups: number of columns by title, from left to right.
        frames: colours or None of all columns, by title of the row.
        image_inches: side of an image on the page, in inches.

    Returns:
        A `matplotlib.figure.Figure`.
    """
    from matplotlib.figure import Figure

    num_columns = sum(groups.values())
    figure = Figure(
        figsize=(
            image_inches * num_columns + 0.9,
            (image_inches + 0.06) * len(rows) + 0.5,
        )
    )
    all_axes = figure.subplots(len(rows), num_columns, squeeze=False)
    for row, (title, images) in zip(all_axes, rows.items(), strict=True):
        row[0].set_ylabel(title, rotation=0, ha="right", va="center")
        colors = (frames or {}).get(title, [None] * num_columns)
        for axes, image, color in zip(row, images, colors, strict=True):
            _show_image(axes, image)
            if color is not None:
                _frame(axes, color)
    first = 0
    for title, count in groups.items():
        all_axes[0][first].set_title(title, loc="left", fontsize="medium")
        first += count
    figure.tight_layout(pad=0.4)
    return figure


def reconstruction_figure(
    images: Mapping[str, np.ndarray],
    reconstructions: Mapping[str, np.ndarray],
    outlier_flags: Mapping[str, np.ndarray],
    is_outlier: np.ndarray,
):
    """Show inputs over their reconstructions (Figure 1).

    Outliers have a frame: blue if the detector detects them, orange if it
    misses them.

    Args:
        images: inputs by column group, each float [group, height, width,
            channels] in [0, 1]; the groups side by side are the columns.
        reconstructions: float [columns, height, width, channels], by method.
        outlier_flags: bool [columns], whether a method flags an image, by
            method.
        is_outlier: bool [columns], whether an image is an outlier.

    Returns:
        A `matplotlib.figure.Figure`.
    """
    frames = {
        method: [
            (_DETECTED if flag else _MISSED) if outlier else None
            for flag, outlier in zip(flags, is_outlier, strict=True)
        ]
        for method, flags in outlier_flags.items()
    }
    inputs = np.concatenate(list(images.values()))
    return image_table(
        {"input": inputs, **reconstructions},
        {title: len(group) for title, group in images.items()},
        frames,
    )


def latent_size_figure(
    latent_sizes: Sequence[int],
    errors: Mapping[str, Sequence[np.ndarray]],
    aurocs: Mapping[str, Sequence[float]],
):
    """Show errors and AUROC against the latent dimension (Figure 12).

    The left panel has the mean reconstruction errors and bars from the 10 % to
    the 90 % quantile, the right one the AUROC.

    Args:
        latent_sizes: D_z of every run, ascending.
        errors: reconstruction errors, float [num_examples], of every run, by
            name of the examples: first the inliers, then the outliers.
        aurocs: AUROC of every run, by method.

    Returns:
        A `matplotlib.figure.Figure`.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8.4, 3.2))
    left, right = figure.subplots(1, 2)
    for (name, scores), color in zip(
        errors.items(), (INLIER, OUTLIER), strict=True
    ):
        means = np.array([values.mean() for values in scores])
        ends = np.array([np.quantile(values, [0.1, 0.9]) for values in scores])
        # The mean of a skewed distribution may lie outside its quantiles.
        bars = np.maximum([means - ends[:, 0], ends[:, 1] - means], 0)
        left.errorbar(
            latent_sizes,
            means,
            bars,
            color=color,
            marker="o",
            capsize=3,
            label=name,
        )
    left.set_ylabel("reconstruction error")
    left.set_ylim(bottom=0)
    for index, (method, values) in enumerate(aurocs.items()):
        color = NEUTRAL if index < len(aurocs) - 1 else INLIER
        right.plot(latent_sizes, values, color=color, marker="o", label=method)
    right.set_ylabel("AUROC")
    for axes in (left, right):
        axes.set_xscale("log", base=2)
        axes.set_xticks(latent_sizes, [str(size) for size in latent_sizes])
        axes.set_xlabel("latent dimension")
        axes.legend(frameon=False)
        axes.spines[["top", "right"]].set_visible(False)
    figure.tight_layout()
    return figure


def _show_image(axes: Any, image: np.ndarray):
    axes.imshow(np.squeeze(np.clip(image, 0, 1)), cmap="gray", vmin=0, vmax=1)
    axes.set(xticks=[], yticks=[])
    for spine in axes.spines.values():
        spine.set_visible(False)


def _frame(axes: Any, color: str):
    for spine in axes.spines.values():
        spine.set(visible=True, linewidth=2.5, color=color)
