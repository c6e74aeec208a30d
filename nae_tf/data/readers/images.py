"""Readers of folders of images, which refuse damaged or unfit files."""

import concurrent.futures
import functools
import os
import pathlib
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from nae_tf.data import sources
from nae_tf.data.image_arrays import (
    ImageShape,
    resize_images,
    upright_image,
    white_level,
)
from nae_tf.data.image_graphs import decode_checked, is_png_or_jpeg
from nae_tf.data.image_headers import (
    JPEG_SIGNATURE,
    PNG_SIGNATURE,
    read_header,
)
from nae_tf.data.readers.checks import checked_levels, warn_of_dark_levels
from nae_tf.data.readers.contents import refuse_special
from nae_tf.data.readers.pillow_images import decode_by_pillow
from nae_tf.data.shared_memory import aligned_array

IMAGE_SUFFIXES = (
    *(".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff"),
    *(".gif", ".webp", ".pgm", ".ppm", ".pbm"),
)
# 134 million pixels: a file of a few bytes may claim any size.
MAX_PIXELS = 2**27
# Images that a thread reads one after the other.
_PART = 64
_SMALL = 128 * 128  # Pixels.
# What desktops leave in folders, beside hidden files.
_LEFT_BY_DESKTOPS = ("thumbs.db", "desktop.ini", "__macosx", "@eadir")
_FOLDERS_OF_MASKS = ("ground_truth", "groundtruth", "masks")
_NAMES_OF_MASKS = ("_mask", "_label", "_gt", "_seg")
_PHOTOGRAPHS = (
    *(".heic", ".heif", ".avif", ".jxl", ".jp2"),
    *(".dng", ".nef", ".cr2", ".cr3", ".arw", ".raf", ".orf", ".rw2", ".raw"),
)
# Kinds of files that are read, but by their own names.
_NO_IMAGES = (
    *(".dcm", ".nii", ".gz", ".fits", ".npy", ".npz", ".h5", ".hdf5", ".mat"),
    *(".csv", ".tsv", ".parquet", ".feather", ".arrow", ".root", ".tfrecord"),
)


def is_hidden(path: pathlib.Path) -> bool:
    """Whether a path is hidden or left by desktops, as Thumbs.db."""
    name = path.name.lower()
    return name.startswith(".") or name in _LEFT_BY_DESKTOPS


def files_below(folder: pathlib.Path, above=()) -> Iterator[pathlib.Path]:
    """Yield all files below a folder but hidden ones; links are followed.

    Args:
        folder: folder with subfolders.
        above: folders that contain it.

    Raises:
        ValueError: if there is a link to a folder that contains it.
    """
    here = folder.resolve()
    if here in above:
        raise ValueError(
            f"{folder} is a link to a folder that contains it; remove it."
        )
    with os.scandir(folder) as entries:
        for entry in entries:
            path = folder / entry.name
            if is_hidden(path):
                continue
            # An entry knows it without asking the disk, unless it is a link.
            if path.is_dir() if entry.is_symlink() else entry.is_dir():
                yield from files_below(path, (*above, here))
            else:
                yield path


def list_images(
    folder: pathlib.Path,
) -> tuple[list[pathlib.Path], list[str | None]]:
    """List the images of a folder and its subfolders, in alphabetical order.

    Args:
        folder: folder of the images. Links are followed; hidden files and what
            desktops leave, as Thumbs.db, are ignored.

    Returns:
        Files, and for each the first subfolder it is in, or None.

    Raises:
        ValueError: if there is no image, another kind of file, masks beside
            images, or a link to a folder that contains it.
    """
    for name in ("zarr.json", ".zarray", ".zgroup"):
        if (folder / name).exists():
            raise ValueError(
                f"{folder} is a store of zarr; write its array as .npy or HDF5."
            )
    files: list[pathlib.Path] = []
    labels: list[str | None] = []
    label_of = functools.cache(functools.partial(_first_subfolder, folder))
    for path in sorted(files_below(folder), key=lambda path: path.parts):
        if path.suffix.lower() not in IMAGE_SUFFIXES:
            raise ValueError(
                f"{path} is not an image ({', '.join(IMAGE_SUFFIXES)}); "
                f"{_remedy(path, folder)}."
            )
        refuse_special(path)
        files.append(path)
        labels.append(label_of(path.parent))
    if not files:
        raise ValueError(
            f"{folder} holds no image; remove it, or put images into it."
        )
    _refuse_masks(folder, files)
    return files, labels


def _first_subfolder(folder, parent) -> str | None:
    return next(iter(parent.relative_to(folder).parts), None)


def _remedy(path, folder):
    if path.suffix.lower() in _PHOTOGRAPHS:
        return "convert it to PNG (8 or 16 bits) or JPEG"
    if path.suffix.lower() in _NO_IMAGES:
        pattern = path.parent / f"*{path.suffix}"
        return f"name files of arrays by themselves, in training by '{pattern}'"
    return f"move it out of {folder}"


def _refuse_masks(folder, files):
    """Refuse the masks of a data set, which would be taken for images."""

    @functools.cache
    def holds_masks(parent):
        parts = parent.relative_to(folder).parts
        return any(part.lower() in _FOLDERS_OF_MASKS for part in parts)

    @functools.cache
    def known():
        return {path.with_suffix("") for path in files}

    def is_mask_by_name(path):
        stem = path.stem
        return any(
            stem.lower().endswith(ending)
            and stem.lower() != ending
            and path.with_name(stem[: -len(ending)]) in known()
            for ending in _NAMES_OF_MASKS
        )

    for path in files:
        if holds_masks(path.parent) or is_mask_by_name(path):
            raise ValueError(
                f"{path} looks like a mask of another image; name the folders "
                "of the images themselves, or move the masks out of "
                f"{folder}."
            )


class FolderImages(NamedTuple):
    """What reading every image once has found out.

    Attributes:
        shape: [height, width, channels] of all.
        dtype: type of all: uint8, uint16, or float32 in [0, 1].
        values: `[number, *shape]`, or None if they would take more memory than
            `sources.MAX_BYTES_IN_MEMORY`.
    """

    shape: tuple[int, ...]
    dtype: np.dtype
    values: np.ndarray | None


def read_images(
    files: Sequence[pathlib.Path],
    image_shape: ImageShape | None = None,
    max_level: int | None = None,
) -> FolderImages:
    """Decode every image once, so that a damaged one is found before training.

    Args:
        files: paths of one image or more.
        image_shape: [height, width, channels] to resize to; None means that
            all must have the shape of the first. Channels are never converted.
        max_level: level of white; None means 255 or 65,535, by the depth.

    Raises:
        ValueError: if an image is damaged or has another shape or depth.
    """
    first = read_image(files[0], image_shape, max_level)
    shape, dtype = first.shape, first.dtype
    values = None
    if len(files) * first.nbytes <= sources.MAX_BYTES_IN_MEMORY:
        values = aligned_array((len(files), *shape), dtype)

    def read(position):
        image = read_image(files[position], image_shape, max_level)
        if image.shape != shape:
            raise ValueError(
                f"{files[position]} has the shape {image.shape}, but "
                f"{files[0]} has {shape}; set image_shape to resize images, "
                "or convert those with another number of channels."
            )
        if image.dtype != dtype:
            raise ValueError(
                f"{files[position]} has values of type {image.dtype}, but "
                f"{files[0]} has {dtype}; convert all to one depth."
            )
        if values is not None:
            values[position] = image
        return image.max()

    def read_part(start):
        stop = min(start + _PART, len(files))
        return max(map(read, range(start, stop)))

    num_threads = decoding_threads(files[0])
    with concurrent.futures.ThreadPoolExecutor(num_threads) as threads:
        highest = max(threads.map(read_part, range(0, len(files), _PART)))
    warn_of_dark_levels(files[0].parent, highest, dtype, max_level)
    return FolderImages(shape, dtype, values)


def decoding_threads(file: pathlib.Path) -> int:
    """Return how many threads decode images like one fastest.

    Threads wait for each other between decoders: two take twice as long as one
    for 28 x 28 pixels, as long for 128 x 128, and half as long for 256 x 256.

    Args:
        file: path of an image.
    """
    header = read_header(file.read_bytes())
    if header is not None and header.height * header.width < _SMALL:
        return 1
    return os.cpu_count() or 1


def read_image(
    file: pathlib.Path,
    image_shape: ImageShape | None = None,
    max_level: int | None = None,
) -> np.ndarray:
    """Read one image; arguments and errors are those of `decode_image`."""
    return decode_image(file.read_bytes(), str(file), image_shape, max_level)


def decode_image(
    encoded: bytes,
    title: str,
    image_shape: ImageShape | None = None,
    max_level: int | None = None,
) -> np.ndarray:
    """Decode one image file, whatever its name says, and turn it upright.

    TensorFlow decodes PNG and JPEG, `decode_by_pillow` the others. A channel of
    alpha that is opaque everywhere is dropped. Neither profiles nor gamma are
    applied.

    Args:
        encoded: contents of the file.
        title: name of the image, used in error messages.
        image_shape: [height, width, channels] to resize to; None keeps its
            shape.
        max_level: level of white; None means 255 or 65,535, by the depth.

    Returns:
        [height, width, channels]: levels as uint8 or uint16, or float32 in
        [0, 1] from a TIFF file of floats.

    Raises:
        ValueError: if the image is damaged, has other channels or more than
            `MAX_PIXELS` pixels, is transparent somewhere, or has levels above
            `max_level`.
    """
    if not encoded:
        raise ValueError(f"{title} is empty; remove it.")
    if encoded.startswith((PNG_SIGNATURE, JPEG_SIGNATURE)):
        image = _decode_by_tensorflow(encoded, title)
    else:
        image = decode_by_pillow(encoded, title, MAX_PIXELS, max_level)
    expected = (1, 3) if image_shape is None else (image_shape[-1],)
    image = _without_alpha(image, title, expected)
    if image.shape[-1] not in expected:
        raise ValueError(
            f"{title} has {image.shape[-1]} channels, expected "
            f"{' or '.join(map(str, expected))}; convert it."
        )
    image = checked_levels(title, image, max_level)
    if image_shape is None or image.shape == tuple(image_shape):
        return image
    return resize_images(image, image_shape).numpy()


def _checked_header(encoded, title):
    header = read_header(encoded)
    if header is None:
        raise ValueError(f"{title} is not an image or is damaged.")
    if header.fault is not None:
        raise ValueError(f"{title} {header.fault}.")
    if header.height * header.width > MAX_PIXELS:
        raise ValueError(
            f"{title} has {header.width} x {header.height} pixels, more than "
            f"{MAX_PIXELS}; make it smaller."
        )
    return header


def _decode_by_tensorflow(encoded, title):
    header = _checked_header(encoded, title)
    dtype = tf.uint16 if header.depth == 16 else tf.uint8
    try:
        image = tf.io.decode_image(
            encoded, dtype=dtype, expand_animations=False
        )
    except tf.errors.InvalidArgumentError as error:
        raise ValueError(f"{title} is not an image or is damaged.") from error
    if header.orientation != 1:
        image = upright_image(image, header.orientation)
    return image.numpy()


def _without_alpha(image, title, expected):
    """Drop alpha that says nothing, unless so many channels are expected."""
    if image.shape[-1] not in (2, 4) or image.shape[-1] in expected:
        return image
    if not (image[..., -1] == np.iinfo(image.dtype).max).all():
        raise ValueError(
            f"{title} has {image.shape[-1]} channels and is transparent in "
            f"places, expected {' or '.join(map(str, expected))} channels; lay "
            "it on a background."
        )
    return image[..., :-1]


def stream_images(
    files: Sequence[pathlib.Path],
    shape: tuple[int, ...],
    dtype: np.dtype,
    max_level: int | None = None,
    positions: tf.data.Dataset | None = None,
) -> tf.data.Dataset:
    """Read images again that `read_images` has checked.

    Args:
        files: paths of the images.
        shape: [height, width, channels] of all images.
        dtype: type of all images.
        max_level: level of white, as it was given to `read_images`.
        positions: data set of positions in `files`, int32 []; None for all
            files in their order.

    Returns:
        Unbatched data set of `dtype` [height, width, channels].
    """

    def read_other(path):
        return read_image(pathlib.Path(os.fsdecode(path)), shape, max_level)

    def orientation_of(encoded, path):
        return np.int64(_checked_header(encoded, os.fsdecode(path)).orientation)

    def read_levels(encoded, path):
        # A graph needs several times as long for it, and is for servers.
        orientation = tf.numpy_function(
            orientation_of, [encoded, path], tf.int64
        )
        orientation = tf.ensure_shape(orientation, ())
        levels = decode_checked(encoded, orientation, shape, levels_type, white)
        return tf.cast(levels, dtype)

    def decode(path):
        encoded = tf.io.read_file(path)
        # Only levels can come from PNG and JPEG.
        is_ours = is_png_or_jpeg(encoded) & np.issubdtype(dtype, np.integer)
        image = tf.cond(
            is_ours,
            lambda: read_levels(encoded, path),
            lambda: tf.numpy_function(read_other, [path], dtype),
        )
        return tf.ensure_shape(image, shape)

    levels_type = tf.uint16 if dtype == np.uint16 else tf.uint8
    white = white_level(levels_type, max_level)

    encoded_paths = tf.constant([os.fsencode(file) for file in files])
    paths = tf.data.Dataset.from_tensor_slices(encoded_paths)
    if positions is not None:
        paths = positions.map(lambda place: tf.gather(encoded_paths, place))
    return paths.map(decode, tf.data.AUTOTUNE, deterministic=True)
