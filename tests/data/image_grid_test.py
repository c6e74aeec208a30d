"""Laying out images in rows."""

import numpy as np
import pytest

from nae_tf.data.image_arrays import image_grid


def test_images_stand_in_rows_with_gaps_and_an_unfinished_last_row():
    images = np.stack([np.full((2, 3, 1), value) for value in (0.1, 0.2, 0.3)])
    grid = image_grid(images, num_columns=2)[..., 0]
    np.testing.assert_array_equal(
        grid,
        [
            [0.1, 0.1, 0.1, 1.0, 0.2, 0.2, 0.2],
            [0.1, 0.1, 0.1, 1.0, 0.2, 0.2, 0.2],
            [1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0],
            [0.3, 0.3, 0.3, 1.0, 1.0, 1.0, 1.0],
            [0.3, 0.3, 0.3, 1.0, 1.0, 1.0, 1.0],
        ],
    )


@pytest.mark.parametrize(
    ("count", "rows", "columns"), [(1, 1, 1), (3, 2, 2), (6, 2, 3), (9, 3, 3)]
)
def test_without_a_number_of_columns_the_grid_is_about_square(
    count, rows, columns
):
    grid = image_grid(np.zeros((count, 2, 2, 1), np.float32))
    assert grid.dtype == np.float32
    assert grid.shape == (3 * rows - 1, 3 * columns - 1, 1)
