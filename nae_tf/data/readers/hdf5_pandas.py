"""Tables that pandas.DataFrame.to_hdf writes, fixed ones and format="table".

Only arrays are read: pandas pickles columns of text and of objects, and a
pickle can run any code.
"""

import io
import pickle

import numpy as np

from nae_tf.data.readers.tabular import Fields

_OBJECTS = np.dtype(object)
_DATES = np.dtype("M8[ns]")


def is_table(item) -> bool:
    """Return whether an item of an HDF5 file is what pandas wrote."""
    return not hasattr(item, "dtype") and "pandas_type" in item.attrs


def table_of(title, group) -> Fields:
    """Find the columns of a table by their names.

    Args:
        title: name of the table, used in error messages.
        group: group of the table in an open file.

    Raises:
        ValueError: if its index or its names cannot be read.
    """
    kind = _text(group.attrs["pandas_type"])
    if kind == "frame":
        return _fixed(title, group)
    if kind == "frame_table":
        return _appendable(title, group)
    raise ValueError(
        f"{title} is a pandas object of the kind {kind!r}; expected a "
        "DataFrame."
    )


def series(title, group):
    """Find the values of a Series, an array in an open file."""
    if _text(group.attrs["pandas_type"]) != "series":
        raise ValueError(
            f"{title}: expected a pandas Series as labels; name a column."
        )
    return group["values"]


def _fixed(title, group):
    places = {}
    types = {}
    for block in range(int(group.attrs["nblocks"])):
        values = group[f"block{block}_values"]
        is_text = values.dtype.kind == "O"
        items = _names(title, group, f"block{block}_items")
        by_row = "transposed" in values.attrs
        dtype = values.dtype
        if "shape" in values.attrs:
            raise ValueError(f"{title} is empty.")
        if "value_type" in values.attrs:
            dtype = _DATES
        for position, name in enumerate(items):
            places[name] = (values, position, by_row)
            types[name] = _OBJECTS if is_text else dtype
    order = _names(title, group, "axis0")
    _check_unique(title, order)

    def read(names, start, stop):
        parts = {}
        columns = {}
        for name in names:
            values, position, by_row = places[name]
            if types[name] == _OBJECTS:
                raise ValueError(
                    f"{title}: the column {name!r} holds pickled objects, "
                    'which are not read; store it by format="table", or as '
                    "numbers."
                )
            if values.name not in parts:
                parts[values.name] = (
                    values[start:stop] if by_row else values[:, start:stop].T
                )
            columns[name] = parts[values.name][:, position]
        return columns

    size = len(group["block0_items"]) and max(
        values.shape[0 if by_row else 1]
        for values, _, by_row in places.values()
        if values.dtype.kind != "O"
    )
    return Fields(size, {name: types[name] for name in order}, read)


def _names(title, group, which):
    if _text(group.attrs.get(f"{which}_variety", b"regular")) != "regular":
        raise ValueError(
            f"{title} has columns of several levels; give every column one "
            "name."
        )
    found = group[which]
    if "shape" in found.attrs:  # pandas stores no empty array as it is.
        return []
    if found.dtype.kind == "O":
        raise ValueError(
            f"{title} has pickled names of columns, which are not read; name "
            "all columns by text, or all by numbers."
        )
    encoding = _text(group.attrs.get("encoding", b"UTF-8"))
    return [
        name.decode(encoding) if isinstance(name, bytes) else str(name)
        for name in found[...].tolist()
    ]


def _appendable(title, group):
    rows = group["table"]
    if "multi" in _text(group.attrs["table_type"]):
        raise ValueError(
            f"{title} has an index of several levels; reset_index() it."
        )
    places = {}
    types = {}
    for field in rows.dtype.names:
        if f"{field}_kind" not in rows.attrs or field == "index":
            continue
        names = _plain(title, rows.attrs[f"{field}_kind"])
        dtype = rows.dtype[field].base
        written = _text(rows.attrs.get(f"{field}_dtype", b""))
        if written.startswith(("datetime", "timedelta")):
            dtype = _DATES
        elif _text(rows.attrs.get(f"{field}_meta", b"")) == "category":
            dtype = _OBJECTS
        for position, name in enumerate(names):
            is_block = rows.dtype[field].shape != ()
            places[str(name)] = (field, position if is_block else None)
            types[str(name)] = dtype
    [(_, order)] = _plain(title, group.attrs["non_index_axes"])
    order = [str(name) for name in order]
    _check_unique(title, order)

    def read(names, start, stop):
        for name in names:
            if types[name] == _OBJECTS:
                raise ValueError(
                    f"{title}: the column {name!r} holds codes of categories; "
                    "store it as text or numbers."
                )
        fields = sorted({places[name][0] for name in names})
        part = rows.fields(fields)[start:stop]
        columns = {}
        for name in names:
            field, position = places[name]
            values = part[field]
            columns[name] = values if position is None else values[:, position]
        return columns

    return Fields(len(rows), {name: types[name] for name in order}, read)


def _check_unique(title, names):
    if len(set(names)) < len(names):
        raise ValueError(f"{title} has columns of equal names; rename them.")


class _PlainUnpickler(pickle.Unpickler):
    """Reads lists, text and numbers; a name of a class or function ends it."""

    def find_class(self, module, name):
        raise pickle.UnpicklingError(f"{module}.{name} is not read")


def _plain(title, pickled):
    """A list of names, as PyTables stores it in an attribute."""
    try:
        return _PlainUnpickler(io.BytesIO(bytes(pickled))).load()
    except Exception as error:  # A damaged pickle raises whatever it likes.
        raise ValueError(
            f"{title} has names of columns that cannot be read: {error}; name "
            "them by text."
        ) from error


def _text(value):
    return value.decode() if isinstance(value, bytes) else str(value)
