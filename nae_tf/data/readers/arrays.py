"""Files of arrays, tables and records, each by the reader of its format.

A reader returns all examples of a file, or raises an error of one line that
names the file and what is wrong with it.
"""

import dataclasses
import pathlib
import re

import numpy as np

from nae_tf.base.lost_digits import spread_of, warn_of_lost_digits
from nae_tf.data.image_arrays import ImageShape
from nae_tf.data.readers import (
    fits,
    hdf5,
    matlab,
    medical,
    netcdf3,
    numpy_files,
    records,
    root,
)
from nae_tf.data.readers.checks import (
    checked_examples,
    warn_of_axes,
    warn_of_dark_levels,
)
from nae_tf.data.readers.codes import warn_of_codes
from nae_tf.data.readers.columns import ALL_COLUMNS, Columns
from nae_tf.data.readers.contents import Contents, refuse_special
from nae_tf.data.readers.doubtful import warn_of_rows
from nae_tf.data.readers.labels import with_checked_labels
from nae_tf.data.readers.tables import SUFFIXES, is_table, read_table

# Number of a file of several that make up one set, as TensorFlow writes it;
# the sequential writer of tensorflow-datasets does not know of how many.
_SHARD = re.compile(r"-(\d{5}|\d+-of-\d+)$")


def read_array(
    path: pathlib.Path,
    key: str | None = None,
    label_key: str | None = None,
    image_shape: ImageShape | None = None,
    columns: Columns = ALL_COLUMNS,
    drop_unlabelled: bool = False,
    max_level: int | None = None,
) -> Contents:
    """Read a file of arrays, of records, or a table.

    Args:
        path: file whose suffix gives its format.
        key: name of the array of examples in a file of several: an array, a
            table, a tree of branches, an extension. Not needed if there is no
            other but `label_key`.
        label_key: name of the array of classes, or of a column in a table.
        image_shape: [height, width, channels] to resize images of levels to.
        columns: which columns of a table are features, and in what order.
        drop_unlabelled: whether examples without a label are left out.
        max_level: level of white in images, as for `checked_examples`.

    Returns:
        Examples, uint8 or float32 `[number, *shape]`; labels, str [number], or
        None without `label_key`; names of the features, or None.

    Raises:
        ModuleNotFoundError: if a library is needed and not installed.
        ValueError: if the file is not what it should be.
    """
    reader = _READERS.get(suffix_of(path))
    if reader is None and not is_table(path):
        raise ValueError(
            f"{path}: expected a folder of images or a file named "
            f"{', '.join('*' + suffix for suffix in (*_READERS, *SUFFIXES))}"
            f"{_hint(path)}."
        )
    refuse_special(path)
    if path.stat().st_size == 0:
        raise ValueError(f"{path} is empty.")
    try:
        if reader is None:
            contents = read_table(path, label_key, columns)
        else:
            contents = reader(
                path, key, label_key, columns, image_shape, max_level
            )
            contents = contents.in_order(path, columns.names)
    except PermissionError as error:
        raise ValueError(
            f"{path} may not be read; change its permissions."
        ) from error
    contents = with_checked_labels(path, contents, drop_unlabelled)
    stored = contents.values
    values = checked_examples(path, stored, image_shape, max_level=max_level)
    warn_of_dark_levels(path, values.max(), values.dtype, max_level)
    if values.ndim == 2:
        if stored.dtype != np.float32:  # A table has been looked at.
            warn_of_lost_digits(path, spread_of(stored), contents.names)
        warn_of_codes(path, values, contents.names)
        warn_of_rows(path, values, contents.names)
    elif stored.ndim == 3:
        warn_of_axes(path, stored.shape, image_shape)
    return dataclasses.replace(contents, values=values)


def suffix_of(path: pathlib.Path) -> str:
    """Return what tells a file's format: its suffix, in lower case.

    That of a compressed file has two parts, as in ".nii.gz"; the number of a
    shard, as in "x.tfrecord-00000-of-00010" or "x.tfrecord-00000", is no part
    of it.
    """
    name = _SHARD.sub("", path.name.lower())
    suffixes = pathlib.PurePath(name).suffixes
    if len(suffixes) > 1 and suffixes[-1] in (".gz", ".fz"):
        return "".join(suffixes[-2:])
    return suffixes[-1] if suffixes else ""


def _hint(path):
    """What to do about a file of a kind that is not read."""
    kinds = {suffix_of(path), *(suffix.lower() for suffix in path.suffixes)}
    return next(
        (f"; {hint}" for some, hint in _OTHERS.items() if kinds & set(some)), ""
    )


def _without_images(read):
    """A reader of a format that holds arrays alone, none to be decoded."""
    return lambda path, key, label_key, columns, image_shape, max_level: read(
        path, key, label_key, columns
    )


def _read_matlab(path, *arguments):
    """Read a .mat file; from version 7.3 on it is an HDF5 file."""
    is_hdf5 = hdf5.SIGNATURE in _start(path)
    return (hdf5 if is_hdf5 else matlab).read(path, *arguments)


def _read_netcdf(path, *arguments):
    """Read a .nc file; from version 4 on it is an HDF5 file."""
    is_classic = _start(path).startswith(netcdf3.SIGNATURE)
    return (netcdf3 if is_classic else hdf5).read(path, *arguments)


def _start(path):
    with path.open("rb") as file:
        return file.read(1_024)


_OTHERS = {
    (".zip", ".tar", ".tgz", ".bz2", ".xz", ".zst", ".7z"): "unpack it",
    (
        *(".xlsx", ".xls", ".ods", ".sav", ".dta", ".sas7bdat", ".xpt"),
        *(".rds", ".rdata", ".txt", ".dat", ".jsonl", ".json", ".ecsv"),
    ): "write it as CSV or Parquet",
    (".mha", ".mhd", ".nrrd", ".mgz", ".hdr", ".img"): "write it as NIfTI",
    # Tables end in .parquet: a number behind it is that of tensorflow-datasets.
    (".array_record", ".parquet"): (
        "name a set of tensorflow-datasets, and its folder as data_dir "
        "(class_holdout, out_of_distribution), or write it as TFRecord"
    ),
}
_READERS = {
    suffix: _without_images(read)
    for suffix, read in {
        ".npy": numpy_files.read_npy,
        ".npz": numpy_files.read_npz,
        **dict.fromkeys(hdf5.SUFFIXES, hdf5.read),
        ".nc": _read_netcdf,
        ".mat": _read_matlab,
        ".root": root.read,
        **dict.fromkeys(fits.SUFFIXES, fits.read),
        **dict.fromkeys((".nii", ".nii.gz"), medical.read_nifti),
    }.items()
}
_READERS[".dcm"] = medical.read_dicom
_READERS |= dict.fromkeys(records.SUFFIXES, records.read)
