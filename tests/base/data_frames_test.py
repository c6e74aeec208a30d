"""Tests of nae_tf/base/data_frames.py with pandas, polars and pyarrow."""

import datetime
import decimal

import numpy as np
import pyarrow
import pytest

from nae_tf.base.data_frames import from_data_frame, is_data_frame

pandas = pytest.importorskip("pandas")
polars = pytest.importorskip("polars")

# Columns of several types, whose values float32 holds exactly.
COLUMNS = {
    "energy": np.array([0.5, -2.0, 3.0]),
    "hits": np.array([1, 2, 2**24], np.int64),
    "flag": np.array([True, False, True]),
    "half": np.array([0.25, 1.5, -4.0], np.float16),
}
VALUES = [[0.5, 1, 1, 0.25], [-2, 2, 0, 1.5], [3, 2**24, 1, -4]]
MAKERS = {
    "pandas": pandas.DataFrame,
    "polars": polars.DataFrame,
    "pyarrow": pyarrow.table,
    "record batch": pyarrow.record_batch,
}


class Interchanged:
    """A frame of a library that knows the interchange protocol alone."""

    columns = tuple(COLUMNS)

    def __dataframe__(self, **options):
        return pyarrow.table(COLUMNS).__dataframe__(**options)


@pytest.mark.parametrize(
    "frame",
    [*(make(COLUMNS) for make in MAKERS.values()), Interchanged()],
    ids=[*MAKERS, "interchange"],
)
def test_a_frame_gives_its_numbers_and_names(frame):
    assert is_data_frame(frame)
    values, names, _ = from_data_frame("x", frame)
    np.testing.assert_array_equal(values, np.array(VALUES, np.float32))
    assert values.dtype == np.float32
    assert values.flags["C_CONTIGUOUS"]
    assert names == ("energy", "hits", "flag", "half")


@pytest.mark.parametrize("name", MAKERS)
def test_lists_of_one_length_are_features(name):
    """As embeddings are kept in a frame."""
    columns = {"age": [3.0, 4.0], "x": [[0.5, 1.5], [-2.0, 8.0]]}
    values, names, _ = from_data_frame("x", MAKERS[name](columns))
    np.testing.assert_array_equal(values, [[3, 0.5, 1.5], [4, -2, 8]])
    assert names == ("age", "x[0]", "x[1]")


def test_a_column_keeps_the_precision_that_is_asked_for():
    table = pyarrow.table({"a": [0.1]})
    values, *_ = from_data_frame("x", table, np.float64)
    assert values[0, 0] == 0.1


def test_nullable_and_decimal_columns_without_gaps_are_numbers():
    frame = pandas.DataFrame(
        {
            "count": pandas.array([1, 2], "Int64"),
            "kept": pandas.array([True, False], "boolean"),
            "price": [decimal.Decimal("1.25"), decimal.Decimal("-3")],
            "object": np.array([1, 2.5], object),
        }
    )
    values, *_ = from_data_frame("x", frame)
    np.testing.assert_array_equal(values, [[1, 1, 1.25, 1], [2, 0, -3, 2.5]])


def test_the_index_of_pandas_is_no_feature():
    index = pandas.Index([7, 8, 9], name="event")
    frame = pandas.DataFrame(COLUMNS, index=index)
    values, names, _ = from_data_frame("x", frame)
    np.testing.assert_array_equal(values, frame.to_numpy(np.float32))
    assert names == tuple(COLUMNS)
    # Also in a file that pandas wrote and pyarrow reads.
    stored = pyarrow.Table.from_pandas(frame)
    assert "event" in stored.column_names
    assert from_data_frame("x", stored).names == names


def test_columns_without_names_are_named_by_their_numbers():
    frame = pandas.DataFrame(np.array([[1.0, 2.0, 3.0]]))[[2, 0, 1]]
    values, names, _ = from_data_frame("x", frame)
    np.testing.assert_array_equal(values, [[3, 1, 2]])
    assert names == ("2", "0", "1")


@pytest.mark.parametrize(
    "other",
    [
        np.zeros((2, 3)),
        np.zeros(2, [("a", "f4"), ("b", "f4")]),
        pandas.Series([1.0]),
        polars.Series([1.0]),
        pyarrow.array([1.0]),
        [[1.0]],
        {"a": [1.0]},
        None,
    ],
    ids=lambda other: type(other).__name__,
)
def test_other_values_are_no_frames(other):
    assert not is_data_frame(other)


REFUSED = {
    "words": (
        {"a": [1.0, 2.0], "b": ["x", "y"]},
        "column 'b' holds (large_)?string",
    ),
    "dates": ({"a": [datetime.date(2020, 1, 1)]}, "column 'a' holds date"),
    "times": ({"a": [datetime.datetime(2020, 1, 1)]}, "'a' holds timestamp"),
    "lists of several lengths": (
        {"a": [[1.0, 2.0], [3.0]]},
        r"column 'a' holds lists of 2 values and, in row 1 .*, of 1; cut or",
    ),
    "lists of text": ({"a": [["x"]]}, "column 'a' holds .*list"),
    "a gap": (
        {"a": [1.0, 2.0, None, None]},
        r"'a' has no value in row 2 \(counted from 0\), one of 2; repair",
    ),
    "a gap of integers": ({"a": [None, 2]}, "'a' has no value in row 0"),
    "infinity": ({"a": [1.0, np.inf]}, r"'a' has NaN or .* \(inf\) in row 1 "),
    "beyond float32": ({"a": [1e300]}, r"'a' has NaN or .*\(1e\+300\) in row"),
    "identifiers": ({"a": [2**53 + 1]}, r"'a' holds integers of 2\*\*53"),
}


@pytest.mark.parametrize("library", ["pandas", "polars", "pyarrow"])
@pytest.mark.parametrize("kind", REFUSED)
def test_what_is_no_finite_number_is_refused(kind, library):
    columns, message = REFUSED[kind]
    if kind == "a gap of integers" and library == "pandas":
        columns = {"a": pandas.array(columns["a"], "Int64")}
    frame = MAKERS[library](columns)
    message = f"score: .*{message}"
    with pytest.raises(ValueError, match=message) as caught:
        from_data_frame("score", frame)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        (
            pandas.DataFrame({"a": pandas.Categorical(["x", "y"])}),
            "column 'a' holds dictionary",
        ),
        (
            pandas.DataFrame(np.zeros((2, 2)), columns=["a", "a"]),
            r"Duplicate column names found: \['a', 'a'\]",
        ),
        (
            pyarrow.table([[1.0], [2.0]], names=["a", "a"]),
            r" has several columns named \['a'\]",
        ),
        (pandas.DataFrame({"a": [1, "x"]}), "Conversion failed for column a"),
        (pandas.DataFrame({"a": [1j]}), "column a with type complex128"),
        (
            pandas.DataFrame({"a": pandas.arrays.SparseArray([0.0, 1.0])}),
            r"Sparse pandas data \(column a\)",
        ),
        (polars.LazyFrame({"a": [1.0]}), r"a lazy LazyFrame; collect\(\)"),
        (polars.DataFrame({"a": [1.0, np.nan]}), r"NaN or .*\(nan\) in row 1 "),
    ],
    ids=[
        *("category", "equal names of pandas", "equal names", "mixed"),
        *("complex", "sparse", "lazy", "NaN of polars"),
    ],
)
def test_columns_of_other_kinds_are_refused(frame, message):
    with pytest.raises(ValueError, match=f"score.*{message}") as caught:
        from_data_frame("score", frame)
    assert "\n" not in str(caught.value)
