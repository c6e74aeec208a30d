"""Files and folders of a user, found by their paths and read."""

import dataclasses
import glob
import numbers
import os
import pathlib
import types
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from nae_tf.base.feature_names import Names
from nae_tf.base.setting_checks import check_integer
from nae_tf.data import examples, sources
from nae_tf.data.image_arrays import ImageShape
from nae_tf.data.readers.arrays import read_array
from nae_tf.data.readers.checks import num_levels
from nae_tf.data.readers.columns import Columns
from nae_tf.data.readers.doubtful import warn_of_no_names, warn_of_one_named
from nae_tf.data.readers.images import list_images, read_images, stream_images
from nae_tf.data.readers.units import Units, refuse_other_units
from nae_tf.data.shared_memory import aligned_array, as_tensor

Paths = str | Sequence[str]


class UserFiles(NamedTuple):
    """All examples of some paths.

    Attributes:
        title: name of the paths, used in tables and error messages.
        size: number of examples.
        labels: str [size], or None if there are no classes.
        select: function of a name and int [number] positions that returns
            the `Examples` at these positions.
        names: names of the features in their order; None for images and for
            features without names.
        counts: number of examples by file or folder.
        units: units of features by name, where a file has some.
    """

    title: str
    size: int
    labels: np.ndarray | None
    select: Callable[[str, np.ndarray], examples.Examples]
    names: Names | None = None
    counts: Mapping[str, int] = types.MappingProxyType({})
    units: Units = types.MappingProxyType({})


def read_files(
    paths: Paths,
    key: str | None = None,
    label_key: str | None = None,
    image_shape: ImageShape | None = None,
    names: Names | None = None,
    drop: Sequence[str] = (),
    header: str = "auto",
    drop_unlabelled: bool = False,
    max_level: int | None = None,
    linked_files: bool = False,
) -> UserFiles:
    """Read folders of images, or files of arrays, tables or records.

    A folder holds PNG, JPEG, BMP, TIFF, GIF, WebP or PGM images, told by their
    contents; subfolders are classes. Folders of more than 1 GiB of pixels are
    read again in every epoch. Files are arrays (.npy, .npz, HDF5, netCDF,
    MATLAB, FITS, NIfTI, DICOM), .tfrecord (tf.train.Example with encoded
    images or lists of numbers), or tables: .csv and .tsv, also with .gz
    behind, .parquet, .feather, .arrow, .arrows, and ROOT trees. They must fit
    in memory.

    Images are levels of 8 or 16 bits, of which 255 and 65,535 are white, or
    floats in [0, 1]; `max_level` names another white, as 4,095 of a camera of
    12 bits. Images of files are turned as their EXIF data say. The guide "Your
    own data" lists what is read and what is refused.

    Vectors are taken as they are: scale them to order 1 beforehand.

    Args:
        paths: one path or several, with * as in a shell.
        key: name of the array of examples in a file of several: an array, a
            table of pandas, a group of columns, a tree, an extension. Not
            needed if there is no other but `label_key`.
        label_key: name of the array of classes, or of a column in a table.
        image_shape: [height, width, channels] to resize images of levels to;
            None means that all must have one shape.
        names: names of the features in the order to have. None means the
            order of the first file that names its features. Features without
            names stay in their order.
        drop: names of columns to leave out.
        header: whether the first line of a text has names of columns: "yes",
            "no", or "auto", which refuses lines that may be either.
        drop_unlabelled: whether examples without a label are left out and
            counted, or refused.
        max_level: level of white in images, int >= 1; higher levels are
            refused. None means 255 for 8 bits, 65,535 for 16 bits, and 1 for
            floats. Vectors are taken as they are.
        linked_files: whether links and virtual arrays of HDF5 may lead to
            other files of the same folder; they are refused otherwise.

    Returns:
        `size` examples with the `title` of their paths, their `labels` or None,
        the `names` of their features or None, and the function
        `select(name, positions)`, which returns `Examples`.

    Raises:
        FileNotFoundError: if a path does not exist.
        ModuleNotFoundError: if a library is needed and not installed.
        ValueError: if a file is not what it should be; one line names it.

    Example:
        >>> import tempfile
        >>> import numpy as np
        >>> from nae_tf.data import read_files
        >>> folder = tempfile.TemporaryDirectory()
        >>> path = f"{folder.name}/flowers.npz"
        >>> np.savez(path, sizes=np.ones((4, 3)), kind=["rose"] * 4)
        >>> files = read_files(path, key="sizes", label_key="kind")
        >>> files.size, files.labels.tolist()
        (4, ['rose', 'rose', 'rose', 'rose'])
        >>> files.select("first two", np.arange(2)).shape
        (3,)
    """
    found = existing_paths(paths)
    title = str(found[0])
    if len(found) > 1:
        title += f" and {len(found) - 1} more"
    if image_shape is not None and (
        len(image_shape) != 3
        or not all(
            isinstance(size, numbers.Integral) and size >= 1
            for size in image_shape
        )
    ):
        raise ValueError(
            f"{title}: expected image_shape (height, width, channels), "
            f"integers >= 1, received {tuple(image_shape)}."
        )
    if max_level is not None:
        check_integer(title, "max_level", max_level, 1)
    folders = [path for path in found if path.is_dir()]
    if folders and len(folders) < len(found):
        raise ValueError(f"{title}: cannot mix folders and files.")
    if folders:
        return _from_folders(title, folders, image_shape, max_level)

    def read(path, names):
        return read_array(
            path,
            key,
            label_key,
            image_shape,
            Columns(drop, header, names, linked_files),
            drop_unlabelled,
            max_level,
        )

    return _from_arrays(title, found, read, names, max_level)


def existing_paths(paths):
    """Return the paths that exist, those of a pattern alphabetically."""
    patterns = [paths] if isinstance(paths, (str, os.PathLike)) else paths
    found = []
    for pattern in map(os.fspath, patterns):
        matches = [pattern] if os.path.exists(pattern) else glob.glob(pattern)
        if not matches:
            raise FileNotFoundError(f"there is no file or folder {pattern}.")
        found += sorted(matches)
    if not found:
        raise ValueError("expected one path or more, received an empty list.")
    for path in found:
        if found.count(path) > 1:
            raise ValueError(
                f"{path} is given twice, so that its examples would be in "
                "several parts; name it once."
            )
    return [pathlib.Path(path) for path in found]


def refuse_shared_paths(
    inliers: Mapping[str, Paths | None], outliers: Mapping[str, Paths]
):
    """Refuse paths that are two parts of the inliers, or inliers and outliers.

    Args:
        inliers: paths of parts of the inliers by name; None is ignored.
        outliers: paths of outliers by name.

    Raises:
        FileNotFoundError: if a path does not exist.
        ValueError: if two parts share a file or folder; the line names it.
    """
    parts: dict[str, set[pathlib.Path]] = {}
    for name, paths in inliers.items():
        if paths is not None:
            _refuse_shared(name, paths, parts)
            parts[name] = _resolved(paths)
    for name, paths in outliers.items():
        _refuse_shared(name, paths, parts)


def _refuse_shared(name, paths, parts):
    for path in sorted(_resolved(paths)):
        for part, others in parts.items():
            if any(
                path == other or path in other.parents or other in path.parents
                for other in others
            ):
                raise ValueError(
                    f"{path} is given as {part} and as {name}, but no example "
                    "can be both; narrow the patterns."
                )


def _resolved(paths):
    return {path.resolve() for path in existing_paths(paths)}


def _from_folders(title, folders, image_shape, max_level):
    files, labels = [], []
    counts = {}
    for folder in folders:
        folder_files, folder_labels = list_images(folder)
        counts[str(folder)] = len(folder_files)
        files += folder_files
        labels += folder_labels
    if {"train", "test"} <= set(labels):
        raise ValueError(
            f"{title} has the subfolders train and test; name the folder of "
            "one of them, as in user_data.train and user_data.test."
        )
    shape, dtype, images = read_images(files, image_shape, max_level)

    def stream_at(indices, positions=None):
        some = [files[index] for index in indices]
        return stream_images(some, shape, dtype, max_level, positions)

    held = None if images is None else as_tensor(images)

    def select(name, indices):
        levels = num_levels(dtype, max_level)
        if held is None:
            selected = sources.from_indices(
                name, shape, levels, indices, stream_at, stream_at=stream_at
            )
        else:
            selected = sources.ArrayExamples(
                name, len(indices), shape, levels, lambda: held, indices
            )
        return dataclasses.replace(
            selected,
            contents=lambda: (files[index].read_bytes() for index in indices),
            origin=lambda position: str(files[indices[position]]),
        )

    has_classes = None not in labels
    return UserFiles(
        title,
        len(files),
        np.array(labels) if has_classes else None,
        select,
        counts=counts,
    )


def _from_arrays(title, paths, read, names, max_level):
    contents = []
    expected = names
    for path in paths:
        contents.append(read(path, names))
        names = names or contents[-1].names
    if expected is not None and contents[0].names is None:
        warn_of_no_names(paths[0], expected)
    units: dict[str, str] = {}
    for path, part in zip(paths, contents, strict=True):
        warn_of_one_named(path, part.names, paths[0], contents[0].names)
        refuse_other_units(path, part.units, units, f"that of {paths[0]}")
        units = {**part.units, **units}
    arrays = [part.values for part in contents]
    kinds = {(array.shape[1:], array.dtype) for array in arrays}
    if len(kinds) > 1:
        raise ValueError(
            f"{title}: expected examples of one shape and type in all files, "
            f"received {sorted(map(str, kinds))}."
        )
    counts = {
        str(path): len(array) for path, array in zip(paths, arrays, strict=True)
    }
    starts = np.cumsum([0, *map(len, arrays[:-1])])
    [(shape, dtype)] = kinds
    joined = aligned_array((sum(counts.values()), *shape), dtype)
    values = as_tensor(np.concatenate(arrays, out=joined))

    def select(name, indices):
        return sources.ArrayExamples(
            name,
            len(indices),
            shape,
            num_levels(dtype, max_level),
            lambda: values,
            indices,
            names=names,
            origin=lambda position: _row(paths, starts, indices[position]),
        )

    has_classes = contents[0].labels is not None
    return UserFiles(
        title,
        len(values),
        np.concatenate([part.labels for part in contents])
        if has_classes
        else None,
        select,
        names,
        counts,
        units,
    )


def _row(paths, starts, index) -> str:
    """Name the file and the row, from 0, of an example of joined files."""
    file = np.searchsorted(starts, index, side="right") - 1
    return f"{paths[file]}, row {index - starts[file]}"
