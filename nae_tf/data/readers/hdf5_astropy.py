"""What astropy writes beside tables in HDF5: units, and columns of times."""

import dataclasses
import re

import numpy as np

from nae_tf.data.readers.units import known_units

META = ".__table_column_meta__"
_DATES = np.dtype("M8[s]")
# Lines of YAML, in the one form in which astropy writes them.
_COLUMN = re.compile(r"- \{name: ([^,{}'\"]+), unit: ([^,{}'\"!]+)[,}]")
_TIME = re.compile(
    r"^    ([^\s:'\"]+):\n(?:      .*\n)*?      __class__: astropy\.time\.",
    re.MULTILINE,
)


def described(item, table):
    """Return a table with the units and the times that astropy tells.

    A time is stored as two numbers, of which neither is one without the other.

    Args:
        item: array of fields, with or without such a description beside it.
        table: its `Fields`.
    """
    lines = item.parent.get(item.name.rpartition("/")[2] + META)
    if lines is None:
        return table
    text = b"\n".join(np.ravel(lines[()])).decode(errors="replace")
    parts = tuple(f"{name}." for name in _TIME.findall(text))
    times = {
        name: _DATES for name in table.types if name.startswith(parts or "\0")
    }
    units = known_units(
        {name: unit.strip() for name, unit in _COLUMN.findall(text)}
    )
    return dataclasses.replace(
        table, types={**table.types, **times}, units=units
    )
