"""The columns of the data frames that a model is given, in one order."""

import numpy as np

from nae_tf.base.data_frames import from_data_frame, is_data_frame
from nae_tf.base.feature_names import Names, positions_of


class FrameColumns:
    """Names of a model's features, learnt from the first data frame of `fit`.

    Models that share their networks share these as well.

    Attributes:
        names: names of the features in the order of the model, or None.
    """

    def __init__(self, names: Names | None = None):
        """Set the names, if they are known."""
        self.names = names

    def values(self, title, x, dtype, learn: bool = False):
        """Return the numbers of a data frame in the order of the model.

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
        values, names = from_data_frame(title, x, np.dtype(dtype))
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
