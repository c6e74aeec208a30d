"""Readers of NumPy's files: one array (.npy), or several by name (.npz)."""

import contextlib
import tokenize
import zipfile
import zlib

import numpy as np

from nae_tf.data.readers.columns import Columns, check_names
from nae_tf.data.readers.contents import Contents
from nae_tf.data.readers.doubtful import (
    mask_names,
    warn_of_mask,
    warn_of_pickled_names,
)
from nae_tf.data.readers.memory import check_memory
from nae_tf.data.readers.names_beside import (
    LONGEST,
    is_list_of_columns,
    only_names,
)
from nae_tf.data.readers.numpy_parts import (
    StoredArray,
    open_member,
    read_header,
    read_rows,
)
from nae_tf.data.readers.tabular import (
    Fields,
    Source,
    joined,
    only_array,
    split,
)

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


def open_npy(path, label_key, columns: Columns) -> tuple[Source, Fields | None]:
    """Open one array to be read in parts.

    Args:
        path: the file.
        label_key: name of the field of the classes, or None.
        columns: which fields of a structured array are features.

    Returns:
        The examples, and all fields of a structured array or None.

    Raises:
        ValueError: if it is no array of numbers.
    """
    array = _checked_header(path)

    def read(start, stop):
        with _explained(path), path.open("rb") as file:
            return read_rows(file, array, start, stop)

    return _source(path, array, read, label_key, columns)


def read_npy(path, key, label_key, columns: Columns) -> Contents:
    """Read one array; the fields of a structured one are columns.

    Raises:
        ValueError: if it is no array of numbers.
    """
    source, fields = open_npy(path, label_key, columns)
    if fields is not None and label_key is not None:
        return source.contents(path, fields.column(label_key))
    if label_key is not None:
        raise ValueError(
            f"{path} has no labels; a .npz file can hold examples and labels."
        )
    return source.contents(path)


def open_npz(path, key, columns: Columns) -> Source:
    """Open an array of an archive to be read in parts, best in their order.

    Arguments and errors are those of `read_npz`.
    """
    with _load_archive(path) as arrays:
        key = _checked_key(path, list(arrays), key, None)
    with _explained(path):
        archive = zipfile.ZipFile(path)
        member = _member(archive, key)
        with archive.open(member) as file:
            if file.read(6) != np.lib.format.MAGIC_PREFIX:
                raise ValueError(f"{key!r} in it is not an array")
        array, read = open_member(archive, member)
        names = _names_beside(archive, array)
        _warn_of_mask(path, archive, key, array)

    def read_part(start, stop):
        with _explained(path):
            return read(start, stop)

    title = f"{path}, {key!r}" if array.dtype.names is not None else path
    return _source(title, array, read_part, None, columns, names)[0]


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
    arrays = _load_archive(path)

    def read(name):
        found = arrays[name]
        if not isinstance(found, np.ndarray):  # Bytes of another kind of file.
            raise ValueError(f"{name!r} in it is not an array")
        return found

    def check(name):
        member = _member(arrays.zip, name)
        with arrays.zip.open(member) as file:
            if file.read(6) != np.lib.format.MAGIC_PREFIX:
                return
        with arrays.zip.open(member) as file:
            check_memory(path, read_header(file).num_bytes)

    with arrays:
        names = list(arrays)
        key = _checked_key(path, names, key, label_key)
        with _explained(path):
            for name in {key, label_key} & set(names):
                check(name)
            labels = read(label_key) if label_key in names else None
            values = read(key)
            whole = StoredArray(values.shape, values.dtype, False, 0)
            beside = _names_beside(arrays.zip, whole)
            _warn_of_mask(path, arrays.zip, key, whole)
    title = path if values.dtype.names is None else f"{path}, {key!r}"
    field = label_key if labels is None else None
    source, fields = _source(
        title,
        whole,
        lambda start, stop: values[start:stop],
        field,
        columns,
        beside,
    )
    if fields is None:
        check_names(path, names, label_key)
        return Contents(values, labels)
    if field is not None:
        labels = fields.column(field)
    return source.contents(path, labels)


@contextlib.contextmanager
def _explained(path):
    """Name the file in what NumPy and zipfile raise."""
    try:
        yield
    except _DAMAGED as error:
        if str(error).startswith(str(path)):
            raise
        raise ValueError(f"{path} cannot be read: {error}.") from error


def _checked_key(path, names, key, label_key):
    """Return the name of the array of examples in an archive."""
    if set(names) >= _SPARSE:
        raise ValueError(
            f"{path} is a sparse matrix of SciPy; save its toarray()."
        )
    if key is None:
        key = only_array(path, names, label_key)
    check_names(path, names, key)
    return key


def _member(archive: zipfile.ZipFile, key):
    """Name of an array's member; NumPy leaves its suffix out."""
    named = f"{key}.npy"
    return named if named in archive.namelist() else key


def _names_beside(archive: zipfile.ZipFile, array: StoredArray):
    """Names of an array's columns by another array of the archive, or None."""
    if array.dtype.names is not None or len(array.shape) != 2:
        return None
    width, lists = array.shape[1], []
    for member in archive.namelist():
        if not is_list_of_columns(member.removesuffix(".npy")):
            continue
        with contextlib.suppress(ValueError), archive.open(member) as file:
            header = read_header(file)
            if header.shape == (width,) and header.dtype.hasobject:
                warn_of_pickled_names(archive.filename, member)
            if (
                header.shape == (width,)
                and header.dtype.kind in "SU"
                and header.dtype.itemsize <= LONGEST
            ):
                lists.append(open_member(archive, member)[1](0, width))
    return only_names(lists, width)


def _warn_of_mask(path, archive: zipfile.ZipFile, key, array: StoredArray):
    """Warn of what np.savez writes of a masked array beside its values."""
    for name in mask_names(key):
        member = _member(archive, name)
        if member in archive.namelist() and name != key:
            with contextlib.suppress(ValueError), archive.open(member) as file:
                header = read_header(file)
                if header.shape == array.shape and header.dtype == bool:
                    warn_of_mask(f"{path}, {key!r}", name)


def _source(title, array: StoredArray, read, label_key, columns, names=None):
    """The examples of an array, and its columns if these have names."""
    if array.dtype.names is None and names is not None:
        plain = Source(array.shape, array.dtype, read)
        fields = split(plain, names)
        return joined(title, fields, label_key, columns), fields
    if array.dtype.names is None:
        if columns.drop:
            raise ValueError(
                f"{title} has no names of columns, of which some could be "
                "dropped."
            )
        return Source(array.shape, array.dtype, read), None
    if len(array.shape) != 1:
        raise ValueError(
            f"{title}: expected one row of fields for each example, received "
            f"an array of rows of shape {array.shape}."
        )

    def read_fields(names, start, stop):
        part = read(start, stop)
        return {name: part[name] for name in names}

    types = {name: array.dtype[name] for name in array.dtype.names}
    fields = Fields(array.shape[0], types, read_fields)
    return joined(title, fields, label_key, columns), fields


def _load_archive(path):
    try:
        arrays = np.load(path, allow_pickle=False)
    except PermissionError as error:
        raise ValueError(
            f"{path} may not be read; change its permissions."
        ) from error
    except _DAMAGED as error:
        raise ValueError(f"{path} is not a .npz file.") from error
    if isinstance(arrays, np.ndarray):
        raise ValueError(
            f"{path} is not a .npz file but one array; rename it to *.npy."
        )
    return arrays


def _checked_header(path) -> StoredArray:
    """Read the header of a file that has to be one whole array."""
    expected = "a .npy file of numbers"
    try:
        with path.open("rb") as file:
            is_archive = file.read(2) == b"PK"
            file.seek(0)
            array = read_header(file)
    except PermissionError as error:
        raise ValueError(
            f"{path} may not be read; change its permissions."
        ) from error
    except (AttributeError, *_DAMAGED) as error:
        if is_archive:
            raise ValueError(
                f"{path} is not a .npy file but an archive; rename it to *.npz."
            ) from error
        raise ValueError(f"{path} is not {expected}.") from error
    if array.dtype.hasobject:
        raise ValueError(
            f"{path} is not {expected}: it holds Python objects, which are not "
            "unpickled."
        )
    found = path.stat().st_size - array.start
    if found < array.num_bytes:
        raise ValueError(
            f"{path} is cut off: it has {found} of {array.num_bytes} bytes of "
            "values."
        )
    # np.save writes several arrays into one open file; np.load reads the first.
    if found > array.num_bytes:
        raise ValueError(
            f"{path} goes on behind its first array; save each array in a file "
            "of its own, or all of them by np.savez."
        )
    return array
