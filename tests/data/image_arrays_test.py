"""Images keep their content at other sizes and colours."""

import numpy as np
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
