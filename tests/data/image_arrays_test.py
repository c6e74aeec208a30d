"""Images keep their content at other sizes and colours, and stand in rows."""

import numpy as np
import pytest
from data_files import random_images

from nae_tf.data import image_arrays


def test_resizing_to_the_same_shape_changes_nothing():
    images = random_images(5, 7, 6, 3)
    np.testing.assert_array_equal(
        image_arrays.resize_images(images, (7, 6, 3)), images
    )


def test_resizing_is_bilinear_with_half_pixel_centres():
    image = np.array([[[0], [100]]], np.uint8)
    resized = image_arrays.resize_images(image, (1, 4, 1))
    np.testing.assert_array_equal(resized[0, :, 0], [0, 25, 75, 100])


def test_shrinking_averages_instead_of_skipping_pixels():
    stripes = np.zeros((32, 32, 1), np.uint8)
    stripes[:, ::4] = 200
    shrunk = image_arrays.resize_images(stripes, (8, 8, 1)).numpy()
    np.testing.assert_array_equal(shrunk[:, 1:-1], np.full((8, 6, 1), 50))


def test_grey_images_become_three_equal_channels():
    images = random_images(4, 5, 5, 1)
    np.testing.assert_array_equal(
        image_arrays.resize_images(images, (5, 5, 3)),
        images.repeat(3, axis=-1),
    )


def test_colours_become_their_mean():
    image = np.array([[[10, 20, 60]]], np.uint8)
    assert image_arrays.resize_images(image, (1, 1, 1)).numpy().item() == 30


def test_padding_centres_the_image_among_zeros():
    images = random_images(4, 28, 28, 1)
    padded = image_arrays.pad_images(images, (32, 32, 3)).numpy()
    np.testing.assert_array_equal(
        padded[:, 2:30, 2:30], images.repeat(3, axis=-1)
    )
    padded[:, 2:30, 2:30] = 0
    assert not padded.any()


def test_gray_images_keep_the_energy_of_the_colours():
    images = random_images(50, 3, 3, 3)
    gray = image_arrays.gray_images(images, (3, 3, 3)).numpy()
    expected = np.sqrt(np.mean(images.astype(float) ** 2, axis=-1))
    for channel in range(3):
        np.testing.assert_allclose(gray[..., channel], expected, atol=0.51)
    white = np.full((2, 2, 3), 255, np.uint8)
    assert (image_arrays.gray_images(white, (2, 2, 3)).numpy() == 255).all()


# --- In rows ----------------------------------------------------------------


def test_images_stand_in_rows_with_gaps_and_an_unfinished_last_row():
    images = np.stack([np.full((2, 3, 1), value) for value in (0.1, 0.2, 0.3)])
    grid = image_arrays.image_grid(images, num_columns=2)[..., 0]
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
    grid = image_arrays.image_grid(np.zeros((count, 2, 2, 1), np.float32))
    assert grid.dtype == np.float32
    assert grid.shape == (3 * rows - 1, 3 * columns - 1, 1)


def test_an_unfinished_row_of_pairs_keeps_its_columns():
    images = np.zeros((3, 200, 200, 1))
    grid = image_arrays.pair_grid(images, images + 0.5)[..., 0]
    assert grid.shape == (4 * 201 - 1, 2 * 201 - 1)
    corners = grid[::201, ::201]
    np.testing.assert_array_equal(
        corners, [[0, 0], [128, 128], [0, 255], [128, 255]]
    )
