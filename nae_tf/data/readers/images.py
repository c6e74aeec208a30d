"""Readers of folders of images, which refuse damaged or unfit files."""

import concurrent.futures
import os
import pathlib
from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from nae_tf.data import sources
from nae_tf.data.image_arrays import ImageShape, resize_images

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp")


def _files_below(folder, above=()):
    """Yield all files below a folder but hidden ones; links are followed."""
    here = folder.resolve()
    if here in above:
        raise ValueError(
            f"{folder} is a link to a folder that contains it; remove it."
        )
    for path in folder.iterdir():
        if path.name.startswith("."):
            continue
        if path.is_dir():
            yield from _files_below(path, (*above, here))
        else:
            yield path


def list_images(
    folder: pathlib.Path,
) -> tuple[list[pathlib.Path], list[str | None]]:
    """List the images of a folder and its subfolders, in alphabetical order.

    Args:
        folder: folder of the images. Links are followed, hidden files ignored.

    Returns:
        Files, and for each the first subfolder it is in, or None.

    Raises:
        ValueError: if there is no image, another kind of file, or a link to a
            folder that contains it.
    """
    files: list[pathlib.Path] = []
    labels: list[str | None] = []
    for path in sorted(_files_below(folder)):
        if path.suffix.lower() not in IMAGE_SUFFIXES:
            raise ValueError(
                f"{path} is not an image ({', '.join(IMAGE_SUFFIXES)}); move "
                f"it out of {folder}."
            )
        files.append(path)
        parts = path.relative_to(folder).parts
        labels.append(parts[0] if len(parts) > 1 else None)
    if not files:
        raise ValueError(f"{folder} holds no image.")
    return files, labels


def read_images(
    files: Sequence[pathlib.Path], image_shape: ImageShape | None = None
) -> tuple[tuple[int, ...], np.ndarray | None]:
    """Decode every image once, so that a damaged one is found before training.

    Args:
        files: paths of one image or more.
        image_shape: [height, width, channels] to resize to; None means that
            all must have the shape of the first. Channels are never converted.

    Returns:
        Shape of the images, and uint8 `[number, *shape]`, or None if they
        would take more memory than `sources.MAX_BYTES_IN_MEMORY`.

    Raises:
        ValueError: if an image is damaged or has another shape.
    """
    shape = read_image(files[0], image_shape).shape
    num_bytes = len(files) * int(np.prod(shape))
    images = None
    if num_bytes <= sources.MAX_BYTES_IN_MEMORY:
        images = np.empty((len(files), *shape), np.uint8)

    def read(position):
        image = read_image(files[position], image_shape)
        if image.shape != shape:
            raise ValueError(
                f"{files[position]} has the shape {image.shape}, but "
                f"{files[0]} has {shape}; set image_shape to resize images, "
                "or convert those with another number of channels."
            )
        if images is not None:
            images[position] = image

    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as threads:
        for _ in threads.map(read, range(len(files))):
            pass
    return shape, images


def read_image(
    file: pathlib.Path, image_shape: ImageShape | None = None
) -> np.ndarray:
    """Read one image with the checks of `decode_image`.

    Args:
        file: path of the image.
        image_shape: [height, width, channels] to resize to; None keeps its
            shape.

    Returns:
        uint8 [height, width, channels].
    """
    return decode_image(file.read_bytes(), str(file), image_shape)


def decode_image(
    encoded: bytes, title: str, image_shape: ImageShape | None = None
) -> np.ndarray:
    """Decode one PNG, JPEG or BMP image.

    Args:
        encoded: contents of the file.
        title: name of the image, used in error messages.
        image_shape: [height, width, channels] to resize to; None keeps its
            shape.

    Returns:
        uint8 [height, width, channels].

    Raises:
        ValueError: if the image is damaged or has other channels.
    """
    try:
        image = tf.io.decode_image(encoded, expand_animations=False)
    except tf.errors.InvalidArgumentError as error:
        raise ValueError(f"{title} is not an image or is damaged.") from error
    channels = [1, 3] if image_shape is None else [image_shape[-1]]
    if image.shape[-1] not in channels:
        raise ValueError(
            f"{title} has {image.shape[-1]} channels, expected "
            f"{' or '.join(map(str, channels))}; convert it."
        )
    if image_shape is not None:
        image = resize_images(image, image_shape)
    return image.numpy()


def stream_images(
    files: Sequence[pathlib.Path], shape: tuple[int, ...]
) -> tf.data.Dataset:
    """Read images again that `read_images` has checked.

    Args:
        files: paths of the images.
        shape: [height, width, channels] of all images.

    Returns:
        Unbatched data set of uint8 [height, width, channels].
    """

    def decode(path):
        image = tf.io.decode_image(
            tf.io.read_file(path), shape[-1], expand_animations=False
        )
        image.set_shape([None, None, shape[-1]])
        return tf.ensure_shape(resize_images(image, shape), shape)

    paths = tf.data.Dataset.from_tensor_slices([str(file) for file in files])
    return paths.map(decode, tf.data.AUTOTUNE, deterministic=True)
