"""Readers of files of arrays, tables and records.

A reader returns all examples of a file, or raises an error of one line that
names the file and what is wrong with it.
"""

import dataclasses
import pathlib
import tokenize
import zipfile
import zlib

import numpy as np
import tensorflow as tf
from google.protobuf import message

from nae_tf.data.image_arrays import ImageShape
from nae_tf.data.readers import images
from nae_tf.data.readers.checks import checked_examples, warn_of_dark_levels
from nae_tf.data.readers.columns import ALL_COLUMNS, Columns, check_names
from nae_tf.data.readers.contents import Contents
from nae_tf.data.readers.labels import with_checked_labels
from nae_tf.data.readers.tables import SUFFIXES, is_table, read_table
from nae_tf.data.tfds_files import TFRECORD_FRAME

# What NumPy, zipfile and h5py raise for damaged or misnamed files.
_DAMAGED = (
    EOFError,
    KeyError,
    MemoryError,
    OSError,
    RuntimeError,
    SyntaxError,
    TypeError,
    ValueError,
    tokenize.TokenError,
    zipfile.BadZipFile,
    zlib.error,
)


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
        key: name of the array of examples in a .npz, HDF5 or TFRecord file.
            Not needed if there is no other array but `label_key`.
        label_key: name of the array of classes, or of a column in a table.
        image_shape: [height, width, channels] to resize images of levels to.
        columns: which columns of a table are features, and in what order.
        drop_unlabelled: whether examples without a label are left out.
        max_level: level of white in images, as for `checked_examples`.

    Returns:
        Examples, uint8 or float32 `[number, *shape]`; labels, str [number], or
        None without `label_key`; names of the features, or None.

    Raises:
        ModuleNotFoundError: if h5py is needed and not installed.
        ValueError: if the file is not what it should be.
    """
    reader = _READERS.get(path.suffix.lower())
    if reader is None and not is_table(path):
        raise ValueError(
            f"{path}: expected a folder of images or a file named "
            f"{', '.join('*' + suffix for suffix in (*_READERS, *SUFFIXES))}."
        )
    if path.stat().st_size == 0:
        raise ValueError(f"{path} is empty.")
    if reader is None:
        contents = read_table(path, label_key, columns)
    else:
        # A reader returns values, labels and, where there are some, names.
        contents = Contents(*reader(path, key, label_key, image_shape))
        contents = contents.in_order(path, columns.names)
    if columns.drop and contents.names is None and columns.names is None:
        raise ValueError(f"{path} has no names of columns, which drop needs.")
    contents = with_checked_labels(path, contents, drop_unlabelled)
    values = checked_examples(
        path, contents.values, image_shape, max_level=max_level
    )
    warn_of_dark_levels(path, values.max(), values.dtype, max_level)
    return dataclasses.replace(contents, values=values)


def _read_npy(path, key, label_key, image_shape):
    if label_key is not None:
        raise ValueError(
            f"{path} has no labels; a .npz file can hold examples and labels."
        )
    values = _load(path, "a .npy file of numbers")
    if not isinstance(values, np.ndarray):
        values.close()
        raise ValueError(
            f"{path} is not a .npy file but an archive; rename it to *.npz."
        )
    return values, None


def _read_npz(path, key, label_key, image_shape):
    arrays = _load(path, "a .npz file")
    if isinstance(arrays, np.ndarray):
        raise ValueError(
            f"{path} is not a .npz file but one array; rename it to *.npy."
        )

    def read(name):
        found = arrays[name]
        if not isinstance(found, np.ndarray):  # Bytes of another kind of file.
            raise ValueError(f"{name!r} in it is not an array")
        return found

    with arrays:
        return _keyed(path, arrays, key, label_key, read)


def _load(path, expected):
    try:
        return np.load(path, allow_pickle=False)
    except _DAMAGED as error:
        raise ValueError(f"{path} is not {expected}.") from error


def open_hdf5(path):
    """Open an HDF5 file for reading.

    Raises:
        ModuleNotFoundError: if h5py is not installed.
        ValueError: if it is not an HDF5 file.
    """
    try:
        import h5py
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            f"{path}: HDF5 files need h5py; pip install 'nae-tf[hdf5]'."
        ) from error

    try:
        return h5py.File(path)
    except OSError as error:
        raise ValueError(f"{path} is not an HDF5 file.") from error


def hdf5_arrays(path, file) -> list[str]:
    """List the names of the arrays in an open HDF5 file and its groups.

    Raises:
        ValueError: if the file is damaged.
    """
    import h5py

    names = []

    def visit(name, item):
        if isinstance(item, h5py.Dataset):
            names.append(name)

    try:
        file.visititems(visit)
    except _DAMAGED as error:
        raise ValueError(f"{path} is damaged: {error}.") from error
    return names


def _read_hdf5(path, key, label_key, image_shape):
    with open_hdf5(path) as file:
        import h5py

        arrays = hdf5_arrays(path, file)

        def read(name):
            found = file[name]
            if h5py.check_string_dtype(found.dtype) is not None:
                found = found.asstr()
            return np.asarray(found[...])

        return _keyed(path, arrays, key, label_key, read)


def _keyed(path, names, key, label_key, read):
    """Read examples and labels from a file of named arrays."""
    key = _only_key(path, names, key, label_key)
    check_names(path, names, key, label_key)
    try:
        labels = None if label_key is None else read(label_key)
        return read(key), labels
    except _DAMAGED as error:
        raise ValueError(f"{path} cannot be read: {error}.") from error


def _only_key(path, names, key, label_key):
    if key is not None:
        return key
    candidates = sorted(set(names) - {label_key})
    if len(candidates) != 1:
        raise ValueError(
            f"{path} has the arrays {candidates}; set key to the one that "
            "holds the examples."
        )
    return candidates[0]


def _read_tfrecord(path, key, label_key, image_shape):
    """Read records of tf.train.Example: encoded images or lists of numbers."""
    values: list[np.ndarray] = []
    labels = []
    num_bytes = 0
    try:
        for record in tf.data.TFRecordDataset(str(path)).as_numpy_iterator():
            title = f"{path}, record {len(values)}"
            features = _parse_record(title, record)
            key = _only_key(title, list(features), key, label_key)
            check_names(title, features, key, label_key)
            value = features[key]
            if value.dtype == object:
                encoded = _only_value(title, key, value)
                value = images.decode_image(encoded, title, image_shape)
            if values and value.shape != values[0].shape:
                raise ValueError(
                    f"{title} has the shape {value.shape}, but record 0 has "
                    f"{values[0].shape}; all must be equal."
                )
            values.append(value)
            num_bytes += len(record) + TFRECORD_FRAME
            if label_key is not None:
                label = _only_value(title, label_key, features[label_key])
                labels.append(
                    label.decode() if isinstance(label, bytes) else label
                )
    except tf.errors.DataLossError as error:
        raise ValueError(f"{path} is damaged or no TFRecord file.") from error
    # A file that ends within the frame of a record raises no error.
    if num_bytes != path.stat().st_size:
        raise ValueError(
            f"{path} is damaged or no TFRecord file: it ends within record "
            f"{len(values)}."
        )
    return np.stack(values), np.array(labels) if labels else None


def _parse_record(title, record):
    """Parse a tf.train.Example into arrays by name; bytes as objects."""
    try:
        parsed = tf.train.Example.FromString(record)
    except message.DecodeError as error:
        raise ValueError(f"{title} is not a tf.train.Example.") from error
    features = {}
    for name, feature in parsed.features.feature.items():
        kind = feature.WhichOneof("kind")
        values = getattr(feature, kind).value if kind else []
        dtype = object if kind == "bytes_list" else None
        features[name] = np.array(values, dtype)
    return features


def _only_value(title, name, values):
    if len(values) != 1:
        raise ValueError(
            f"{title}: expected one value of {name!r}, received {len(values)}."
        )
    return values[0]


_READERS = {
    ".npy": _read_npy,
    ".npz": _read_npz,
    ".h5": _read_hdf5,
    ".hdf5": _read_hdf5,
    ".tfrecord": _read_tfrecord,
}
