"""The detectors that `compare_detectors.py` compares, each with its defaults.

A detector has `fit(X)` and scores that are high for outliers. Libraries are
imported when a detector is made, which is not measured.
"""

import dataclasses
import importlib.metadata
import importlib.util
from collections.abc import Callable
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.decomposition import PCA
from sklearn.ensemble import IsolationForest
from sklearn.neighbors import LocalOutlierFactor, NearestNeighbors
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import OneClassSVM


@dataclasses.dataclass(frozen=True)
class Detector:
    """A detector that can be compared.

    Attributes:
        make: function (seed, num_features) -> detector.
        scores: method of the detector that scores rows.
        sign: -1 if that method is low for outliers.
        scaled: whether it stands after a StandardScaler, as its users put it;
            the others need none, or have one inside.
        package: package that it comes from.
    """

    make: Callable[[int, int], Any]
    scores: str = "score_samples"
    sign: int = -1
    scaled: bool = False
    package: str = "scikit-learn"

    def installed(self) -> bool:
        """Return whether its package is there."""
        return importlib.util.find_spec(_MODULES[self.package]) is not None

    def version(self) -> str:
        """Return the package and its version; ours is that of the commit."""
        return f"{self.package} {importlib.metadata.version(self.package)}"

    def build(self, seed: int, num_features: int):
        """Return a new detector, not fitted."""
        detector = self.make(seed, num_features)
        if not self.scaled:
            return detector
        return make_pipeline(StandardScaler(), detector)

    def outlier_scores(self, fitted, rows: np.ndarray) -> np.ndarray:
        """Score rows by a fitted detector, high for outliers."""
        return self.sign * getattr(fitted, self.scores)(rows)


_MODULES = {"nae-tf": "nae_tf", "scikit-learn": "sklearn", "pyod": "pyod"}


class FifthNeighbour(BaseEstimator):
    """The distance to the fifth neighbour among the training data."""

    def fit(self, X, y=None):
        """Keep the training data, float [rows, features]."""
        self.neighbours_ = NearestNeighbors(n_neighbors=5).fit(X)
        return self

    def score_samples(self, X):
        """Return minus the distance, float [rows]."""
        return -self.neighbours_.kneighbors(X)[0][:, -1]


class ReconstructionError(BaseEstimator):
    """The squared error of principal components of 90 % of the variance.

    All components, the default of scikit-learn, would leave no error.
    """

    def fit(self, X, y=None):
        """Find the components of the training data, float [rows, features]."""
        self.pca_ = PCA(n_components=0.9, svd_solver="full").fit(X)
        return self

    def score_samples(self, X):
        """Return minus the error, float [rows]."""
        projected = self.pca_.inverse_transform(self.pca_.transform(X))
        return -np.sum((X - projected) ** 2, axis=1)


def _nae(seed, num_features):
    from nae_tf import NAEDetector

    return NAEDetector(random_state=seed)


def _nae_autoencoder(seed, num_features):
    from nae_tf import NAEDetector

    return NAEDetector(steps=0, random_state=seed)


def _pyod_pca(seed, num_features):
    from pyod.models.pca import PCA

    return PCA(random_state=seed)


def _pyod_ecod(seed, num_features):
    from pyod.models.ecod import ECOD

    return ECOD()


def _pyod_autoencoder(seed, num_features):
    from pyod.models.auto_encoder import AutoEncoder

    return AutoEncoder(random_state=seed, verbose=0)


def _pyod_deep_svdd(seed, num_features):
    from pyod.models.deep_svdd import DeepSVDD

    return DeepSVDD(num_features, random_state=seed, verbose=0)


def _of_pyod(make) -> Detector:
    return Detector(make, scores="decision_function", sign=1, package="pyod")


# The one that the others are compared with.
OURS = "NAEDetector"
DETECTORS = {
    OURS: Detector(_nae, package="nae-tf"),
    "NAEDetector-autoencoder": Detector(_nae_autoencoder, package="nae-tf"),
    "IsolationForest": Detector(
        lambda seed, _: IsolationForest(random_state=seed)
    ),
    "LocalOutlierFactor": Detector(
        lambda *_: LocalOutlierFactor(novelty=True), scaled=True
    ),
    "FifthNeighbour": Detector(lambda *_: FifthNeighbour(), scaled=True),
    "OneClassSVM": Detector(lambda *_: OneClassSVM(), scaled=True),
    "PCA-reconstruction": Detector(
        lambda *_: ReconstructionError(), scaled=True
    ),
    "PyOD-PCA": _of_pyod(_pyod_pca),
    "PyOD-ECOD": _of_pyod(_pyod_ecod),
    "PyOD-AutoEncoder": _of_pyod(_pyod_autoencoder),
    "PyOD-DeepSVDD": _of_pyod(_pyod_deep_svdd),
}
