"""What a file of examples holds, and the order of its named features."""

import dataclasses
import pathlib

import numpy as np

from nae_tf.base.feature_names import Names, positions_of
from nae_tf.data.readers.units import Units


def refuse_special(path: pathlib.Path):
    """Refuse what is no file on a disk: reading it may take for ever.

    Args:
        path: path that exists, or a link that leads nowhere.

    Raises:
        FileNotFoundError: if a link leads nowhere.
        ValueError: if it is a pipe, a socket or a device.
    """
    if path.is_file():
        return
    if not path.exists():
        raise FileNotFoundError(f"{path} is a link to a file that is missing.")
    raise ValueError(
        f"{path} is a pipe or a device, not a file; write its contents "
        "into a file. nae-tf score reads a table from --input=-."
    )


@dataclasses.dataclass(frozen=True, eq=False)
class Contents:
    """All examples of a file.

    Attributes:
        values: examples, `[number, *shape]`.
        labels: classes, [number], or None.
        names: names of the features of vectors, in their order; None for
            images and for features without names.
        units: units of features by name, "" for all values without names.
    """

    values: np.ndarray
    labels: np.ndarray | None = None
    names: Names | None = None
    units: Units = dataclasses.field(default_factory=dict)

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
        return dataclasses.replace(
            self, values=self.values[:, order], names=expected
        )
