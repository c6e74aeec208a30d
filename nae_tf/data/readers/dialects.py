"""How numbers are written into lines: separators, decimal points, thousands."""

import re
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import NamedTuple

import numpy as np

SEPARATORS = ("\t", ";", "|")
COMMA_NUMBER = re.compile(r"\s*[+-]?\d+,\d+([eE][+-]?\d+)?\s*")
_POINTS = re.compile(r"\s*[+-]?[1-9]\d{0,2}(\.\d{3})+\s*")
_BELOW_THOUSAND = re.compile(r"\s*[+-]?\d{1,3}\s*")
_THOUSANDS = re.compile(r"\s*[+-]?[1-9]\d{0,2}(,\d{3})+\s*")
# The number of a line, and its fields.
Rows = Sequence[tuple[int, Sequence[str]]]


class Dialect(NamedTuple):
    """How numbers are written into lines.

    Attributes:
        separator: character between fields.
        decimal_point: "." or ",".
    """

    separator: str
    decimal_point: str = "."


def separator_of(path, rows_by: Callable[[str], Rows]) -> str:
    """Return the character that cuts all first lines alike, or a comma.

    Args:
        path: path of the file, or "-" for standard input.
        rows_by: function of a separator that returns the first rows.
    """
    if path != "-" and ".tsv" in [part.lower() for part in path.suffixes]:
        return "\t"
    for separator in SEPARATORS:
        counts = {len(row) for _, row in rows_by(separator)}
        if len(counts) == 1 and counts != {1}:
            return separator
    return ","


def decimal_point_of(title, separator: str, rows: Rows, header: str) -> str:
    """Return the decimal point of numbers that commas do not separate.

    Args:
        title: name of the table, used in error messages.
        separator: character between fields.
        rows: first rows.
        header: whether the first row has names: "yes", "no" or "auto".

    Raises:
        ValueError: if a comma within a number may mean either.
    """
    if separator == "," and header == "yes":
        return "."
    # Names of columns look like it, too; later lines are refused by parsing.
    looked_at = rows[:1] if separator == "," else rows
    with_commas = [
        (line, text)
        for line, row in looked_at
        for text in row
        if COMMA_NUMBER.fullmatch(text)
    ]
    if not with_commas:
        return "."
    if separator == "," or all(
        _THOUSANDS.fullmatch(text) for _, text in with_commas
    ):
        line, text = with_commas[0]
        raise ValueError(
            f"{title}, line {line}: {text!r} may be thousands or a fraction; "
            "write numbers without commas."
        )
    return ","


def refuse_points_of_thousands(title, separator: str, rows: Rows):
    """Refuse 1.234 in a column of whole numbers, where it may be 1234.

    Args:
        title: name of the table, used in error messages.
        separator: character between fields.
        rows: first rows, of which one may have names.

    Raises:
        ValueError: if there is such a number.
    """
    if separator == ",":
        return
    width = len(rows[0][1])
    whole = [row for _, row in rows[1:] if len(row) == width]
    for column in zip(*whole, strict=True):
        if any(map(_BELOW_THOUSAND.fullmatch, column)):
            _refuse_points(title, column)


def refuse_late_points(
    title,
    table,
    integers: Collection[int],
    features: Iterable[int],
    rows: Callable[[], Iterable[tuple[int, Sequence[str]]]],
):
    """Refuse 1.234 in a column that has begun with whole numbers alone.

    Args:
        title: name of the table, used in error messages.
        table: `pyarrow.Table` of floats of later rows, whose columns are named
            by their positions.
        integers: positions of columns that have begun with integers alone.
        features: positions of the columns to look at.
        rows: function that returns the lines and fields of the same rows.

    Raises:
        ValueError: if all fractions of such a column may be thousands.
    """
    for index in filter(integers.__contains__, features):
        values = table.column(str(index)).to_numpy()
        with np.errstate(invalid="ignore"):
            has_fractions = (values % 1 > 0).any()
        if has_fractions:
            _refuse_points(title, [row[index] for _, row in rows()])


def _refuse_points(title, column):
    with_points = [text for text in column if "." in text]
    if with_points and all(map(_POINTS.fullmatch, with_points)):
        raise ValueError(
            f"{title}: {with_points[0]!r} beside whole numbers may be "
            "thousands or a fraction; write numbers without points between "
            "thousands, and fractions in all lines alike, as 1.0."
        )
