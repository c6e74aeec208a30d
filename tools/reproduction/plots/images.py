"""Figures of the paper that show images or curves, drawn by matplotlib.

The extra `figures` brings matplotlib. Every function takes arrays and returns a
`matplotlib.figure.Figure`; `figures/image_figures.py` and
`figures/plane_figures.py` make the arrays from runs.
Figures 2 and 4 are in `plane_figures`, Figure 7 in `sample_figures`.
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
        rows: by title, an image [height, width, channels] in [0, 1] for every
            column.
        groups: number of columns by title, from left to right.
        frames: by row, a colour or None for every column.
        image_inches: side of an image on the page.

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
    """Show what the latent dimension does to an autoencoder (Figure 12).

    The left panel has the mean reconstruction errors and bars from the 10 % to
    the 90 % quantile, the right one the AUROC.

    Args:
        latent_sizes: D_z of every run, ascending.
        errors: by name of the examples, inliers first, then outliers: the
            reconstruction errors float [num_examples] of every run.
        aurocs: by method, of every run.

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
