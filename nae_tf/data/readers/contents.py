"""What a file of examples holds, and the order of its named features."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

Names = tuple[str, ...]


class Contents(NamedTuple):
    """All examples of a file.

    Attributes:
        values: examples, `[number, *shape]`.
        labels: classes, [number], or None.
        names: names of the features of vectors, in their order; None for
            images and for features without names.
    """

    values: np.ndarray
    labels: np.ndarray | None = None
    names: Names | None = None

    def in_order(self, title, expected: Names | None) -> "Contents":
        """Return the same examples with their features in another order.

        Args:
            title: name of the file, used in error messages.
            expected: names of the features in the order to have; None for
                the file's own. Features without names stay as they are.

        Raises:
            ValueError: if a name is missing or not expected.
        """
        if self.names is None or expected in (None, self.names):
            return self
        order = positions_of(title, self.names, expected)
        return self._replace(values=self.values[:, order], names=expected)


def positions_of(title, names: Names, expected: Names) -> list[int]:
    """Find where expected names stand among those of a file.

    Args:
        title: name of the file, used in error messages.
        names: names that the file has.
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


def listed(names: Sequence[str], most: int = 8) -> str:
    """Write some names as a list that fits into a line."""
    rest = f" and {len(names) - most} more" if len(names) > most else ""
    return f"{list(names[:most])}{rest}"
