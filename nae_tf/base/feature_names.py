"""Names of features, and the order that they give to columns."""

from collections.abc import Sequence

Names = tuple[str, ...]


def positions_of(title, names: Names, expected: Names) -> list[int]:
    """Find where expected names stand among those of a table.

    Args:
        title: name of the table, used in error messages.
        names: names that the table has.
        expected: names in the order to have.

    Returns:
        For each expected name its position in `names`.

    Raises:
        ValueError: if a name is missing or not expected; the line has them.
    """
    missing = [name for name in expected if name not in names]
    unknown = [name for name in names if name not in expected]
    if missing or unknown:
        lacks = f"lacks the columns {listed(missing)}" if missing else ""
        adds = f"has {listed(unknown)} besides" if unknown else ""
        remedy = "; rename or drop them" if unknown else "; add them"
        raise ValueError(
            f"{title} {' and '.join(filter(None, (lacks, adds)))}{remedy}: "
            f"{listed(expected)} are expected."
        )
    places = {name: place for place, name in enumerate(names)}
    return [places[name] for name in expected]


def checked_names(title, names: Sequence[str]) -> Names:
    """Return the names of columns, which must differ.

    Raises:
        ValueError: if two columns have one name.
    """
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(
            f"{title} has several columns named {listed(twice)}; give each a "
            "name of its own."
        )
    return tuple(names)


def listed(names: Sequence[str], most: int = 8) -> str:
    """Write some names as a list that fits into a line."""
    rest = f" and {len(names) - most} more" if len(names) > most else ""
    return f"{list(names[:most])}{rest}"


def named(index, names: Names | None) -> str:
    """Name a feature in a message."""
    return f"column {index}" if names is None else f"column {names[index]!r}"


def more(found) -> str:
    """Say how many features share what is said of one."""
    return f" (and of {len(found) - 1} more)" if len(found) > 1 else ""
