"""Which columns of a table are features, in what order, and of what files."""

import re
from collections.abc import Collection, Sequence
from types import MappingProxyType
from typing import NamedTuple

from nae_tf.base.feature_names import (
    Names,
    checked_names,
    listed,
    positions_of,
)
from nae_tf.base.list_columns import Widths, features_in

# What pandas and R call a column of row numbers that nobody has named.
_NAMELESS = re.compile(r"(Unnamed: \d+|__index_level_\d+__)?")


class Columns(NamedTuple):
    """What is known of a table's columns before it is read.

    Attributes:
        drop: names of columns to leave out.
        header: whether the first line of a text has names: "yes", "no", or
            "auto" to tell by what it says.
        names: names of the features in the order to have; None for all
            columns in their own order.
        linked_files: whether arrays of other HDF5 files in the same folder are
            read, where a link or a virtual array leads there.
    """

    drop: Sequence[str] = ()
    header: str = "auto"
    names: Names | None = None
    linked_files: bool = False

    def features(
        self,
        title,
        found: Sequence[str],
        label_key: str | None = None,
        widths: Widths = MappingProxyType({}),
    ) -> Names:
        """Return the names of the features in the order to have.

        Args:
            title: name of the table, used in error messages.
            found: names of all its columns.
            label_key: name of the column of labels, if there is one.
            widths: number of values in the lists of columns that hold some.

        Raises:
            ValueError: if a name is missing, unknown or ambiguous.
        """
        check_names(title, found, label_key)
        # As pandas calls them: an empty text cannot be given to a command.
        called = [
            name or f"Unnamed: {place}" for place, name in enumerate(found)
        ]
        if self.names is None:
            # A misspelt name would leave a label among the features.
            check_names(title, {*found, *called}, *self.drop)
        kept = {
            place: name
            for place, name in enumerate(found)
            if {name, called[place]}.isdisjoint((*self.drop, label_key))
        }
        for place, name in kept.items():
            if _NAMELESS.fullmatch(name):
                raise ValueError(
                    f"{title}: column {place} has no name, as an index of "
                    "pandas, or separators at the ends of lines; remove it, or "
                    f"leave it out by drop={[called[place]]}."
                )
        names = checked_names(title, features_in(kept.values(), widths))
        if not names:
            raise ValueError(f"{title} has no column of features.")
        if self.names is not None:
            positions_of(title, names, self.names)
            return self.names
        return names


# Every column is a feature.
ALL_COLUMNS = Columns()


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
                f"{title} has no {name!r}; it has {listed(sorted(names), 20)}."
            )
