"""Standardised features: zero mean and unit variance over the training data.

A model that standardises takes examples in their own units and computes in
standardised ones: its networks, its energies and its chains. What it returns as
examples, reconstructions and samples, is in the units of the data again.
"""

from collections.abc import Iterable

import numpy as np
import tensorflow as tf
from sklearn.preprocessing import StandardScaler

from nae_tf.base.input_checks import BAD_INPUT, not_floating, shape_checks
from nae_tf.base.keras_ways import KerasWays

# Names in the Keras files of models.
_STORED = ("standardization_mean", "standardization_scale")

# Rows of an array that are read at a time.
ROWS = 1024


class Standardization(tf.Module):
    """Mean and standard deviation of every feature, (x - mean) / scale.

    Features are the last axis of examples: columns of a table, channels of
    images. Checkpoints, Keras files and exports of the model hold both.

    Attributes:
        mean: variable [features], in the units of the data.
        scale: variable [features], > 0, in the units of the data; 1 for a
            feature that is constant.
    """

    def __init__(self, mean, scale, dtype):
        """Set the moments.

        Args:
            mean: float [features].
            scale: float [features], > 0.
            dtype: floating type of the variables.
        """
        super().__init__()
        aggregation = tf.VariableAggregation.ONLY_FIRST_REPLICA
        self.mean, self.scale = (
            tf.Variable(
                np.asarray(values, np.dtype(dtype)),
                trainable=False,
                aggregation=aggregation,
            )
            for values in (mean, scale)
        )

    @classmethod
    def identity(cls, num_features: int, dtype) -> "Standardization":
        """Return one that changes nothing, for moments that come later."""
        return cls(np.zeros(num_features), np.ones(num_features), dtype)

    def assign(self, mean, scale):
        """Set the moments, as the constructor does."""
        self.mean.assign(tf.cast(mean, self.mean.dtype))
        self.scale.assign(tf.cast(scale, self.scale.dtype))

    def apply(self, x):
        """Standardise examples, float [batch, ..., features]."""
        mean, scale = self._moments(x)
        return (x - mean) / scale

    def undo(self, x):
        """Bring standardised examples back to the units of the data."""
        mean, scale = self._moments(x)
        return x * scale + mean

    def _moments(self, x):
        return tf.cast(self.mean, x.dtype), tf.cast(self.scale, x.dtype)

    def save_into(self, store):
        """Write the moments into a store of Keras."""
        for name, moment in zip(_STORED, (self.mean, self.scale), strict=True):
            store[name] = moment.numpy()


def moments(batches: Iterable):
    """Compute mean and standard deviation of every feature, in one pass.

    scikit-learn's `StandardScaler` merges the batches, and gives a feature that
    is constant but for rounding the standard deviation 1.

    Args:
        batches: arrays [batch, ..., num_features] of finite values.

    Returns:
        mean: float64 [num_features].
        scale: float64 [num_features], > 0.

    Raises:
        ValueError: if there is no example.

    Example:
        >>> import numpy as np
        >>> from nae_tf.base.standardization import moments
        >>> mean, scale = moments([np.array([[1.0, 5.0], [3.0, 5.0]])])
        >>> mean.tolist(), scale.tolist()
        ([2.0, 5.0], [1.0, 1.0])
    """
    scaler = StandardScaler()
    for batch in batches:
        rows = np.asarray(batch, np.float64)
        if len(rows):
            scaler.partial_fit(rows.reshape(-1, rows.shape[-1]))
    if not hasattr(scaler, "mean_"):
        raise ValueError(
            f"{BAD_INPUT} there are no examples to standardise by."
        )
    return scaler.mean_, scaler.scale_


class FeatureUnits(KerasWays):
    """A model whose features may have units: it standardises if it was told to.

    Attributes:
        standardization: moments of the features; None for a model that takes
            examples as they are.
    """

    standardization: Standardization | None = None

    def reserve_standardization(self) -> Standardization:
        """Return the moments; at first those that change nothing.

        A checkpoint can restore them.
        """
        if self.standardization is None:
            self.standardization = Standardization.identity(
                self.example_shape[-1], self.variable_dtype
            )
            self.forget_graphs()
        return self.standardization

    def standardized(self, x):
        """Bring examples to the units that the networks compute in.

        Args:
            x: float tensor [batch, ...], in the units of the data.

        Returns:
            float, shape of `x`; `x` itself if the model does not standardise.
        """
        if self.standardization is None:
            return x
        return self.standardization.apply(tf.convert_to_tensor(x))

    def checked_tensor(self, name: str, x):
        """Return the argument of a method that takes tensors of the networks.

        Args:
            name: name of the method, used in the message.
            x: float [batch, ...], as `as_examples` returns it.

        Raises:
            ValueError: if shape or type do not fit; or if the model
                standardises and `x` is an array, whose scores would look right
                and be wrong.
        """
        if self.standardization is not None and not tf.is_tensor(x):
            raise ValueError(
                f"{type(self).__name__}.{name}: expected standardised "
                f"examples, received {type(x).__name__}; pass "
                "model.as_examples(x), or call predict_outlier_score(x)."
            )
        x = tf.convert_to_tensor(x)
        if not x.dtype.is_floating:
            raise ValueError(not_floating(x.dtype))
        if self.built:
            shape_checks(x, self.example_shape)  # The known part of the shape.
        return x

    def unstandardized(self, x):
        """Bring what the networks compute back to the units of the data.

        Args:
            x: float tensor [batch, ...], in the units of `standardized`.

        Returns:
            float, shape of `x`; `x` itself if the model does not standardise.
        """
        if self.standardization is None:
            return x
        return self.standardization.undo(tf.convert_to_tensor(x))

    def save_own_variables(self, store):
        """Write the model's own variables, and the moments if it has some."""
        super().save_own_variables(store)
        if self.standardization is not None:
            self.standardization.save_into(store)

    def load_own_variables(self, store):
        """Read what `save_own_variables` wrote.

        With the weights of a model that does not standardise, this one does
        not, either.
        """
        values = {name: store[name] for name in sorted(store.keys())}
        mean, scale = (values.pop(name, None) for name in _STORED)
        super().load_own_variables(values)
        if mean is not None:
            self.reserve_standardization().assign(mean, scale)
        elif self.standardization is not None:
            self.standardization = None
            self.forget_graphs()
