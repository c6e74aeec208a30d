"""Standard scores, also of a feature that never varied in training."""

import numpy as np
from sklearn.preprocessing import StandardScaler

# Relative to the value of a constant feature. Its copies may differ by the
# rounding of single precision.
_ROUNDING = 1e-6


class TableScaler(StandardScaler):
    """Standardise features, and count changes of constant ones.

    In any units, the standard score of a row is sqrt(n) among n + 1 rows if all
    others have another value, the same one. That is the score here of a change
    of a feature that was constant in n rows, whatever its amount; its sign is
    that of the change. Other features have scikit-learn's standard scores.

    Attributes:
        is_constant_: bool [features], whether a feature was constant.

    Example:
        >>> import numpy as np
        >>> from nae_tf.tables.scaling import TableScaler
        >>> x = np.array([[0.0, 7.0]] * 8 + [[2.0, 7.0]] * 8)
        >>> TableScaler().fit(x).transform([[0.0, 7.0], [0.0, 6.9]])
        array([[-1.,  0.],
               [-1., -4.]])
    """

    def fit(self, X, y=None):
        """Fit to the rows of a table.

        Args:
            X: float [rows, features], which may hold NaN.
            y: ignored.

        Raises:
            ValueError: if a feature has no value, or no finite mean and
                deviation.
        """
        empty = np.isnan(X).all(axis=0)
        if empty.any():
            raise ValueError(
                "NAEDetector: expected a value of every feature, received none "
                f"of feature {empty.argmax()} (counted from 0), one of "
                f"{empty.sum()}; leave these features out."
            )
        super().fit(X)
        deviation = np.sqrt(self.var_)
        if not np.all(np.isfinite([self.mean_, deviation])):
            raise ValueError(
                "NAEDetector: expected features of finite mean and deviation, "
                f"received values up to {np.nanmax(np.abs(X)):g}; scale them "
                "first."
            )
        # scikit-learn allows for the rounding of its own sums. The values of a
        # constant feature may have been rounded more than that.
        self.is_constant_ = deviation <= 1e-12 * np.abs(self.mean_)
        self.scale_ = np.where(self.is_constant_, 1.0, deviation)
        return self

    def transform(self, X, copy=None):
        """Return standard scores, float64 [rows, features]; NaN stays."""
        scores = super().transform(X, copy)
        change = scores[:, self.is_constant_]  # In units of the data.
        allowed = _ROUNDING * np.abs(self.mean_[self.is_constant_])
        rows = np.broadcast_to(self.n_samples_seen_, self.mean_.shape)
        scores[:, self.is_constant_] = np.where(
            np.abs(change) <= allowed,
            0.0,
            np.sign(change) * np.sqrt(rows[self.is_constant_]),
        )
        return scores
