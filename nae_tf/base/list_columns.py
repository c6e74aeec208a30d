"""Columns of lists of one length, as embeddings are stored in Arrow's formats.

A column x of lists of k numbers is k features, x[0] to x[k - 1], as a column of
arrays is in every other format.
"""

from collections.abc import (
    Callable,
    Collection,
    Iterable,
    Iterator,
    Mapping,
    Sequence,
)

Widths = Mapping[str, int]


def is_of_numbers(kind) -> bool:
    """Return whether an Arrow type is one of numbers or of truth values."""
    from pyarrow import types

    return bool(
        types.is_floating(kind)
        or types.is_integer(kind)
        or types.is_decimal(kind)
        or types.is_boolean(kind)
    )


def widths_of(
    schema, columns: Collection[str], batches: Callable[[list[str]], Iterator]
) -> dict[str, int]:
    """Find how many numbers the lists of each column hold, by its first list.

    Args:
        schema: `pyarrow.Schema` of a table.
        columns: names of the columns to look at.
        batches: function of names that yields batches of these columns.

    Returns:
        Widths of the columns of lists of numbers, by name. Columns of empty
        lists alone have none.
    """
    from pyarrow import types

    widths = {}
    for field in schema:
        kind = field.type
        is_fixed = types.is_fixed_size_list(kind)
        if (
            field.name not in columns
            or schema.get_field_index(field.name) < 0  # One of equal names.
            or not (
                is_fixed or types.is_list(kind) or types.is_large_list(kind)
            )
            or not is_of_numbers(kind.value_type)
        ):
            continue
        widths[field.name] = (
            kind.list_size if is_fixed else _first_length(field.name, batches)
        )
    return {
        name: width
        for name, width in widths.items()
        # Another column of such a name would be one of two.
        if width and set(features_in([name], widths)).isdisjoint(schema.names)
    }


def _first_length(name, batches):
    """Return the length of the first list of a column; 0 without a list."""
    from pyarrow import compute

    for batch in batches([name]):
        lengths = compute.list_value_length(batch.column(name)).drop_null()
        if len(lengths):
            return lengths[0].as_py()
    return 0


def features_in(columns: Iterable[str], widths: Widths) -> list[str]:
    """Return the names of the features of columns.

    Args:
        columns: names of the columns.
        widths: number of values in the lists of columns that hold some.
    """
    return [
        feature
        for column in columns
        for feature in (
            [f"{column}[{place}]" for place in range(widths[column])]
            if column in widths
            else [column]
        )
    ]


def features_of(
    title, table, names: Sequence[str], widths: Widths, start: int = 0
):
    """Take features out of the columns of a table.

    Args:
        title: name of the table, used in error messages.
        table: `pyarrow.Table` with the columns of the features.
        names: names of features, as of `features_in`, and of other columns.
        widths: number of values in the lists of columns that hold some.
        start: number of the first row in a file.

    Raises:
        ValueError: if a column holds lists of several lengths.
    """
    import pyarrow
    from pyarrow import compute

    places = {
        feature: (column, place)
        for column in table.column_names
        if column in widths
        for place, feature in enumerate(features_in([column], widths))
    }
    for column in filter(widths.__contains__, table.column_names):
        _refuse_other_lengths(title, table, column, widths[column], start)
    found = {}
    for name in names:
        if name in places:
            column, place = places[name]
            found[name] = compute.list_element(table.column(column), place)
        else:
            found[name] = table.column(name)
    return pyarrow.table(found)


def _refuse_other_lengths(title, table, column, width, start):
    from pyarrow import compute

    lengths = compute.list_value_length(table.column(column))
    is_other = compute.not_equal(lengths, width)
    if not compute.any(is_other).as_py():
        return
    row = compute.index(is_other, value=True).as_py()
    raise ValueError(
        f"{title}: column {column!r} holds lists of {width} values and, in row "
        f"{start + row} (counted from 0), of {lengths[row]}; cut or pad them "
        "to one length, or leave it out."
    )
