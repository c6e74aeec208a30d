"""Reader of tables of numbers, line by line."""

import csv
from collections.abc import Collection, Iterable, Iterator


def read_table(
    title, lines: Iterable[str], label_key: str | None = None
) -> Iterator[tuple[list[float], str | None]]:
    """Read a table of numbers whose first line may name the columns.

    Args:
        title: name of the table, used in error messages.
        lines: lines of the table; blank ones are skipped.
        label_key: name of the column of labels, if there is one.

    Yields:
        The numbers of a line, and its label or None.

    Raises:
        ValueError: if the text is not a table of numbers; the message names
            the line.
    """
    rows = csv.reader(lines)
    try:
        first = next(filter(None, rows), [])
        place = f"{title}, line {rows.line_num}"
        label_column = None
        if label_key is not None:
            check_names(f"{place},", first, label_key)
            label_column = first.index(label_key)
        elif not _names_columns(place, first):
            yield _as_numbers(place, first), None
        for row in filter(None, rows):
            place = f"{title}, line {rows.line_num}"
            if len(row) != len(first):
                raise ValueError(
                    f"{place}: expected {len(first)} fields, received "
                    f"{len(row)}."
                )
            label = None if label_column is None else row.pop(label_column)
            yield _as_numbers(place, row), label
    except (UnicodeDecodeError, csv.Error) as error:
        raise ValueError(f"{title} is not a CSV file: {error}.") from error


def _names_columns(place, fields):
    """Return whether a first line has names.

    Names and numbers in one line are refused: a name there is probably a
    damaged number.
    """
    is_number = [_number(text) is not None for text in fields]
    if any(is_number) and not all(is_number):
        raise ValueError(
            f"{place}: expected numbers or names of columns, received both."
        )
    if len(fields) > 2 and fields == [str(i) for i in range(len(fields))]:
        # pandas writes such a line for columns that have no names.
        raise ValueError(
            f"{place} counts the columns, 0 to {fields[-1]}; remove it, or "
            "name the columns."
        )
    return not any(is_number)


def _as_numbers(place, fields):
    numbers = []
    for text in fields:
        number = _number(text)
        if number is None:
            hint = (
                "; separate the fields by commas"
                if len(fields) == 1 and (";" in text or "\t" in text)
                else ""
            )
            raise ValueError(
                f"{place}: expected numbers, received {text!r}{hint}."
            )
        numbers.append(number)
    return numbers


def _number(text):
    """Return the number that a field holds, or None."""
    # Python reads 1_000 as a thousand; in a table it is a damaged number.
    if "_" in text:
        return None
    try:
        return float(text)
    except ValueError:
        return None


def check_names(title, names: Collection[str], *needed: str | None):
    """Refuse a file that lacks a column or an array.

    Args:
        title: name of the file, used in error messages.
        names: names of its columns or arrays.
        *needed: names that it must have; None is ignored.

    Raises:
        ValueError: if a name is missing.
    """
    for name in needed:
        if name is not None and name not in names:
            raise ValueError(
                f"{title} has no {name!r}; it has {sorted(names)}."
            )
