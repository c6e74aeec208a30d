"""Figures 2 and 4, in a plane of data, drawn by matplotlib."""

from typing import Any

import numpy as np

_MODEL, _DATA, _MANIFOLD = "#c0392b", "#1f6fb4", "#2e8b57"


def energy_gradient_figure(
    extent: tuple[float, float],
    model_density: np.ndarray,
    data_density: np.ndarray,
    samples: np.ndarray,
    sample_changes: np.ndarray,
    data: np.ndarray,
    data_changes: np.ndarray,
):
    """Show how a step of maximum likelihood changes energies (Figure 2).

    Red is the model, blue the data: densities as shades, samples of the model
    as dots, examples as crosses. An arrow points up where the step of Eq. 7
    raises the energy and down where it lowers it. Its length grows with the
    square root of the change, so that small ones can be seen beside large ones.

    Args:
        extent: low and high end of both axes.
        model_density: float [height, width], row 0 at the low end.
        data_density: float [height, width].
        samples: float [num_samples, 2].
        sample_changes: float [num_samples], change of their energy.
        data: float [num_examples, 2].
        data_changes: float [num_examples], change of their energy.

    Returns:
        A `matplotlib.figure.Figure`.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5.2, 5.2))
    axes = figure.subplots()
    _shade(axes, extent, data_density, _DATA)
    _shade(axes, extent, model_density, _MODEL)
    all_changes = np.concatenate([sample_changes, data_changes])
    largest = np.abs(all_changes).max() or 1.0
    length = 0.15 * (extent[1] - extent[0])
    for points, changes, color, marker, name in [
        (samples, sample_changes, _MODEL, "o", "samples of the model"),
        (data, data_changes, _DATA, "x", "data"),
    ]:
        axes.scatter(
            points[:, 0],
            points[:, 1],
            s=22,
            c=color,
            marker=marker,
            linewidths=1.2,
            label=name,
        )
        axes.quiver(
            *points.T,
            np.zeros(len(points)),
            length * np.sign(changes) * np.sqrt(np.abs(changes) / largest),
            color=color,
            angles="xy",
            scale_units="xy",
            scale=1,
            width=0.004,
        )
    axes.legend(loc="upper right", framealpha=0.9)
    _finish(axes, extent)
    figure.tight_layout()
    return figure


def on_manifold_figure(
    extent: tuple[float, float],
    model_density: np.ndarray,
    coordinates: np.ndarray,
    latent_energy: np.ndarray,
    manifold: np.ndarray,
    latent_path: np.ndarray,
    latent_path_energy: np.ndarray,
    manifold_path: np.ndarray,
    visible_path: np.ndarray,
):
    """Show how the two chains draw a negative sample (Figure 4).

    Left is the latent chain on H(z) = E(decode(z)), over the coordinate of a
    one-dimensional latent space. Right is the same chain on the decoder's
    manifold. The visible chain goes from the red star, where the latent chain
    ends, to the green cross.

    Args:
        extent: low and high end of both axes of the plane.
        model_density: float [height, width], row 0 at the low end.
        coordinates: float [num_points], coordinates of latents.
        latent_energy: float [num_points], H of these latents.
        manifold: float [num_points, 2], these latents decoded.
        latent_path: float [num_states], coordinates of the latent chain.
        latent_path_energy: float [num_states], H of its states.
        manifold_path: float [num_states, 2], its states decoded.
        visible_path: float [num_moves, 2], states of the visible chain.

    Returns:
        A `matplotlib.figure.Figure`.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9.6, 4.6))
    left, right = figure.subplots(1, 2, width_ratios=[1, 1.15])
    left.plot(coordinates, latent_energy, color=_MANIFOLD, zorder=1)
    left.plot(latent_path, latent_path_energy, ".-", color=_MODEL, lw=0.7)
    left.plot(latent_path[0], latent_path_energy[0], "o", mfc="w", color=_MODEL)
    left.plot(latent_path[-1], latent_path_energy[-1], "*", ms=15, color=_MODEL)
    left.set(xlabel="latent coordinate", ylabel="H(z) = E(decode(z))")
    left.set_title("latent chain", fontsize="medium")
    left.spines[["top", "right"]].set_visible(False)
    _shade(right, extent, model_density, "#444444")
    right.plot(*manifold.T, color=_MANIFOLD, label="decoder manifold")
    right.plot(*manifold_path.T, ".-", color=_MODEL, lw=0.7)
    right.plot(
        *visible_path.T, ".-", color=_DATA, lw=0.7, label="visible chain"
    )
    right.plot(*manifold_path[0], "o", mfc="w", color=_MODEL)
    right.plot(
        *visible_path[0],
        "*",
        ms=15,
        color=_MODEL,
        ls="none",
        label="on-manifold start",
    )
    right.plot(
        *visible_path[-1],
        "X",
        ms=10,
        color=_MANIFOLD,
        mec="w",
        ls="none",
        label="negative sample",
    )
    right.set_title("plane of the data", fontsize="medium")
    right.legend(
        loc="upper right", framealpha=0.9, fontsize="small", markerscale=0.6
    )
    _finish(right, extent)
    figure.tight_layout()
    return figure


def _shade(axes: Any, extent, density: np.ndarray, color: str):
    """Colour a density, transparent where it is low."""
    from matplotlib.colors import LinearSegmentedColormap, to_rgba

    red, green, blue, _ = to_rgba(color)
    shades = LinearSegmentedColormap.from_list(
        "shade", [(red, green, blue, 0.0), (red, green, blue, 0.55)]
    )
    axes.imshow(
        density, cmap=shades, extent=[*extent, *extent], origin="lower", vmin=0
    )


def _finish(axes: Any, extent):
    axes.set(xlim=extent, ylim=extent, xticks=[], yticks=[])
    axes.set_aspect("equal")
