"""Images upright, of other sizes and colours, with levels as before; grids."""

import functools
import math

import numpy as np
import tensorflow as tf

ImageShape = tuple[int, ...]


def resize_images(images, image_shape: ImageShape):
    """Bring images to another size and number of channels.

    Resizing is bilinear with antialiasing; levels are rounded, so that resized
    images have as many as the originals.

    Args:
        images: uint8, uint16 or float32 [..., height, width, channels].
        image_shape: [height, width, channels] of the result. One channel
            becomes three equal ones; three become their mean.

    Returns:
        `[..., *image_shape]`, the type of `images`.
    """
    height, width, channels = image_shape
    dtype = tf.as_dtype(images.dtype)
    if tuple(images.shape[-3:]) == tuple(image_shape):
        return tf.convert_to_tensor(images)
    if images.shape[-3:-1] != (height, width):
        images = tf.image.resize(images, (height, width), antialias=True)
    images = tf.cast(images, tf.float32)
    if channels == 1:
        images = tf.reduce_mean(images, axis=-1, keepdims=True)
    return _as_levels(_repeat_channels(images, channels), dtype)


def unit_images(owner: str, images) -> np.ndarray:
    """Return images as float32 in [0, 1].

    Args:
        owner: class or function that takes the images, for messages.
        images: uint8, or float in [0, 1], [num, height, width, channels].

    Raises:
        ValueError: if the shape, the type or the values are others.
    """
    images = np.asarray(images)
    if images.ndim == 3:
        raise ValueError(
            f"{owner}: expected images [num_examples, height, width, "
            f"channels], received shape {images.shape}; give grey images an "
            "axis of channels, X[..., np.newaxis], and sequences as rows, "
            "X.reshape(len(X), -1)."
        )
    if images.ndim != 4:
        raise ValueError(
            f"{owner}: expected images [num_examples, height, width, "
            f"channels], received shape {images.shape}."
        )
    if images.dtype == np.uint8:
        return images.astype(np.float32) / np.float32(255)
    if images.dtype.kind != "f":
        raise ValueError(
            f"{owner}: expected images of type uint8, or floats in [0, 1], "
            f"received {images.dtype}; divide by the level of white."
        )
    low, high = (images.min(), images.max()) if images.size else (0.0, 0.0)
    if not (low >= 0 and high <= 1):
        raise ValueError(
            f"{owner}: expected floats in [0, 1], received values from "
            f"{low:g} to {high:g}; divide images by the level of white."
        )
    return images.astype(np.float32)


def pad_images(images, image_shape: ImageShape):
    """Surround smaller images with zeros.

    Args:
        images: uint8 [..., height, width, channels].
        image_shape: [height, width, channels] of the result. One channel
            becomes three equal ones.

    Returns:
        uint8 `[..., *image_shape]`.

    Raises:
        ValueError: if the images are larger than `image_shape`.
    """
    height, width, channels = image_shape
    if images.shape[-3] > height or images.shape[-2] > width:
        raise ValueError(
            f"images of {tuple(images.shape[-3:-1])} pixels cannot be padded "
            f"to {(height, width)}; resize them instead."
        )
    images = tf.image.resize_with_crop_or_pad(images, height, width)
    return _repeat_channels(images, channels)


def gray_images(images, image_shape: ImageShape):
    """Resize, then replace every colour by a grey of the same energy.

        gray = sqrt(mean over the channels of x**2)

    The authors select models of CelebA on such images, with the sum in place
    of the mean: white is then sqrt(3), outside of the range of images.

    Arguments and result are those of `resize_images`.
    """
    squares = tf.square(tf.cast(resize_images(images, image_shape), tf.float32))
    gray = tf.sqrt(tf.reduce_mean(squares, axis=-1, keepdims=True))
    return _as_levels(_repeat_channels(gray, image_shape[-1]), tf.uint8)


def _repeat_channels(images, channels):
    if images.shape[-1] == channels:
        return images
    return tf.repeat(images, channels, axis=-1)


def _as_levels(images, dtype):
    if dtype.is_floating:
        return tf.cast(images, dtype)
    images = tf.clip_by_value(tf.round(images), 0.0, float(dtype.max))
    return tf.cast(images, dtype)


def upright_image(image, orientation):
    """Turn and mirror an image as the orientation of EXIF says.

    Args:
        image: [height, width, channels] as stored.
        orientation: int, 1 ... 8; or an int tensor [] in a graph.

    Returns:
        Tensor [height, width, channels] as seen, height and width exchanged
        where `orientation` is 5 or more.
    """

    def one_of(*orientations):
        return tf.reduce_any(tf.equal(orientation, orientations))

    # The diagonals first, then top and bottom, left and right.
    axes = tf.where(one_of(5, 6, 7, 8), [1, 0, 2], [0, 1, 2])
    reversed_axes = tf.boolean_mask(
        [0, 1], [one_of(3, 4, 7, 8), one_of(2, 3, 6, 7)]
    )
    return tf.reverse(tf.transpose(image, axes), reversed_axes)


@functools.cache  # Asked for every image; TensorFlow takes its time.
def white_level(dtype, max_level: int | None = None) -> int:
    """Return the level of an image that becomes 1.

    Args:
        dtype: type of the image, uint8 or uint16.
        max_level: level of white, or None for the largest of the type.
    """
    return int(tf.as_dtype(dtype).max) if max_level is None else max_level


def image_grid(
    images: np.ndarray, num_columns: int | None = None
) -> np.ndarray:
    """Lay images out in rows, from left to right, a white pixel between them.

    Args:
        images: float [num_images, height, width, channels].
        num_columns: images per row, > 0; the last row may be shorter. None
            means about as many rows as columns.

    Returns:
        float [grid_height, grid_width, channels], the type of `images`.
    """
    count, height, width, channels = images.shape
    num_columns = num_columns or math.ceil(math.sqrt(count))
    num_rows = -(-count // num_columns)
    tiles = np.ones(
        (num_rows * num_columns, height + 1, width + 1, channels), images.dtype
    )
    tiles[:count, :height, :width] = images
    grid = tiles.reshape(num_rows, num_columns, *tiles.shape[1:])
    grid = grid.transpose(0, 2, 1, 3, 4).reshape(
        num_rows * (height + 1), num_columns * (width + 1), channels
    )
    return grid[:-1, :-1]


def square_grid(images: np.ndarray) -> np.ndarray:
    """Return images in about as many rows as columns, uint8."""
    return _displayed(image_grid(images))


def pair_grid(images: np.ndarray, reconstructions: np.ndarray) -> np.ndarray:
    """Return rows of images, each over their reconstructions, uint8."""
    columns = math.ceil(math.sqrt(len(images)))
    rows = [
        part[start : start + columns]
        for start in range(0, len(images), columns)
        for part in (images, reconstructions)
    ]
    # An unfinished last row is filled up, so that pairs stay in columns.
    blank = np.ones((columns, *images.shape[1:]), images.dtype)
    rows = [np.concatenate([row, blank])[:columns] for row in rows]
    return _displayed(image_grid(np.concatenate(rows), columns))


def _displayed(grid):
    """Turn a picture in [0, 1] into bytes and enlarge a small one."""
    factor = max(1, 256 // min(grid.shape[:2]))
    pixels = np.round(np.clip(grid, 0.0, 1.0) * 255.0).astype(np.uint8)
    return pixels.repeat(factor, axis=0).repeat(factor, axis=1)
