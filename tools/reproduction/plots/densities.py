"""Densities of the plane, drawn by matplotlib (Figures 3, 5 and 11)."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from reproduction.density_grid import Grid

_SAMPLES, _INLIERS, _OUTLIERS, _MANIFOLD = "#1f6fb4", "#1f6fb4", "#d1242f", "g"


class Panel(NamedTuple):
    """One density and, if wanted, samples to be drawn over it.

    Attributes:
        title: title above the panel.
        density: float [num_cells, num_cells] on a grid.
        samples: float [num_samples, 2], or None.
    """

    title: str
    density: np.ndarray
    samples: np.ndarray | None = None


def density_figure(rows: Sequence[Sequence[Panel]], grid: Grid, peak: float):
    """Show densities in one common scale of colours (Figures 3 and 5).

    Args:
        rows: panels, row by row.
        grid: grid of all densities.
        peak: density of the darkest colour; larger ones look the same.

    Returns:
        A `matplotlib.figure.Figure`.
    """
    from matplotlib.figure import Figure

    columns = max(map(len, rows))
    figure = Figure(
        figsize=(2.2 * columns, 2.45 * len(rows)), layout="constrained"
    )
    all_axes = figure.subplots(len(rows), columns, squeeze=False)
    for axes in all_axes.flat:
        axes.set_axis_off()
    for row, row_axes in zip(rows, all_axes, strict=True):
        for panel, axes in zip(row, row_axes, strict=False):
            axes.imshow(
                panel.density,
                origin="lower",
                extent=(grid.low, grid.high) * 2,
                cmap="Reds",
                vmin=0.0,
                vmax=peak,
            )
            if panel.samples is not None:
                axes.scatter(
                    *panel.samples.T, s=2, color=_SAMPLES, linewidths=0
                )
            axes.set(xlim=(grid.low, grid.high), ylim=(grid.low, grid.high))
            axes.set_title(panel.title, fontsize="medium")
    return figure


class Reconstructions(NamedTuple):
    """Reconstructions by an autoencoder with a one-dimensional latent space.

    Attributes:
        inliers: float [num_inliers, 2].
        outliers: float [num_outliers, 2].
        reconstructed_inliers: float [num_inliers, 2].
        reconstructed_outliers: float [num_outliers, 2].
        manifold: float [num_points, 2], decoded latents in order.
    """

    inliers: np.ndarray
    outliers: np.ndarray
    reconstructed_inliers: np.ndarray
    reconstructed_outliers: np.ndarray
    manifold: np.ndarray


def manifold_figure(methods: Mapping[str, Reconstructions]):
    """Link points of the plane to their reconstructions (Figure 11).

    Args:
        methods: reconstructions of the same points, by title of the method.

    Returns:
        A `matplotlib.figure.Figure`.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4.2 * len(methods), 3.0))
    all_axes = figure.subplots(1, len(methods), squeeze=False)[0]
    for axes, (title, result) in zip(all_axes, methods.items(), strict=True):
        for points, targets, color, marker in [
            (result.inliers, result.reconstructed_inliers, _INLIERS, "."),
            (result.outliers, result.reconstructed_outliers, _OUTLIERS, "x"),
        ]:
            links = np.stack([points, targets], axis=1)
            axes.plot(*links.T, ":", color="0.4", linewidth=0.7, zorder=1)
            axes.scatter(*points.T, s=16, color=color, marker=marker, zorder=3)
        axes.plot(*result.manifold.T, color=_MANIFOLD, linewidth=1.2, zorder=2)
        axes.set(
            xlim=(-3.2, 3.2), ylim=(-1.6, 1.6), title=title, aspect="equal"
        )
    figure.tight_layout()
    return figure
