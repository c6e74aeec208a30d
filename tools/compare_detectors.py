"""Compare NAEDetector with other detectors on tables of scikit-learn.

    python tools/compare_detectors.py

Trains on 70 % of the inliers with the defaults of every detector and prints the
AUROC of the other inliers against all outliers, mean and standard deviation
over random splits. The autoencoder of PyOD takes part if PyOD is installed.
"""

import argparse
import importlib.util
from collections.abc import Callable

import numpy as np
from sklearn import datasets
from sklearn.ensemble import IsolationForest
from sklearn.neighbors import LocalOutlierFactor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from nae_tf import NAEDetector
from nae_tf.metrics import auroc
from reproduction.markdown_tables import print_table

Table = tuple[np.ndarray, np.ndarray]


def tables() -> dict[str, Table]:
    """Return features and whether a row is an outlier, by name."""

    def load(loader, outlier_class):
        features, classes = loader(return_X_y=True)
        return features, classes == outlier_class

    return {
        "breast cancer, malignant": load(datasets.load_breast_cancer, 0),
        "wine, cultivar 1": load(datasets.load_wine, 0),
        "wine, cultivar 2": load(datasets.load_wine, 1),
        "wine, cultivar 3": load(datasets.load_wine, 2),
        "digits, 4": load(datasets.load_digits, 4),
    }


def detectors() -> dict[str, Callable]:
    """Return functions (train, test, seed) -> outlier scores, by name."""

    def sklearn_scores(make):
        def scores(train, test, seed):
            return -make(seed).fit(train).score_samples(test)

        return scores

    found = {
        "NAEDetector": sklearn_scores(
            lambda seed: NAEDetector(random_state=seed)
        ),
        "NAEDetector, no NAE phase": sklearn_scores(
            lambda seed: NAEDetector(epochs=0, random_state=seed)
        ),
        "IsolationForest": sklearn_scores(
            lambda seed: IsolationForest(random_state=seed)
        ),
        "LocalOutlierFactor": sklearn_scores(
            lambda seed: make_pipeline(
                StandardScaler(), LocalOutlierFactor(novelty=True)
            )
        ),
    }
    if importlib.util.find_spec("pyod") is not None:
        found["PyOD AutoEncoder"] = _pyod_scores
    return found


def _pyod_scores(train, test, seed):
    from pyod.models.auto_encoder import AutoEncoder

    # It standardises by itself.
    detector = AutoEncoder(random_state=seed, verbose=0)
    return detector.fit(train).decision_function(test)


def compare(table: Table, scores: Callable, num_seeds: int) -> np.ndarray:
    """Return the AUROC of a detector on every random split."""
    features, is_outlier = table
    inliers, outliers = features[~is_outlier], features[is_outlier]
    results = []
    for seed in range(num_seeds):
        order = np.random.default_rng(seed).permutation(len(inliers))
        train, test = np.split(inliers[order], [round(0.7 * len(inliers))])
        found = scores(train, np.concatenate([test, outliers]), seed)
        results.append(auroc(found[: len(test)], found[len(test) :]))
    return np.array(results)


def main():
    """Print the comparison as a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--num_seeds", type=int, default=3)
    num_seeds = parser.parse_args().num_seeds
    named = detectors()

    def row(title, table):
        found = (compare(table, scores, num_seeds) for scores in named.values())
        cells = [
            f"{aurocs.mean():.3f} ± {aurocs.std():.3f}" for aurocs in found
        ]
        return [title, *cells]

    rows = (row(title, table) for title, table in tables().items())
    print_table(["outliers", *named], rows)


if __name__ == "__main__":
    main()
