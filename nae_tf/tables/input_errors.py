"""What scikit-learn says of a table in many lines, and what it does not say."""

import warnings

import numpy as np

from nae_tf.base.data_frames import is_data_frame


def warn_of_labels(y):
    """Warn of labels that scikit-learn's scorers take the wrong way round.

    They take the larger label for the inlier, without a word: of labels 0 for
    inliers and 1 for outliers a search chooses the worst detector.

    Args:
        y: what `fit` was given beside the table; anything but a few 1 among 0
            is passed over.

    Example:
        >>> import warnings
        >>> from nae_tf.tables.input_errors import warn_of_labels
        >>> with warnings.catch_warnings(record=True) as caught:
        ...     warn_of_labels([0, 0, 1])
        >>> "1 - 2 * y" in str(caught[0].message)
        True
    """
    if y is None:
        return
    values = np.asarray(y)
    if values.ndim != 1 or not values.size or values.dtype.kind not in "biuf":
        return
    if set(np.unique(values).tolist()) == {0, 1} and values.mean() < 0.5:
        warnings.warn(
            "NAEDetector: y is 0 and, less often, 1; if 1 is an outlier, "
            "scorers of scikit-learn, as in GridSearchCV, take it for the "
            "inlier: give them 1 - 2 * y, which is +1 for inliers. fit does "
            "not look at y.",
            stacklevel=3,
        )


def in_one_line(error: ValueError, x) -> str:
    r"""Return the message of an error for the user of `NAEDetector`.

    Args:
        error: error of scikit-learn's `validate_data`.
        x: the table.

    Example:
        >>> from nae_tf.tables.input_errors import in_one_line
        >>> in_one_line(ValueError("Expected 2D array, got 1D:\narray"), None)
        'Expected 2D array, got 1D: array'
    """
    column = _first_text_column(x)
    if column is not None:
        return (
            f"NAEDetector: expected numbers, column {column!r} holds text; "
            "encode it, as by sklearn.preprocessing.OneHotEncoder, or leave it "
            "out."
        )
    if "contains NaN" in str(error):
        # scikit-learn goes on about estimators that take labels.
        return (
            "NAEDetector: the table contains NaN; remove or repair these rows, "
            'or set missing_values="mask".'
        )
    return " ".join(str(error).split())


def _first_text_column(x):
    """Return the name of a frame's first column that is no numbers, or None."""
    if not is_data_frame(x):
        return None
    # The columns of Arrow's tables are arrays, not names.
    for name in getattr(x, "column_names", x.columns):
        try:
            np.asarray(x[name], np.float64)
        except (TypeError, ValueError):
            return name
    return None
