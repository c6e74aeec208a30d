"""Principal components that keep a share of the variance, the cheapest way.

Tables of image features or of words have more columns than rows. Their
components come from the products of rows, which are fewer.
"""

import numpy as np
from sklearn.decomposition import PCA


def principal_components(z, kept_variance: float) -> PCA:
    """Fit the fewest components that keep a share of the variance.

    Args:
        z: float [rows, features], finite.
        kept_variance: share of the variance, in (0, 1).

    Returns:
        The fitted `sklearn.decomposition.PCA`.

    Example:
        >>> import numpy as np
        >>> from nae_tf.tables.components import principal_components
        >>> z = np.random.default_rng(0).normal(size=(20, 100))
        >>> principal_components(z, 0.9).components_.shape
        (15, 100)
    """
    rows, features = z.shape
    if 1 < rows < features and np.ptp(z, axis=0).any():
        return _fit_by_rows(z, kept_variance)
    solver = "full" if rows < 10 * features else "covariance_eigh"
    # A table of constants has no variance to take a share of.
    with np.errstate(invalid="ignore"):
        return PCA(kept_variance, svd_solver=solver).fit(z)


def _fit_by_rows(z, kept_variance):
    """Take the components from products of rows, not of features."""
    mean = z.mean(axis=0)
    centered = z - mean
    # Not SciPy's: its wheel has a BLAS of its own, whose threads and those of
    # NumPy's products wait for each other (a third of the speed on two cores).
    squares, rotation = np.linalg.eigh(centered @ centered.T)
    squares, rotation = np.maximum(squares[::-1], 0), rotation[:, ::-1]
    shares = np.cumsum(squares) / np.sum(squares)
    count = int(np.searchsorted(shares, kept_variance, side="right")) + 1
    pca = PCA(kept_variance)
    pca.mean_ = mean
    pca.components_ = (
        rotation[:, :count] / np.sqrt(squares[:count])
    ).T @ centered
    pca.explained_variance_ = squares[:count] / (len(z) - 1)
    pca.n_components_, pca.n_features_in_ = pca.components_.shape
    return pca
