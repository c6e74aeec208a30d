"""Reader of classic netCDF files (version 3), by SciPy."""

import numpy as np

from nae_tf.data.readers.axes import refuse_other_axes
from nae_tf.data.readers.columns import Columns, check_names
from nae_tf.data.readers.contents import Contents
from nae_tf.data.readers.memory import check_memory
from nae_tf.data.readers.names_beside import (
    auxiliary_coordinates,
    names_of_coordinate,
    only_names,
    texts_of,
)
from nae_tf.data.readers.packing import check_attributes, packing_of
from nae_tf.data.readers.tabular import (
    Fields,
    common_length,
    joined,
    only_array,
)
from nae_tf.data.readers.units import known_units, unit_of

SIGNATURE = b"CDF"


def read(path, key, label_key, columns: Columns) -> Contents:
    """Read a variable, unpacked, and another one as labels.

    Args:
        path: the file.
        key: name of the variable; not needed if there is no other one but the
            labels and the coordinates of dimensions. "/" if all others are
            columns.
        label_key: name of the variable of labels.
        columns: which variables are features; of one alone, none is dropped.

    Raises:
        ValueError: if there is no such variable, or if values are missing.
    """
    import scipy.io

    if columns.drop and key != "/":
        raise ValueError(f"{path} has no columns that could be dropped.")
    with path.open("rb") as file:
        if file.read(4) == SIGNATURE + b"\5":
            raise ValueError(
                f"{path} is of netCDF's 64-bit data format, which SciPy does "
                "not read; convert it by nccopy -k nc4."
            )
    # It is read as a whole, and has holes on the disk, or none.
    check_memory(path, path.stat().st_size)
    try:
        with scipy.io.netcdf_file(path, mmap=False) as file:
            arrays = file.variables
            examples = {
                name
                for name, variable in arrays.items()
                if variable.shape and name not in file.dimensions
            }
            examples = examples or set(arrays)
            if key is None:
                hint = ", or to '/' if its arrays are columns"
                key = only_array(path, examples, label_key, hint)
            check_names(path, arrays, label_key)
            labels = None
            if label_key is not None:
                labels = _labels(np.array(arrays[label_key].data))
            if key == "/":
                table = _table(path, arrays, examples, label_key, columns.drop)
                source = joined(path, table, label_key, columns)
                return source.contents(path, labels)
            check_names(path, arrays, key)
            values = _values(f"{path}, {key!r}", arrays[key])
            names = _names(arrays, arrays[key])
            units = {"": unit_of(vars(arrays[key])["_attributes"])}
            if names is not None:
                units = dict.fromkeys(names, units[""])
            return Contents(values, labels, names, known_units(units))
    except (IndexError, KeyError, OSError, TypeError, ValueError) as error:
        if str(error).startswith(str(path)):
            raise
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise ValueError(
            f"{path} is damaged or no netCDF file: {reason}."
        ) from error


def _table(path, arrays, names, label_key, drop) -> Fields:
    """Take variables of one length as columns."""
    left_out = {label_key, *drop}
    variables = {
        name: variable
        for name, variable in arrays.items()
        if name in names and name not in left_out
    }
    size = common_length(
        path, {name: item.shape for name, item in variables.items()}
    )
    kept = {
        name: _values(f"{path}, {name!r}", variable)
        for name, variable in variables.items()
    }
    types = {
        name: np.dtype((values.dtype, values.shape[1:]))
        for name, values in kept.items()
    }
    others = dict.fromkeys(left_out & set(arrays), np.dtype("V1"))
    units = {n: unit_of(vars(arrays[n])["_attributes"]) for n in kept}

    def read_columns(some, start, stop):
        return {name: kept[name][start:stop] for name in some}

    return Fields(size, types | others, read_columns, known_units(units))


def _names(arrays, variable):
    """Names of the columns by a coordinate of their dimension, or None."""
    if len(variable.dimensions) != 2:
        return None
    number, width = variable.shape
    attributes = vars(variable)["_attributes"]
    coordinate = arrays.get(variable.dimensions[1])
    if coordinate is not None and coordinate.shape[:1] == (width,):
        values = np.array(coordinate.data)
        if values.dtype.kind == "S":
            return tuple(texts_of(values).tolist())
        if values.ndim == 1 and (
            names := names_of_coordinate(
                values, vars(coordinate)["_attributes"]
            )
        ):
            return names
    if number == width:  # Others may be of the rows.
        return None
    others = [
        np.array(arrays[name].data)
        for name in auxiliary_coordinates(attributes)
        if name in arrays and arrays[name].shape[:1] == (width,)
    ]
    lists = [texts_of(x) for x in others if x.dtype.kind == "S" and x.ndim == 2]
    return only_names(lists, width)


def _values(title, variable):
    stored = np.array(variable.data)
    if not stored.shape:  # Whoever takes examples says what is wrong.
        return stored
    attributes = vars(variable)["_attributes"]
    check_attributes(title, stored.dtype, attributes)
    refuse_other_axes(title, variable.dimensions)
    packing = packing_of(stored.dtype, attributes, _unwritten(stored.dtype))
    return stored if packing is None else packing.unpack(title, stored)


def _unwritten(dtype):
    """What netCDF puts where nothing was written."""
    return _FILLS.get(f"{dtype.kind}{dtype.itemsize}")


def _labels(values):
    """Numbers, or rows of characters."""
    return texts_of(values) if values.dtype.kind == "S" else values


_FILLS = {
    "i2": -32767,
    "i4": -2147483647,
    "f4": np.float32(9.969209968386869e36),
    "f8": 9.969209968386869e36,
}
