"""Tables with labelled outliers, and how they are split.

Detectors train on inliers alone and are tested on other inliers and outliers.
"""

import dataclasses
import functools
import pathlib
import zipfile
from collections.abc import Callable

import numpy as np
from sklearn import datasets

Rows = tuple[np.ndarray, np.ndarray]


@dataclasses.dataclass(frozen=True)
class Split:
    """A split of a table.

    Attributes:
        train: float64 [num_train, num_features], inliers.
        inliers: float64 [num_inliers, num_features], to be tested.
        outliers: float64 [num_outliers, num_features], to be tested.
    """

    train: np.ndarray
    inliers: np.ndarray
    outliers: np.ndarray


@dataclasses.dataclass(frozen=True)
class Table:
    """A table, whose rows are read when it is split.

    Attributes:
        name: name, also of the files of its results.
        rows: function that returns the features, [rows, features], and whether
            each row is an outlier, bool [rows].
        split_at: function of the number of inliers that returns how many are
            for training; the others are for the test.
        max_train: number of inliers that at most are trained on.
        max_test: number of inliers, and of outliers, that at most are tested.
    """

    name: str
    rows: Callable[[], Rows]
    split_at: Callable[[int], int]
    max_train: int | None = None
    max_test: int | None = None

    def split(self, seed: int) -> Split:
        """Split the table at random: first the inliers, then the outliers."""
        features, is_outlier = self.rows()
        features = features.astype("float64")
        random = np.random.default_rng(seed)
        inliers = random.permutation(features[~is_outlier])
        outliers = random.permutation(features[is_outlier])
        train, rest = np.split(inliers, [self.split_at(len(inliers))])
        return Split(
            train[: self.max_train],
            rest[: self.max_test],
            outliers[: self.max_test],
        )


def tables_of_scikit_learn() -> list[Table]:
    """Return five tables: one class is the outliers, 70 % of the rest train."""

    def table(name, load, outlier_class):
        def rows():
            features, classes = load(return_X_y=True)
            return features, classes == outlier_class

        return Table(name, rows, lambda count: round(0.7 * count))

    return [
        table("breast cancer, malignant", datasets.load_breast_cancer, 0),
        table("wine, cultivar 1", datasets.load_wine, 0),
        table("wine, cultivar 2", datasets.load_wine, 1),
        table("wine, cultivar 3", datasets.load_wine, 2),
        table("digits, 4", datasets.load_digits, 4),
    ]


def tables_of_folder(folder: pathlib.Path) -> list[Table]:
    """Return the tables of a folder: half of the inliers, at most 2,000, train.

    At most 10,000 of the other inliers and 10,000 outliers are tested.

    Args:
        folder: folder of files NAME.npz with "X", numbers [rows, features], and
            "y", int [rows], 1 for outliers and 0 for inliers.

    Raises:
        ValueError: if there is none.
    """
    files = sorted(folder.glob("*.npz"))
    if not files:
        raise ValueError(
            f"--tables: expected a folder with files NAME.npz, found none in "
            f"{folder}."
        )
    return [
        Table(
            file.stem,
            functools.partial(read_rows, file),
            split_at=lambda count: count // 2,
            max_train=2_000,
            max_test=10_000,
        )
        for file in files
    ]


def read_rows(file: pathlib.Path) -> Rows:
    """Read the features and whether each row is an outlier.

    Raises:
        ValueError: if the file is not a table with two inliers and an outlier.
    """
    try:
        with np.load(file) as arrays:
            features, labels = arrays["X"], arrays["y"]
    except (KeyError, ValueError, OSError, zipfile.BadZipFile) as error:
        raise ValueError(
            f"{file}: expected an .npz file with arrays X and y: {error}"
        ) from error
    if features.ndim != 2 or features.dtype.kind not in "fiub":
        raise ValueError(
            f"{file}: expected X to be numbers [rows, features], received "
            f"{features.dtype} {list(features.shape)}."
        )
    if labels.shape != features.shape[:1] or not np.isin(labels, (0, 1)).all():
        raise ValueError(
            f"{file}: expected y to be 0 (inlier) or 1 (outlier) for each of "
            f"{len(features)} rows, received other values or another shape: "
            f"{labels.dtype} {list(labels.shape)}."
        )
    is_outlier = labels == 1
    if np.sum(~is_outlier) < 2 or not is_outlier.any():
        raise ValueError(
            f"{file}: expected two inliers and one outlier at least, received "
            f"{np.sum(~is_outlier)} and {is_outlier.sum()}."
        )
    return features, is_outlier
