"""Many images as one."""

import math

import numpy as np


def image_grid(
    images: np.ndarray,
    num_columns: int | None = None,
    gap: int = 1,
    background: float = 1.0,
) -> np.ndarray:
    """Lay images out in rows, from left to right.

    Args:
        images: float [num_images, height, width, channels].
        num_columns: images a row, > 0; the last row may be shorter. None for a
            grid about square.
        gap: pixels between neighbours.
        background: value of the gaps and of missing images.

    Returns:
        float [grid_height, grid_width, channels], the type of `images`.
    """
    count, height, width, channels = images.shape
    num_columns = num_columns or math.ceil(math.sqrt(count))
    num_rows = -(-count // num_columns)
    tiles = np.full(
        (num_rows * num_columns, height + gap, width + gap, channels),
        background,
        images.dtype,
    )
    tiles[:count, :height, :width] = images
    grid = tiles.reshape(num_rows, num_columns, *tiles.shape[1:])
    grid = grid.transpose(0, 2, 1, 3, 4).reshape(
        num_rows * (height + gap), num_columns * (width + gap), channels
    )
    return grid[: grid.shape[0] - gap, : grid.shape[1] - gap]
