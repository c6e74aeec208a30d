"""Reader of FITS files, by astropy: tables, images, stacks of images."""

import numpy as np

from nae_tf.base.feature_names import listed
from nae_tf.data.readers.columns import Columns
from nae_tf.data.readers.contents import Contents
from nae_tf.data.readers.optional import library
from nae_tf.data.readers.tabular import Fields, joined
from nae_tf.data.readers.units import known_units

SUFFIXES = (".fits", ".fit", ".fts", ".fits.gz", ".fits.fz")
_DATES = np.dtype("M8[s]")
_TIME_SCALES = ("TAI", "TCB", "TCG", "TDB", "TT", "UT1", "UTC", "LOCAL")
# What astropy raises for damaged files.
_DAMAGED = (IndexError, KeyError, OSError, TypeError, ValueError)


def read(path, key, label_key, columns: Columns) -> Contents:
    """Read a table, an image or a stack of images from a FITS file.

    BSCALE, BZERO, TSCAL and TZERO are applied. An array of two axes is one
    image, one of three axes a stack of them, one of one axis a spectrum.

    Args:
        path: the file.
        key: name of the extension (EXTNAME), or its number from 0; not needed
            if only one holds data.
        label_key: column of the classes.
        columns: which columns are features.

    Raises:
        ModuleNotFoundError: if astropy is not installed.
        ValueError: if there is no such extension, or if values are missing.
    """
    fits = library(path, "FITS", "astropy.io.fits", "fits")

    try:
        with fits.open(path, memmap=False) as file:
            name, unit = _extension(path, file, key)
            title = f"{path}, {name!r}"
            if unit.is_image:
                if label_key is not None or columns.drop:
                    raise ValueError(f"{title} is an image; it has no columns.")
                units = known_units({"": unit.header.get("BUNIT")})
                if "BLANK" in unit.header:
                    _refuse_blank(fits, path, key)
                return Contents(_images(title, unit), units=units)
            table = _table(title, unit)
            labels = None if label_key is None else _labels(table, label_key)
            return joined(title, table, label_key, columns).contents(
                path, labels
            )
    except _DAMAGED as error:
        if str(error).startswith(str(path)):
            raise
        reason = (str(error) or type(error).__name__).splitlines()[0]
        reason = reason.partition(". ")[0]
        raise ValueError(
            f"{path} is damaged or no FITS file: {reason.rstrip('.')}."
        ) from error


def _extension(path, file, key):
    holders = {
        str(number): unit
        for number, unit in enumerate(file)
        if unit.header.get("NAXIS", 0) > 0
    }
    names = [unit.name for unit in holders.values()]
    units = holders | {
        unit.name: unit
        for unit in holders.values()
        if unit.name and names.count(unit.name) == 1
    }
    if key is None and len(holders) == 1:
        key = next(iter(holders))
    if not holders:
        raise ValueError(f"{path} holds neither a table nor an image.")
    found = None if key is None else units.get(str(key).upper())
    if found is None:
        raise ValueError(
            f"{path} has the extensions {listed(sorted(units))}; set key to "
            "the one that holds the examples."
        )
    return key, found


def _refuse_blank(fits, path, key):
    """Refuse pixels of an image that stand for no value, by what is stored.

    astropy passes over a blank that is 0, and over those of integers that it
    makes unsigned.
    """
    with fits.open(path, memmap=False, do_not_scale_image_data=True) as file:
        name, unit = _extension(path, file, key)
        blank, stored = unit.header.get("BLANK"), np.asarray(unit.data)
    count = np.count_nonzero(stored == blank)
    if count and stored.dtype.kind in "iu":
        raise ValueError(
            f"{path}, {name!r}: {count} pixels are blank; repair or remove "
            "them."
        )


def _images(title, unit):
    values = np.asarray(unit.data)
    if values.ndim > 3:
        raise ValueError(
            f"{title}: expected an image or a stack of images, received an "
            f"array of shape {values.shape}."
        )
    return values if values.ndim == 3 else values[None]


def _table(title, unit):
    data = unit.data
    # As stored: TNULL is a stored number, TSCAL and TZERO come after it.
    stored = data.view(np.ndarray)
    columns = {column.name: column for column in unit.columns}

    def type_of(column):
        # Lists of any length are descriptors of two numbers in the table.
        if "P" in column.format or "Q" in column.format:
            return np.dtype(object)
        if column.coord_type in _TIME_SCALES:  # Two numbers for one time.
            return _DATES
        values = data[column.name]
        return np.dtype((values.dtype, values.shape[1:]))

    def is_null(name):
        null = columns[name].null
        if stored[name].dtype.kind == "S" and null not in (None, ""):
            texts = np.char.strip(stored[name])
            return texts == str(null).strip().encode()
        if null not in (None, ""):
            is_stored = stored[name] == null
            if data[name].dtype.kind == "u" and stored[name].dtype.kind == "i":
                # astropy writes the null of unsigned integers as they are read.
                return is_stored | (data[name] == null)
            return is_stored
        if columns[name].format.format == "L":
            return stored[name] == 0  # "T" and "F" are the truth values.
        return np.zeros(1, bool)

    def read_columns(names, start, stop):
        for name in names:
            count = np.count_nonzero(is_null(name))
            if count:
                raise ValueError(
                    f"{title}: {count} of {len(data)} values of the column "
                    f"{name!r} are missing; repair or remove those rows."
                )
        return {name: np.asarray(data[name][start:stop]) for name in names}

    types = {name: type_of(column) for name, column in columns.items()}
    units = known_units({name: columns[name].unit for name in columns})
    return Fields(len(data), types, read_columns, units)


def _labels(table, label_key):
    if label_key not in table.types:
        return None  # `joined` says what there is.
    labels = table.column(label_key)
    return np.char.strip(labels) if labels.dtype.kind in "US" else labels
