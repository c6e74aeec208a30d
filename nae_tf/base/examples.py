"""Checks of what a model takes: names, shape, type, range, units."""

import functools

import keras
import tensorflow as tf

from nae_tf.base.frame_columns import FrameColumns
from nae_tf.base.input_checks import (
    not_floating,
    pick,
    refuse_dates,
    refuse_masked,
    refuse_sample_weight,
    refuse_text,
    shape_checks,
    value_checks,
)
from nae_tf.base.standardization import FeatureUnits


class ChecksExamples(FeatureUnits):
    """A model that checks its examples, so that bad data ends in one line."""

    @property
    def value_range(self) -> tuple[float, float] | None:
        """Range (low, high) that inputs must be in, or None for any."""
        return None

    @functools.cached_property
    def frame_columns(self) -> FrameColumns:
        """Names of the features, if `fit` was given a data frame."""
        return FrameColumns()

    def _values(self, x, learn=False):
        """Return a data frame's numbers; anything else stays as it is."""
        refuse_text(x)
        if hasattr(x, "dtype"):  # Of frames the next call names the column.
            refuse_dates(x)
        name = type(self).__name__
        return self.frame_columns.values(name, x, self.variable_dtype, learn)

    def training_examples(self, data):
        """Return the checked examples of a batch of `fit`."""
        x, _, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
        refuse_sample_weight(sample_weight)
        return self.as_examples(pick(x, None))

    def as_examples(self, x):
        """Check a batch of examples and bring it to the model's state type.

        Shape and dtype are checked at once, values when the graph runs. A model
        that standardises does it here.

        Args:
            x: array or tensor [batch, ...], in the units of the data.

        Returns:
            float tensor, shape of `x`, in the units of the networks.

        Raises:
            ValueError: if shape or dtype do not fit.
            InvalidArgumentError: if values are NaN, infinite or outside
                `value_range`.
        """
        x = self.shaped_examples(x)
        with tf.control_dependencies(value_checks(x, self.value_range)):
            return self.standardized(tf.identity(x))

    def shaped_examples(self, x):
        """Check shape and dtype as `as_examples` does, and change no value.

        Args:
            x: array or tensor [batch, ...].

        Returns:
            float tensor, shape of `x`.

        Raises:
            ValueError: if shape or dtype do not fit.
        """
        refuse_masked(x)
        x = tf.convert_to_tensor(self._values(x))
        if not x.dtype.is_floating:
            raise ValueError(not_floating(x.dtype))
        if not self.built:
            with tf.init_scope():
                self.build((None, *x.shape[1:]))
        x = tf.cast(x, self.variable_dtype)
        with tf.control_dependencies(shape_checks(x, self.example_shape)):
            return tf.ensure_shape(x, (None, *self.example_shape))
