"""How a sample comes about, drawn by matplotlib (Figure 7)."""

from collections.abc import Mapping

import numpy as np

from nae_tf.data.image_arrays import image_grid


def stages_figure(stages: Mapping[str, np.ndarray]):
    """Show the stages of the same samples side by side (Figure 7).

    Args:
        stages: arrays by title, float [num_samples, height, width, channels]
            in [0, 1], or [num_samples, 2] for points of the plane. Sample i is
            at the same place in every panel.

    Returns:
        A `matplotlib.figure.Figure`.

    Raises:
        ValueError: if samples are vectors of another size than two.
    """
    from matplotlib.figure import Figure

    size = 4.0
    figure = Figure(figsize=(size * len(stages), size + 0.4))
    panels = figure.subplots(1, len(stages), squeeze=False)[0]
    for axes, (title, samples) in zip(panels, stages.items(), strict=True):
        axes.set_title(title)
        if samples.ndim == 4:
            grid = np.clip(image_grid(samples), 0, 1)
            # matplotlib takes grey images without an axis of channels.
            grid = grid[..., 0] if grid.shape[-1] == 1 else grid
            axes.imshow(grid, cmap="gray", vmin=0, vmax=1)
            axes.set_axis_off()
        elif samples.shape[1] == 2:
            axes.scatter(*samples.T, s=6, linewidths=0)
            axes.set_aspect("equal")
        else:
            raise ValueError(
                "a picture shows images or points of the plane, not vectors "
                f"of {samples.shape[1]} values."
            )
    figure.tight_layout()
    return figure
