"""Readers of NumPy's files: one array (.npy), or several by name (.npz)."""

import dataclasses
import math
import tokenize
import zipfile
import zlib

import numpy as np

from nae_tf.data.readers.columns import Columns, check_names
from nae_tf.data.readers.contents import Contents
from nae_tf.data.readers.tabular import joined, only_array, structured

# What NumPy and zipfile raise for damaged or misnamed files.
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
_SPARSE = {"data", "format", "shape"}


def read_npy(path, key, label_key, columns: Columns) -> Contents:
    """Read one array; the fields of a structured one are columns.

    Raises:
        ValueError: if it is no array of numbers.
    """
    values = _load(path, "a .npy file of numbers")
    if not isinstance(values, np.ndarray):
        values.close()
        raise ValueError(
            f"{path} is not a .npy file but an archive; rename it to *.npz."
        )
    # np.save writes several arrays into one open file; np.load reads the first.
    if _header(path)[-1] > values.nbytes:
        raise ValueError(
            f"{path} goes on behind its first array; save each array in a file "
            "of its own, or all of them by np.savez."
        )
    if values.dtype.names is not None:
        return _from_fields(path, values, label_key, columns)
    if label_key is not None:
        raise ValueError(
            f"{path} has no labels; a .npz file can hold examples and labels."
        )
    _refuse_drop(path, columns)
    return Contents(values)


def read_npz(path, key, label_key, columns: Columns) -> Contents:
    """Read an array of an archive, and another one as labels.

    Args:
        path: the file.
        key: name of the array; not needed if there is no other but the labels.
        label_key: name of the array of labels, or of a field of `key`.
        columns: which fields are features.

    Raises:
        ValueError: if there is no such array, or if it holds no numbers.
    """
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
        names = list(arrays)
        if set(names) >= _SPARSE:
            raise ValueError(
                f"{path} is a sparse matrix of SciPy; save its toarray()."
            )
        if key is None:
            key = only_array(path, names, label_key)
        check_names(path, names, key)
        try:
            labels = read(label_key) if label_key in names else None
            values = read(key)
        except _DAMAGED as error:
            if str(error).startswith(str(path)):
                raise
            raise ValueError(f"{path} cannot be read: {error}.") from error
    if values.dtype.names is not None:
        field = label_key if labels is None else None
        found = _from_fields(f"{path}, {key!r}", values, field, columns)
        return found if field else dataclasses.replace(found, labels=labels)
    check_names(path, names, label_key)
    _refuse_drop(path, columns)
    return Contents(values, labels)


def _load(path, expected):
    try:
        return np.load(path, allow_pickle=False)
    except PermissionError as error:
        raise ValueError(
            f"{path} may not be read; change its permissions."
        ) from error
    except _DAMAGED as error:
        raise ValueError(_reason(path, expected)) from error


def _reason(path, expected):
    """What is wrong with a file that NumPy cannot load."""
    try:
        shape, dtype, found = _header(path)
    except (AttributeError, *_DAMAGED):
        return f"{path} is not {expected}."
    if dtype.hasobject:
        return (
            f"{path} is not {expected}: it holds Python objects, which are not "
            "unpickled."
        )
    needed = math.prod(shape) * dtype.itemsize
    return f"{path} is cut off: it has {found} of {needed} bytes of values."


def _header(path):
    """Shape and type of an array, and the number of bytes behind them."""
    with path.open("rb") as file:
        major, _ = np.lib.format.read_magic(file)
        # The third version differs from the second in its encoding alone.
        read = getattr(np.lib.format, f"read_array_header_{min(major, 2)}_0")
        shape, _, dtype = read(file)
        return shape, dtype, path.stat().st_size - file.tell()


def _from_fields(title, values, label_key, columns):
    if values.ndim != 1:
        raise ValueError(
            f"{title}: expected one row of fields for each example, received "
            f"an array of rows of shape {values.shape}."
        )
    table = structured(values)
    source = joined(title, table, label_key, columns)
    labels = None if label_key is None else table.column(label_key)
    return source.contents(labels)


def _refuse_drop(path, columns):
    if columns.drop:
        raise ValueError(
            f"{path} has no names of columns, of which some could be dropped."
        )
