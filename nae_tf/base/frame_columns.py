"""The columns of the data frames that a model is given, in one order."""

import numpy as np

from nae_tf.base.data_frames import from_data_frame, is_data_frame
from nae_tf.base.feature_names import Names, positions_of
from nae_tf.base.lost_digits import warn_of_lost_digits

_REMEDY = (
    "subtract that number in all frames, change the unit, or leave the column "
    "out"
)


class FrameColumns:
    """Names of a model's features, learnt from the first data frame of `fit`.

    Models that share their networks share these as well.

    Attributes:
        names: names of the features in the order of the model, or None.
    """

    def __init__(self, names: Names | None = None):
        """Set the names, if they are known."""
        self.names = names
        self._has_warned = False

    def values(self, title, x, dtype, learn: bool = False):
        """Return the numbers of a data frame in the order of the model.

        The first frame with differences that float32 loses is warned of; what
        comes in parts has one warning.

        Args:
            title: what the frame is for, used in error messages.
            x: a data frame; anything else is returned as it is.
            dtype: floating type of the numbers.
            learn: whether a model without names takes those of the frame.

        Returns:
            Array [rows, features].

        Raises:
            ValueError: if a column does not hold finite numbers alone, or the
                name of a feature is missing or unknown.
        """
        if not is_data_frame(x):
            return x
        dtype = np.dtype(dtype)
        values, names, spread = from_data_frame(title, x, dtype)
        if not self._has_warned and dtype != np.float64:
            self._has_warned = warn_of_lost_digits(
                title, spread, names, _REMEDY
            )
        if self.names is None:
            self.names = names if learn else None
            return values
        if names == self.names:
            return values
        return values[:, positions_of(title, names, self.names)]

    def of_validation(self, title, data, dtype):
        """Do the same for `validation_data`, with labels or without."""
        if isinstance(data, (tuple, list)) and data:
            first, *others = data
            return (self.values(title, first, dtype), *others)
        return self.values(title, data, dtype)
