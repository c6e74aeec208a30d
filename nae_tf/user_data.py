"""Tasks on the user's own files: one gin line tells where they are."""

import glob
import os
import pathlib
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import gin
import numpy as np
import tensorflow as tf

from nae_tf import array_files, data, examples, image_files, synthetic
from nae_tf.image_resizing import ImageShape

Paths = str | Sequence[str]


class UserFiles(NamedTuple):
    """Everything that some paths hold.

    Attributes:
        title: the paths, for messages.
        size: number of examples.
        labels: str [size], or None if there are no classes.
        select: makes named examples of some positions.
    """

    title: str
    size: int
    labels: np.ndarray | None
    select: Callable[[str, np.ndarray], data.Examples]


def read_files(
    paths: Paths,
    key: str | None = None,
    label_key: str | None = None,
    image_shape: ImageShape | None = None,
) -> UserFiles:
    """Read folders of images, or files of arrays, tables or records.

    A folder holds PNG, JPEG or BMP images; subfolders are classes. Folders of
    more than 1 GiB of pixels are read again in every epoch. Files are .npy,
    .npz, HDF5 (.h5, .hdf5; needs h5py), .csv or .tfrecord (tf.train.Example
    with encoded images or lists of numbers); they must fit in memory.

    Images of bytes have 256 levels. Images of floats must lie in [0, 1].
    Vectors are taken as they are: scale them to order 1 beforehand.

    Args:
        paths: one or several, with * as in a shell.
        key: of the examples in .npz, HDF5 and .tfrecord files; not needed if
            there is nothing else but `label_key`.
        label_key: of the classes; in a .csv file the name of a column.
        image_shape: [height, width, channels] to resize images of bytes to;
            None means that all must have one shape.

    Raises:
        FileNotFoundError: if a path does not exist.
        ModuleNotFoundError: if h5py is needed and not installed.
        ValueError: if a file is not what it should be; one line names it.
    """
    found = _existing(paths)
    title = str(found[0])
    if len(found) > 1:
        title += f" and {len(found) - 1} more"
    if image_shape is not None and (
        len(image_shape) != 3 or min(image_shape) < 1
    ):
        raise ValueError(
            f"{title}: expected image_shape (height, width, channels), all "
            f">= 1, received {tuple(image_shape)}."
        )
    folders = [path for path in found if path.is_dir()]
    if folders and len(folders) < len(found):
        raise ValueError(f"{title}: cannot mix folders and files.")
    if folders:
        return _from_folders(title, folders, image_shape)
    return _from_arrays(title, found, key, label_key, image_shape)


@gin.register(module="nae_tf")
def user_data(
    inliers: Paths,
    outliers: Mapping[str, Paths] | None = None,
    selection: Mapping[str, Paths] | None = None,
    key: str | None = None,
    image_shape: ImageShape | None = None,
    validation_fraction: float = 0.1,
    test_fraction: float = 0.2,
    split_seed: int = 0,
) -> data.Task:
    """Own inliers, split at random, and any number of own outliers.

        user_data.inliers = "photos/good"
        user_data.outliers = {"scratch": "photos/scratch"}

    Args:
        inliers: see `read_files`, which reads all paths.
        outliers: outliers of the final table by name.
        selection: outliers that model selection may look at, by name. None
            means ConstantGray for images and none for vectors.
        key: see `read_files`.
        image_shape: see `read_files`.
        validation_fraction: of the inliers; `data.split_indices` draws
            round(validation_fraction * size).
        test_fraction: of the inliers, likewise.
        split_seed: of the random split.

    Raises:
        FileNotFoundError: if a path does not exist.
        ModuleNotFoundError: if h5py is needed and not installed.
        ValueError: if a file is not what it should be.
    """

    def read_all(named):
        for name in named or {}:
            if not isinstance(name, str):
                raise ValueError(
                    "user_data: expected sets of outliers by name, received "
                    f"the name {name!r}; put it into quotes."
                )
        files = {
            name: read_files(paths, key, image_shape=image_shape)
            for name, paths in (named or {}).items()
        }
        return {
            name: file.select(name, np.arange(file.size))
            for name, file in files.items()
        }

    files = read_files(inliers, key, image_shape=image_shape)
    fractions = validation_fraction, test_fraction
    splits = _split(files, np.arange(files.size), fractions, split_seed)
    return data.Task(
        name=files.title,
        **splits,
        selection=read_all(selection)
        if selection is not None
        else _default_selection(splits["train"].shape),
        outliers=read_all(outliers),
    )


@gin.register(module="nae_tf")
def user_data_holdout(
    paths: Paths,
    held_out_class: str | int,
    key: str | None = None,
    label_key: str | None = None,
    image_shape: ImageShape | None = None,
    validation_fraction: float = 0.1,
    test_fraction: float = 0.2,
    split_seed: int = 0,
) -> data.Task:
    """Hold out one class of own data as the outlier class; cf. `user_data`.

        user_data_holdout.paths = "flowers"          # flowers/rose/1.png, ...
        user_data_holdout.held_out_class = "rose"

    Args:
        paths: see `read_files`.
        held_out_class: subfolder or label.
        key: see `read_files`.
        label_key: see `read_files`; not needed for folders.
        image_shape: see `read_files`.
        validation_fraction: see `user_data`.
        test_fraction: see `user_data`.
        split_seed: see `user_data`.

    Raises:
        FileNotFoundError: if a path does not exist.
        ModuleNotFoundError: if h5py is needed and not installed.
        ValueError: if a file is not what it should be or has no such class.
    """
    files = read_files(paths, key, label_key, image_shape)
    if files.labels is None:
        raise ValueError(
            f"{files.title} has no classes; set label_key, or sort images "
            "into subfolders."
        )
    is_outlier = files.labels == str(held_out_class)
    classes = np.unique(files.labels).tolist()
    if not is_outlier.any():
        raise ValueError(
            f"{files.title} has no class {str(held_out_class)!r}; it has "
            f"{classes[:20]}{' and more' if len(classes) > 20 else ''}."
        )
    fractions = validation_fraction, test_fraction
    inliers = np.flatnonzero(~is_outlier)
    splits = _split(files, inliers, fractions, split_seed)
    name = str(held_out_class)
    return data.Task(
        name=f"{files.title} without {name}",
        **splits,
        selection=_default_selection(splits["train"].shape),
        outliers={name: files.select(name, np.flatnonzero(is_outlier))},
    )


def _existing(paths):
    """Paths that exist; those of a pattern in alphabetical order."""
    patterns = [paths] if isinstance(paths, (str, os.PathLike)) else paths
    found = []
    for pattern in map(os.fspath, patterns):
        matches = [pattern] if os.path.exists(pattern) else glob.glob(pattern)
        if not matches:
            raise FileNotFoundError(f"there is no file or folder {pattern}.")
        found += sorted(matches)
    if not found:
        raise ValueError("expected one path or more, received an empty list.")
    return [pathlib.Path(path) for path in found]


def _from_folders(title, folders, image_shape):
    files, labels = [], []
    for folder in folders:
        folder_files, folder_labels = image_files.list_images(folder)
        files += folder_files
        labels += folder_labels
    shape, images = image_files.read_images(files, image_shape)

    def stream(indices):
        if images is None:
            return image_files.stream_images(
                [files[index] for index in indices], shape
            )
        return tf.data.Dataset.from_tensor_slices(images[indices])

    def select(name, indices):
        return examples.from_indices(name, shape, 256, indices, stream)

    has_classes = None not in labels
    return UserFiles(
        title, len(files), np.array(labels) if has_classes else None, select
    )


def _from_arrays(title, paths, key, label_key, image_shape):
    arrays, labels = zip(
        *(
            array_files.read_array(path, key, label_key, image_shape)
            for path in paths
        ),
        strict=True,
    )
    kinds = {(array.shape[1:], array.dtype) for array in arrays}
    if len(kinds) > 1:
        raise ValueError(
            f"{title}: expected examples of one shape and type in all files, "
            f"received {sorted(map(str, kinds))}."
        )
    values = arrays[0] if len(arrays) == 1 else np.concatenate(arrays)
    num_levels = 256 if values.dtype == np.uint8 else None

    def select(name, indices):
        return examples.ArrayExamples(
            name,
            len(indices),
            values.shape[1:],
            num_levels,
            lambda: values[indices],
        )

    has_classes = label_key is not None
    return UserFiles(
        title,
        len(values),
        np.concatenate(labels) if has_classes else None,
        select,
    )


def _split(files, inliers, fractions, seed):
    """Named arguments train, validation and test of a task."""
    sizes = [round(fraction * len(inliers)) for fraction in fractions]
    if min(sizes) < 1 or sum(sizes) >= len(inliers):
        raise ValueError(
            f"{files.title}: {len(inliers)} inliers cannot be split into "
            f"{sizes[0]} for validation, {sizes[1]} for the test and the rest "
            "for training; give more, or other fractions."
        )
    parts = data.split_indices(len(inliers), sizes, seed)
    return {
        split: files.select(f"{files.title}, {split}", inliers[part])
        for split, part in zip(
            ("train", "validation", "test"), parts, strict=True
        )
    }


def _default_selection(shape):
    if len(shape) != 3:
        return {}
    return {"constant_gray": synthetic.constant_gray(shape, "validation")}
