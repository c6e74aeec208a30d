"""scikit-learn's refusals of a table in one line, with what to do here."""

import numpy as np

from nae_tf.base.data_frames import is_data_frame


def refuse_categories(x):
    """Refuse columns of categories, whose numbers are names.

    Args:
        x: the table.

    Raises:
        ValueError: if there is one; the line names it.

    Example:
        >>> import pandas as pd
        >>> from nae_tf.tables.input_errors import refuse_categories
        >>> kinds = pd.Series([11, 13, 11], dtype="category")
        >>> refuse_categories(pd.DataFrame({"pdg": kinds}))
        Traceback (most recent call last):
        ValueError: NAEDetector: expected numbers, column 'pdg' holds ...
    """
    if not is_data_frame(x):
        return
    types = getattr(x, "dtypes", ())
    names = getattr(x, "column_names", x.columns)
    for name, dtype in zip(names, types, strict=False):
        if str(dtype) == "category":
            raise ValueError(
                f"NAEDetector: expected numbers, column {name!r} holds "
                "categories; encode it, as by "
                "sklearn.preprocessing.OneHotEncoder, or make it numbers."
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
