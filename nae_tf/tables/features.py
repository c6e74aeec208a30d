"""Columns that a table's autoencoders see, made of its features.

Up to 50 features: standard scores, then normal scores of ranks, which an
outlying value or a skewed feature does not stretch. More features: the leading
principal components; all other directions have an energy of their own.
"""

from typing import ClassVar

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import QuantileTransformer, StandardScaler
from sklearn.utils import check_array
from sklearn.utils.metadata_routing import UNUSED

from nae_tf.tables.components import principal_components
from nae_tf.tables.scaling import TableScaler

# Ranks double the columns; members of more than 100 would need more steps.
_MAX_RANKED_FEATURES = 50
_MAX_COMPONENTS = 64
# Share of the variance that principal components keep; what is left over is
# noise, in which an outlier shows best.
_KEPT_VARIANCE = 0.9
# Decimals of standard scores that are signal; ranks tell any two values apart.
_DECIMALS = 6


class TableFeatures(TransformerMixin, BaseEstimator):
    """Turn the features of a table into columns for `TableNAE`.

    Args:
        random_state: int, seed of the subsample that ranks are taken of.

    Attributes:
        scaler_: the fitted `TableScaler`.
        ranks_: the fitted quantile transformer, or None for wide tables.
        components_: the fitted `sklearn.decomposition.PCA`, or None for others.
        fold_components_: the same without the rows of each fold.
        num_columns_: number of columns.
        num_values_: number of columns that are no ranks.

    Example:
        >>> import numpy as np
        >>> from nae_tf.tables import TableFeatures
        >>> x = np.random.default_rng(0).lognormal(size=(100, 3))
        >>> TableFeatures(random_state=0).fit_transform(x).shape
        (100, 6)
        >>> wide = np.random.default_rng(0).normal(size=(100, 300))
        >>> TableFeatures(random_state=0).fit_transform(wide).shape
        (100, 50)
    """

    # Folds are no metadata that scikit-learn would route.
    __metadata_request__fit: ClassVar[dict] = {"fold": UNUSED}

    def __init__(self, random_state: int = 0):
        self.random_state = random_state

    def fit(self, X, y=None, *, fold=None):
        """Fit to the rows of a table.

        Args:
            X: float [rows, features], which may hold NaN.
            y: ignored.
            fold: int [rows], numbers of folds that `energies` leaves out in
                turn; -1 or None leaves out none.
        """
        X = check_array(X, dtype=np.float64, ensure_all_finite="allow-nan")
        self.scaler_ = TableScaler().fit(X)
        z = self.scaler_.transform(X)
        self.ranks_ = self.components_ = None
        if X.shape[1] > _MAX_RANKED_FEATURES:
            self._fit_components(np.nan_to_num(z), fold)
        else:
            self._fit_ranks(z)
        return self

    def _fit_components(self, z, fold):
        self.components_ = principal_components(z, _KEPT_VARIANCE)
        # Fewer than half as many as rows: those fit any example.
        self.num_values_ = max(
            min(
                _MAX_COMPONENTS,
                self.components_.n_components_,
                len(z) // 2,
            ),
            1,
        )
        self.num_columns_ = self.num_values_
        scores = self.components_.transform(z)[:, : self.num_values_]
        self.component_scale_ = float(scores.std()) or 1.0
        if fold is None or fold[0] < 0:
            self.fold_components_ = [self.components_]
            left_out = np.ones((1, len(z)), bool)
        else:
            left_out = fold == np.arange(max(fold) + 1)[:, None]
            self.fold_components_ = [
                principal_components(z[~rows], _KEPT_VARIANCE)
                for rows in left_out
            ]
        self.rest_units_ = np.array(
            [
                [np.mean(block**2) if block.size else 1.0 for block in blocks]
                for blocks in (
                    self._rest_blocks(z[rows], components)
                    for rows, components in zip(
                        left_out, self.fold_components_, strict=True
                    )
                )
            ]
        )
        self.rest_units_[self.rest_units_ == 0] = 1.0

    def _fit_ranks(self, z):
        self.num_values_ = z.shape[1]
        self.num_columns_ = 2 * self.num_values_
        # No rank tells a constant feature from its rounding.
        self.varies_ = np.nanstd(np.round(z, _DECIMALS), axis=0) > 0
        if self.varies_.any():
            self.ranks_ = make_pipeline(
                QuantileTransformer(
                    n_quantiles=min(len(z), 1_000),
                    output_distribution="normal",
                    random_state=self.random_state,
                ),
                StandardScaler(),
            ).fit(np.round(z[:, self.varies_], _DECIMALS))

    def transform(self, X) -> np.ndarray:
        """Return the columns, float64 [rows, columns]; NaN becomes 0."""
        standardised = self.scaler_.transform(X)
        z = np.nan_to_num(standardised)
        if self.components_ is not None:
            scores = self.components_.transform(z)[:, : self.num_values_]
            return scores / self.component_scale_
        scores = np.zeros_like(z)
        if self.ranks_ is not None:
            known = np.round(standardised, _DECIMALS)
            found = self.ranks_.transform(known[:, self.varies_])
            scores[:, self.varies_] = np.nan_to_num(found)
        return np.concatenate([z, scores], axis=1)

    def energies(self, X, member_energies) -> np.ndarray:
        """Add the energy of all directions that the columns leave over.

        Args:
            X: float [rows, features].
            member_energies: float [folds, rows], about 1 for inliers.

        Returns:
            float64 [folds, rows], about 1 for inliers: the mean over all
            directions.
        """
        if self.components_ is None:
            return member_energies
        z = np.nan_to_num(self.scaler_.transform(X))
        # Axes are orthonormal: no need to go back to features for a sum.
        rest = [
            sum(
                weight * np.sum(np.square(block), axis=1)
                for weight, block in zip(
                    self._rest_weights(components, units),
                    self._rest_blocks(z, components),
                    strict=True,
                )
            )
            for components, units in self._folds_of_rest()
        ]
        share = self.num_values_ / X.shape[1]
        return share * member_energies + rest

    def shares(self, X, residuals) -> np.ndarray:
        """Split the energy of rows among the features.

        Args:
            X: float [rows, features].
            residuals: as `TableNAE.scaled_residuals` returns them for the
                columns of X.

        Returns:
            float64 [folds, rows, features], whose sums over features are the
            energies under the members that leave out each fold.
        """
        if self.components_ is None:
            first, second = map(np.square, residuals)
            count = first.shape[-1]
            return (first + second[..., :count] + second[..., count:]) / 2
        # Axes are orthonormal, so that squares of features and of components
        # have the same sums.
        axes = self.components_.components_[: self.num_values_]
        first, second = (np.square(r @ axes) for r in residuals)
        share = self.num_values_ / X.shape[1]
        return share * (first + second) / 2 + self._rest_shares(X)

    def _rest_shares(self, X):
        """Shares of the features in what is left over, [folds, rows, features].

        Directions count equally, in the unit of their block.
        """
        z = np.nan_to_num(self.scaler_.transform(X))
        found = []
        for components, units in self._folds_of_rest():
            weights = self._rest_weights(components, units)
            middle, tail = self._rest_blocks(z, components)
            axes = components.components_[self.num_values_ :]
            found.append(
                weights[0] * np.square(middle @ axes)
                + weights[1] * np.square(tail)
            )
        return np.array(found)

    def _folds_of_rest(self):
        return zip(self.fold_components_, self.rest_units_, strict=True)

    def _rest_weights(self, components, units):
        """Weights of squared scores of further components, and of the tail."""
        num_features = components.n_features_in_
        # Of unit mean square per direction, not per feature, in the tail.
        tail = (num_features - components.n_components_) / num_features
        return np.array([1, tail]) / (units * num_features)

    def _rest_blocks(self, z, components):
        """Scores of further components, and what all leave over of features."""
        scores = components.transform(z)
        tail = z - components.inverse_transform(scores)
        return scores[:, self.num_values_ :], tail
