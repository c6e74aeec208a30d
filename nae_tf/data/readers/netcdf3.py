"""Reader of classic netCDF files (version 3), by SciPy."""

import numpy as np

from nae_tf.data.readers.columns import Columns, check_names
from nae_tf.data.readers.contents import Contents
from nae_tf.data.readers.memory import check_memory
from nae_tf.data.readers.packing import check_attributes, packing_of
from nae_tf.data.readers.tabular import only_array
from nae_tf.data.readers.units import known_units, unit_of

SIGNATURE = b"CDF"


def read(path, key, label_key, columns: Columns) -> Contents:
    """Read a variable, unpacked, and another one as labels.

    Args:
        path: the file.
        key: name of the variable; not needed if there is no other one but the
            labels and the coordinates of dimensions.
        label_key: name of the variable of labels.
        columns: must drop nothing, because variables have no columns.

    Raises:
        ValueError: if there is no such variable, or if values are missing.
    """
    import scipy.io

    if columns.drop:
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
            if key is None:
                examples = set(arrays) - set(file.dimensions) or set(arrays)
                key = only_array(path, examples, label_key)
            check_names(path, arrays, key, label_key)
            values = _values(f"{path}, {key!r}", arrays[key])
            labels = None
            if label_key is not None:
                labels = _labels(np.array(arrays[label_key].data))
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


def _names(arrays, variable):
    """Names of the columns by the coordinate of their dimension, or None."""
    if len(variable.dimensions) != 2:
        return None
    coordinate = arrays.get(variable.dimensions[1])
    if coordinate is None or coordinate.data.dtype.kind != "S":
        return None
    return tuple(_labels(np.array(coordinate.data)).tolist())


def _values(title, variable):
    stored = np.array(variable.data)
    attributes = vars(variable)["_attributes"]
    check_attributes(title, stored.dtype, attributes)
    packing = packing_of(stored.dtype, attributes, _unwritten(stored.dtype))
    return stored if packing is None else packing.unpack(title, stored)


def _unwritten(dtype):
    """What netCDF puts where nothing was written."""
    return _FILLS.get(f"{dtype.kind}{dtype.itemsize}")


def _labels(values):
    """Numbers, or rows of characters."""
    if values.dtype.kind != "S":
        return values
    rows = np.atleast_2d(values)
    return np.array([b"".join(row).decode().strip("\0 ") for row in rows])


_FILLS = {
    "i2": -32767,
    "i4": -2147483647,
    "f4": np.float32(9.969209968386869e36),
    "f8": 9.969209968386869e36,
}
