"""Reader of tables in text: CSV, TSV and their kin, block by block."""

import csv
import functools
import io
import itertools
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

from nae_tf.data.readers.dialects import (
    COMMA_NUMBER,
    SEPARATORS,
    Dialect,
    decimal_point_of,
    refuse_late_points,
    refuse_points_of_thousands,
    separator_of,
)
from nae_tf.data.readers.header import (
    MISSING,
    has_header,
    number,
    refuse_transposed,
)
from nae_tf.data.readers.text_blocks import count_lines, line_blocks
from nae_tf.data.readers.text_identifiers import column_of_identifiers

# Rows that are looked at to tell separators and headers.
_ROWS = 1_000
# What numbers may be missing as, also by the errors of spreadsheets; a label
# "-" is one.
_ABSENT = MISSING | {
    *(".", "-", "--", "*"),
    *("#DIV/0!", "#NAME?", "#NULL!", "#NUM!", "#REF!", "#VALUE!"),
}


class Lines(NamedTuple):
    """Whole lines of a text.

    Attributes:
        octets: the lines, UTF-8.
        before: number of lines of the text that come before them.
    """

    octets: bytes
    before: int


class TextTable(NamedTuple):
    """A table in a text whose first lines have been read.

    Attributes:
        names: names of the columns, or None without a header.
        num_columns: number of columns, 0 for an empty text.
        read: function of the positions of features and that of the label, or
            None, that yields these columns as a `pyarrow.Table` of floats and
            texts, and a function that says in what line a row stands.
        integers: first texts of columns of integers, by their positions.
    """

    names: list[str] | None
    num_columns: int
    read: Any
    integers: Mapping[int, Sequence[str]] = MappingProxyType({})


def open_text(
    title, path, header: str = "auto", known: Collection[str] = ()
) -> TextTable:
    """Open a table in a text.

    Args:
        title: name of the table, used in error messages.
        path: path of the file, or "-" for standard input.
        header: whether the first line has names: "yes", "no" or "auto".
        known: names of columns that a header would have.

    Raises:
        ValueError: if it is not a table.
    """
    blocks = _numbered(line_blocks(title, path))
    start = next(blocks, Lines(b"", 0))
    rows = _first_rows(title, start)
    if not rows:
        return TextTable(None, 0, lambda *columns: iter(()))
    separator = separator_of(path, functools.partial(_first_rows, title, start))
    rows = _first_rows(title, start, separator)
    line, first = rows[0]
    place = f"{title}, line {line}"
    if first[0].startswith(("#", "sep=")):
        raise ValueError(
            f"{place} begins with {first[0][:4]!r}: comments are not read; "
            "remove them, and a mark before names of columns."
        )
    decimal_point = decimal_point_of(title, separator, rows, header)
    refuse_points_of_thousands(title, separator, rows)
    if len(first) == 1 and re.search("[,;\t|]", first[0]):
        raise ValueError(
            f"{place} has one column, {first[0][:40]!r}; separate the fields "
            "of all lines by commas, or by tabs in a .tsv file."
        )
    fields = [row for _, row in rows]
    refuse_transposed(title, fields, known)
    names = None
    if has_header(place, fields, header, known, decimal_point):
        names = [name.strip() for name in first]
        start = _without_lines(start, line)
    dialect = Dialect(separator, decimal_point)
    integers = _integer_columns(fields[names is not None :], len(first))
    read = functools.partial(
        _read,
        title,
        itertools.chain([start], blocks),
        names or [str(index) for index in range(len(first))],
        dialect,
        integers,
    )
    return TextTable(names, len(first), read, integers)


def _numbered(blocks) -> Iterator[Lines]:
    before = 0
    for octets in blocks:
        yield Lines(octets, before)
        before += count_lines(octets)


def _rows(title, lines, separator=",", keep_blank=False):
    """Yield the rows of some lines, and the number of the line they end in."""
    try:
        text = lines.octets.decode()
    except UnicodeDecodeError as error:
        before = lines.before + count_lines(lines.octets[: error.start])
        raise ValueError(
            f"{title}, line {before + 1}: is not a CSV file in UTF-8: {error}; "
            "convert it."
        ) from error
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=separator)
    try:
        for row in rows:
            if row or keep_blank:
                yield lines.before + rows.line_num, row
    except csv.Error as error:
        raise ValueError(f"{title} is not a CSV file: {error}.") from error


def _first_rows(title, lines, separator=","):
    return list(itertools.islice(_rows(title, lines, separator), _ROWS))


def _without_lines(lines, count):
    """Leave out the first lines of a text."""
    kept = lines.octets.splitlines(keepends=True)[count:]
    return Lines(b"".join(kept), count)


def _integer_columns(rows: Sequence[Sequence[str]], count):
    """Return texts of columns whose first numbers are integers, by place."""
    return {
        index: [row[index].strip() for row in rows]
        for index in range(count)
        if rows
        and all(
            len(row) == count and row[index].strip().lstrip("+-").isdecimal()
            for row in rows
        )
    }


def _read(title, blocks, names, dialect, integers, features, label=None):
    """Yield tables of the wanted columns, and the line of each of their rows.

    Args:
        title: name of the table, used in error messages.
        blocks: `Lines` of the text without its header.
        names: names of all columns.
        dialect: how numbers are written.
        integers: columns of integers by position.
        features: positions of the columns of numbers.
        label: position of the column of labels, or None.
    """
    import pyarrow
    from pyarrow import csv as arrow_csv

    wanted = [*features, *([] if label is None else [label])]
    places = [str(index) for index in range(len(names))]
    read_options = arrow_csv.ReadOptions(column_names=places)
    convert_options = arrow_csv.ConvertOptions(
        include_columns=[str(index) for index in wanted],
        column_types={
            **{str(index): pyarrow.float64() for index in features},
            **({} if label is None else {str(label): pyarrow.string()}),
        },
        decimal_point=dialect.decimal_point,
        null_values=[*arrow_csv.ConvertOptions().null_values, *_ABSENT],
    )
    is_single = len(names) == 1
    for lines in blocks:
        octets = lines.octets.rstrip(b"\r\n") if is_single else lines.octets
        if not octets.lstrip(b"\r\n"):
            continue
        parse_options = arrow_csv.ParseOptions(
            delimiter=dialect.separator,
            newlines_in_values=b'"' in octets,
            # In a table of one column, a blank line is a missing value.
            ignore_empty_lines=not is_single,
        )
        try:
            table = arrow_csv.read_csv(
                pyarrow.BufferReader(octets),
                read_options,
                parse_options,
                convert_options,
            )
        except pyarrow.ArrowInvalid as error:
            _refuse(title, lines, names, dialect, features)
            raise ValueError(
                f"{title}, after line {lines.before}: "
                f"{' '.join(str(error).split())}."
            ) from error
        rows = functools.partial(_rows, title, lines, dialect.separator)
        lost = column_of_identifiers(table, octets, integers, features, rows)
        if lost is not None:
            raise ValueError(
                f"{title}: column {names[lost]!r} holds integers of 2**53 or "
                "more, which floats cannot tell apart; leave it out by drop."
            )
        if dialect.separator != ",":
            refuse_late_points(title, table, integers, features, rows)
        place = functools.partial(_line_of, title, lines, dialect, is_single)
        yield table.rename_columns([names[index] for index in wanted]), place


def _refuse(title, lines, names, dialect, features):
    """Refuse the first row that is not one of the table."""
    rows = _rows(title, lines, dialect.separator, keep_blank=len(names) == 1)
    for line, row in rows:
        if len(row) != len(names):
            raise ValueError(
                f"{title}, line {line}: expected {len(names)} fields, as in "
                f"the first line, received {len(row)}; repair it, or remove "
                "titles and comments."
            )
        numbers = [number(row[i], dialect.decimal_point) for i in features]
        is_words = len(features) > 1 and not any(
            re.search(r"\d", row[i]) or row[i].strip() in _ABSENT
            for i in features
        )
        for index, value in zip(features, numbers, strict=True):
            text = row[index]
            if value is None:
                raise ValueError(
                    f"{title}, line {line}: expected numbers, received "
                    f"{text[:40]!r} in column {names[index]!r}"
                    f"{_hint(text, is_words)}."
                )


def _hint(text, is_words):
    """What to do about a text, in a line that has no number or some."""
    if text.strip() in _ABSENT:
        return "; repair or remove the line"
    if is_words:
        return "; remove a line of units, or of further names"
    if any(separator in text for separator in (*SEPARATORS, " ")):
        return "; separate the fields by commas"
    if COMMA_NUMBER.fullmatch(text):
        return "; write a decimal point, and no commas between thousands"
    if text.strip().lower() in ("true", "false"):
        return "; write 0 and 1"
    return "; repair it, or leave the column out by drop"


def _line_of(title, lines, dialect, keep_blank, row):
    """Say in what line of a text a row of a block stands."""
    rows = _rows(title, lines, dialect.separator, keep_blank)
    line, _ = next(itertools.islice(rows, row, None))
    return f"line {line}"
