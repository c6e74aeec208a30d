"""Reader of HDF5 files: arrays, compound types, groups of columns.

Conventions of others: netCDF-4 (packing.py), MATLAB (hdf5_matlab.py), pandas
(hdf5_pandas.py). What may be followed in a file is in hdf5_links.py, what
stands beside an array in hdf5_beside.py.
"""

import contextlib
import dataclasses

import numpy as np

from nae_tf.base.feature_names import checked_names
from nae_tf.data.readers import (
    hdf5_astropy,
    hdf5_beside,
    hdf5_links,
    hdf5_matlab,
    hdf5_pandas,
)
from nae_tf.data.readers.checks import check_kind
from nae_tf.data.readers.columns import ALL_COLUMNS, Columns
from nae_tf.data.readers.contents import Contents
from nae_tf.data.readers.hdf5_anndata import (
    categories,
    feature_names,
    is_anndata,
    is_categorical,
    is_nullable_text,
    texts,
)
from nae_tf.data.readers.hdf5_layouts import refuse_other_layouts
from nae_tf.data.readers.optional import library
from nae_tf.data.readers.packing import (
    check_attributes,
    packing_of,
    warn_of_group,
)
from nae_tf.data.readers.tabular import (
    Fields,
    Source,
    check_end,
    common_length,
    joined,
    only_array,
    split,
    structured,
)
from nae_tf.data.readers.units import known_units, unit_of

SIGNATURE = b"\x89HDF\r\n\x1a\n"
SUFFIXES = (".h5", ".hdf5", ".hdf", ".he5", ".nc4", ".h5ad")
# What h5py raises for damaged files.
DAMAGED = (
    KeyError,
    OSError,
    RuntimeError,
    SystemError,  # An error of HDF5 where h5py expects none.
    TypeError,
    ValueError,
)
_REASONS = {
    "unable to lock": "is locked by another program, which may be writing it; "
    "wait for its end, or copy the file",
    "already open for": "is being written by another program, or was never "
    "closed by it; wait for its end",
    "truncated file": "is cut off: a part of the file is missing",
    "signature not found": "is not an HDF5 file",
    "ermission denied": "may not be read; change its permissions",
}


def open_hdf5(path):
    """Open an HDF5 file for reading.

    Raises:
        ModuleNotFoundError: if h5py is not installed.
        ValueError: if it is not an HDF5 file.
    """
    h5py = library(path, "HDF5", "h5py", "hdf5")

    with contextlib.suppress(ImportError):
        import hdf5plugin  # noqa: F401  Makes more compressions known.
    try:
        return h5py.File(path)
    except OSError as error:
        text = str(error)
        for sign, reason in _REASONS.items():
            if sign in text:
                raise ValueError(f"{path} {reason}.") from error
        raise ValueError(f"{path} cannot be opened: {text}.") from error


def read(path, key, label_key, columns: Columns) -> Contents:
    """Read all examples of an HDF5 file, and their labels.

    Args:
        path: the file.
        key: name of an array, of a pandas table or of a group whose arrays are
            columns; "/" for the arrays of no group.
        label_key: name of a column, or of an array of classes.
        columns: which columns are features.

    Raises:
        ValueError: if there is no such array, or if it cannot be read.
    """
    with open_hdf5(path) as file:
        source, labels = find_examples(path, file, key, label_key, columns)
        if not source.shape:  # Nothing that could be read in parts.
            check_kind(path, source.shape, source.dtype)
        with explained(path):
            return source.contents(path, labels)


def find_examples(
    path, file, key, label_key=None, columns: Columns = ALL_COLUMNS
) -> tuple[Source, np.ndarray | None]:
    """Find the examples of an open HDF5 file, and read their labels.

    Arguments and errors are those of `read`.
    """
    with explained(path):
        if key is None:
            key = "X" if is_anndata(file) else None
            key = key or _only_array(path, file, label_key)
        linked = columns.linked_files
        key, item = hdf5_links.find(path, file, key, linked)
        title = f"{path}, {key!r}"
        # A column may be named by its path, as an array is.
        inner = label_key and label_key.strip("/").removeprefix(f"{key}/")
        table = _table(title, item, {inner, *columns.drop}, linked)
        if table is None:
            source = _array(title, item, linked)
            names = feature_names(file, key) if is_anndata(file) else None
            hdf5_beside.warn_of_masks(title, item)
            names = names or hdf5_beside.axis_names(item)
            if names is None and len(source.shape) == 2:
                names = hdf5_beside.names_beside(item, source.shape[1])
            if names is not None and source.shape[1:] == (len(names),):
                table = split(source, checked_names(title, names))
        is_column = table is not None and inner in table.types
        if table is not None:
            source = joined(title, table, inner if is_column else None, columns)
        elif columns.drop:
            raise ValueError(f"{title} has no columns that could be dropped.")
        if _is_plain(item):
            check_end(title, source)
        if label_key is None:
            return source, None
        if is_column and _is_group(item):
            place = f"{item.name}/{inner}"
            return source, read_labels(path, item.file, place, linked)
        if is_column:
            return source, _as_labels(title, table.column(inner))
        return source, read_labels(path, file, label_key, linked)


def _is_plain(item):
    """Return whether an item is an array of nobody's convention."""
    is_array = hasattr(item, "dtype") and not hdf5_matlab.is_matlab(item)
    return is_array and not item.is_virtual


def _is_group(item):
    return not hasattr(item, "dtype") and not hdf5_pandas.is_table(item)


@contextlib.contextmanager
def explained(path):
    """Name the file in what h5py raises."""
    try:
        yield
    except ValueError as error:
        if str(error).startswith(str(path)):
            raise
        raise ValueError(f"{path} cannot be read: {error}.") from error
    except DAMAGED as error:
        text = str(error).strip("'\"").splitlines()[0]
        raise ValueError(f"{path} cannot be read: {text}.") from error


def _only_array(path, file, label_key):
    names = hdf5_links.array_names(path, file)
    candidates = [name for name, is_scale in names.items() if not is_scale]
    return only_array(
        path,
        candidates or names,
        label_key and label_key.strip("/"),
        ", or to a group whose arrays are columns ('/' for the file itself)",
    )


def _table(title, item, left_out, linked):
    """The columns of a pandas table, a compound array or a group, or None."""
    if hdf5_pandas.is_table(item):
        return hdf5_pandas.table_of(title, item)
    if _is_group(item):
        return _group(title, item, left_out, linked)
    if item.dtype.names is None or hdf5_matlab.is_complex(item):
        return None
    hdf5_links.check_written(title, item, linked)
    if item.ndim != 1:
        raise ValueError(
            f"{title}: expected one row of fields for each example, received "
            f"an array of rows of shape {item.shape}; choose another key, or "
            "write one row for each example."
        )
    table = hdf5_astropy.described(item, structured(item))
    return dataclasses.replace(
        table,
        read=lambda names, start, stop: (
            {name: item.fields(name)[start:stop] for name in names}
            if len(names) == 1
            else structured(item.fields(list(names))[start:stop]).read(
                names, 0, stop - start
            )
        ),
    )


def _group(title, group, left_out, linked):
    """Take the arrays of a group as columns."""
    if "MATLAB_sparse" in group.attrs or hdf5_links.is_sparse(group):
        raise ValueError(
            f"{title} is a sparse matrix; store it as a full array."
        )
    items = hdf5_links.columns(title, group, linked)
    arrays = {
        name: hdf5_matlab.as_column(_array(f"{title}, {name!r}", item, linked))
        if hdf5_matlab.is_matlab(item)
        else _array(f"{title}, {name!r}", item, linked)
        for name, item in items.items()
        if name not in left_out
    }
    shapes = {name: source.shape for name, source in arrays.items()}
    if not any(shapes.values()):
        raise ValueError(f"{title} is a group without arrays; choose a key.")
    size = common_length(title, shapes)

    def read_columns(names, start, stop):
        return {name: arrays[name].read(start, stop) for name in names}

    types = {
        name: np.dtype((source.dtype, source.shape[1:]))
        for name, source in arrays.items()
    }
    others = dict.fromkeys(items.keys() - arrays.keys(), np.dtype("V1"))
    units = known_units({n: arrays[n].units.get("") for n in arrays})
    return Fields(size, types | others, read_columns, units)


def _array(title, item, linked: bool) -> Source:
    """Examples in one array, or in what stands for one."""
    import h5py

    is_text = h5py.check_string_dtype(item.dtype) is not None
    if h5py.check_vlen_dtype(item.dtype) is not None and not is_text:
        raise ValueError(
            f"{title} holds lists of varying lengths; pad or cut them to one."
        )
    hdf5_links.check_written(title, item, linked)
    if hdf5_matlab.is_matlab(item):
        return hdf5_matlab.source(title, item)
    refuse_other_layouts(title, item)
    shape = item.shape or ()
    unwritten = hdf5_links.fill_value(item)
    attributes = _radar_packing(item) | dict(item.attrs)
    check_attributes(title, item.dtype, attributes)
    packing = packing_of(item.dtype, attributes, unwritten)
    if packing is None or packing.scale is None:
        warn_of_group(title, item.dtype, dict(item.parent.attrs))

    is_bits = item.id.get_type().get_class() == h5py.h5t.BITFIELD

    def read_part(start, stop):
        values = item[start:stop]
        if is_bits and values.max(initial=0) > 1:
            raise ValueError(
                f"{title} holds bits of flags, which are no numbers; store a "
                "column of 0 and 1 for each flag."
            )
        if packing is None:
            return np.asarray(values)
        return packing.unpack(title, values, start)

    return Source(
        shape,
        packing.dtype if packing else item.dtype,
        read_part,
        units=known_units({"": unit_of(attributes)}),
    )


def _radar_packing(item) -> dict:
    """How the convention of radars (ODIM) packs an array, in netCDF's words."""
    what = dict(item.parent["what"].attrs) if "what" in item.parent else {}
    if not {"gain", "offset"} <= what.keys():
        return {}
    return {
        "scale_factor": what["gain"],
        "add_offset": what["offset"],
        # "undetect" is a measurement, but of no known value.
        "missing_value": [
            what[name] for name in ("nodata", "undetect") if name in what
        ],
    }


def read_labels(path, file, label_key: str, linked=False) -> np.ndarray:
    """Read an array of classes: numbers or text."""
    if is_anndata(file) and "/" not in label_key.strip("/"):
        label_key = f"obs/{label_key}"
    name, item = hdf5_links.find(path, file, label_key, linked)
    title = f"{path}, {name!r}"
    if hdf5_pandas.is_table(item):
        item = hdf5_pandas.series(title, item)
    if is_categorical(item):
        return categories(item)
    if is_nullable_text(item):
        return texts(item)
    if not hasattr(item, "dtype"):
        raise ValueError(f"{title} is a group; name an array of labels.")
    hdf5_links.check_written(title, item, linked)
    if hdf5_matlab.is_matlab(item):
        return hdf5_matlab.labels(title, item)
    values = item[...]
    packing = packing_of(item.dtype, dict(item.attrs))
    if packing is not None and packing.missing:
        missing = np.isin(values, packing.missing)
        # No label is an empty text.
        return np.where(missing, "", _as_labels(title, values).astype(str))
    return _as_labels(title, values)


def _as_labels(title, values):
    """Labels as stored, text decoded; an enumeration's by their names."""
    import h5py

    names = h5py.check_enum_dtype(values.dtype)
    if names is not None:
        by_number = {number: text for text, number in names.items()}
        flat = [by_number.get(value, value) for value in values.ravel()]
        return np.array(flat).reshape(values.shape)
    if values.dtype.kind not in "OS":
        return values
    if not all(isinstance(value, bytes | str) for value in values.ravel()):
        raise ValueError(
            f"{title}: expected numbers or text as labels, received other "
            "objects."
        )
    flat = [
        value.decode() if isinstance(value, bytes) else value
        for value in values.ravel()
    ]
    return np.array(flat, str).reshape(values.shape)
