"""Whether the first line of a table has the names of its columns.

Names may be numbers: wavelengths, masses, years. A line of numbers that looks
like names and unlike all other lines is refused until the user has said what
it is; it is never guessed to be an example.
"""

import itertools
import re
from collections.abc import Collection, Sequence

# Texts for a value that is not there. Na is sodium.
MISSING = frozenset(
    {
        *("", "?", "NA", "N/A", "n/a", "#N/A", "#NA", "<NA>"),
        *("nan", "NaN", "NAN", "-nan", "NaT", "null", "NULL", "Null"),
    }
)
_INTEGER = re.compile(r"\s*[+-]?\d+\s*")
_REMEDY = "say which by header='yes' or header='no'"


def has_header(
    title,
    rows: Sequence[Sequence[str]],
    option: str,
    known: Collection[str] = (),
    decimal_point: str = ".",
) -> bool:
    """Return whether the first row has names.

    Args:
        title: name of the table and the line, used in error messages.
        rows: texts of the first row and of some that follow.
        option: "yes", "no" or "auto".
        known: names that a header would have.
        decimal_point: "." or ",".

    Raises:
        ValueError: if it cannot be told.
    """
    if option not in ("yes", "no", "auto"):
        raise ValueError(
            f"{title}: expected header 'yes', 'no' or 'auto', received "
            f"{option!r}."
        )
    if option != "auto":
        return option == "yes"
    first = [text.strip() for text in rows[0]]
    if not set(known).isdisjoint(first):
        return True
    if MISSING.issuperset(first):
        raise ValueError(
            f"{title} has neither values nor names of columns: it may be an "
            f"example without values, or a damaged header; {_REMEDY}."
        )
    numbers = [number(text, decimal_point) for text in first]
    if None not in numbers:
        others = [
            [number(text, decimal_point) for text in row] for row in rows[1:]
        ]
        reason = _looks_like_names(numbers, others, rows)
        if reason is None:
            return False
        raise ValueError(
            f"{title} has numbers that may be names of columns ({reason}) or "
            f"the first example; {_REMEDY}."
        )
    # Beside names, an empty field belongs to an index or a trailing separator.
    if any(value is not None for value in numbers):
        raise ValueError(
            f"{title}: expected numbers or names of columns, received both; "
            f"repair it, or {_REMEDY}."
        )
    return True


def refuse_transposed(
    title, rows: Sequence[Sequence[str]], known: Collection[str]
):
    """Refuse a table whose rows are features, by the names in its first column.

    Args:
        title: name of the table, used in error messages.
        rows: texts of the first rows.
        known: names of columns that the table should have.

    Raises:
        ValueError: if the names stand in its first column.
    """
    known = {name for name in known if number(name) is None}
    column = {row[0].strip() for row in rows}
    if len(known) > 1 and known <= column and known.isdisjoint(rows[0][1:]):
        raise ValueError(
            f"{title} has a feature in each row, as {sorted(known)[0]!r}; "
            "write its transpose: a column for each feature, and a row for "
            "each example."
        )


def number(text: str, decimal_point: str = ".") -> float | None:
    """Return the number that a field holds, or None."""
    # Python reads 1_000 as a thousand, and digits of other scripts; in a table
    # the one is a damaged number, and nobody else reads the others.
    text = text.strip(" \t")
    if "_" in text or not text.isascii() or text != text.strip():
        return None
    if decimal_point == "," and "." in text:
        return None
    try:
        return float(text.replace(decimal_point, "."))
    except ValueError:
        return None


def _looks_like_names(first, others, rows):
    """Return what tells numbers of a first row from those of the others."""
    # Two columns have no name in common.
    if len(set(first)) < len(first):
        return None
    others = [
        row for row in others if len(row) == len(first) and None not in row
    ]
    if first == list(range(len(first))) and (
        len(first) > 2 or first not in others
    ):
        return f"it counts the columns, 0 to {len(first) - 1}"
    if len(first) > 2:
        for has, reason in (
            (_ascends, "ordered, as no other line"),
            (_equal_steps, "in equal steps, as no other line"),
        ):
            if has(first) and not any(map(has, others)):
                return reason
    if len(others) < 5:
        return None
    columns = list(zip(*others, strict=True))
    pairs = list(zip(first, columns, strict=True))
    # An example is outside by a chance of about 2 / rows in each column.
    if (2 / len(others)) ** len(first) < 1e-3 and all(
        not min(column) <= value <= max(column) for value, column in pairs
    ):
        return "each outside the range of its column"
    if all(map(_INTEGER.fullmatch, rows[0])) and not any(
        _INTEGER.fullmatch(text)
        for text in itertools.chain.from_iterable(rows[1:])
    ):
        return "integers above fractions"
    return None


def _ascends(row):
    steps = [after - before for before, after in itertools.pairwise(row)]
    return min(steps) > 0 or max(steps) < 0


def _equal_steps(row):
    """Whether numbers in any order make up an arithmetic progression."""
    ordered = sorted(row)
    step = (ordered[-1] - ordered[0]) / (len(row) - 1)
    return step > 0 and all(
        abs(ordered[0] + index * step - value) <= 1e-6 * step
        for index, value in enumerate(ordered)
    )
