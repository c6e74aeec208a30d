"""Columns of lists of one length: embeddings in Parquet, Feather and Arrow.

A column x of lists of k numbers is the features x[0] ... x[k - 1], as a field
of k numbers of a structured array is.
"""

import numpy as np
import pandas
import polars
import pyarrow
import pytest
from pyarrow import feather, ipc, parquet
from science_files import read, refused

from nae_tf.data.readers.columns import Columns
from nae_tf.data.readers.stream import open_stream

VALUES = np.random.default_rng(0).normal(size=(20, 5)).astype(np.float32)
AGE = np.arange(20.0) ** 2
NAMES = (*(f"x[{place}]" for place in range(5)), "age")
EXPECTED = np.column_stack([VALUES, AGE]).astype(np.float32)


def fixed_size_list():
    return pyarrow.FixedSizeListArray.from_arrays(VALUES.ravel(), 5)


def write_stream(table, path):
    with ipc.new_stream(str(path), table.schema) as file:
        file.write_table(table, max_chunksize=7)


WRITERS = {
    "a.parquet": lambda table, path: parquet.write_table(
        table, path, row_group_size=6
    ),
    "a.feather": lambda table, path: feather.write_feather(
        table, path, chunksize=6
    ),
    "a.arrows": write_stream,
}


@pytest.fixture(params=WRITERS)
def write(request, tmp_path):
    def call(schema=None, table=None, **columns):
        path = tmp_path / request.param
        WRITERS[request.param](table or pyarrow.table(columns, schema), path)
        return path

    return call


def streamed(path, names=None, drop=(), skip=0):
    columns = Columns(names=names, drop=drop)
    stream = open_stream(str(path), (6,), 4, columns=columns, skip=skip)
    return np.concatenate([batch.load() for batch in stream.batches])


@pytest.mark.parametrize(
    "kind",
    [
        pyarrow.list_(pyarrow.float32(), 5),
        pyarrow.list_(pyarrow.float64()),
        pyarrow.large_list(pyarrow.float32()),
    ],
    ids=str,
)
def test_lists_of_numbers_are_features(write, kind):
    path = write(x=fixed_size_list().cast(kind), age=AGE)
    found = read(path)
    assert found.names == NAMES
    np.testing.assert_array_equal(found.values, EXPECTED)
    np.testing.assert_array_equal(streamed(path), EXPECTED)
    np.testing.assert_array_equal(streamed(path, skip=2), EXPECTED[8:])


def test_they_have_an_order_by_name(write):
    path = write(age=AGE, x=fixed_size_list(), word=["a"] * 20)
    names = (*NAMES[:2], NAMES[5], *NAMES[2:5])
    expected = EXPECTED[:, [0, 1, 5, 2, 3, 4]]
    found = read(path, names=names, drop=["word"])
    np.testing.assert_array_equal(found.values, expected)
    values = streamed(path, names, ["word"])
    np.testing.assert_array_equal(values, expected)
    refused(
        r"lacks the columns \['y'\] and has .*x\[", path, names=("age", "y")
    )


def test_a_column_of_lists_is_left_out_by_its_name(write):
    path = write(
        age=AGE, x=fixed_size_list(), y=[f"{i % 2}" for i in range(20)]
    )
    found = read(path, drop=["x"], label_key="y")
    np.testing.assert_array_equal(found.values, EXPECTED[:, 5:])
    assert found.labels.tolist() == ["0", "1"] * 10


def test_what_other_libraries_write(tmp_path):
    polars.DataFrame({"x": VALUES, "age": AGE}).write_parquet(
        tmp_path / "a.parquet"
    )
    pandas.DataFrame({"x": list(VALUES), "age": AGE}).to_parquet(
        tmp_path / "b.parquet"
    )
    pandas.DataFrame({"x": VALUES.tolist(), "age": AGE}).to_feather(
        tmp_path / "c.feather"
    )
    for name in ("a.parquet", "b.parquet", "c.feather"):
        found = read(tmp_path / name)
        assert found.names == NAMES
        np.testing.assert_array_equal(found.values, EXPECTED)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (
            [[1.0, 2.0]] * 8 + [[1.0]] + [[1.0, 2.0]] * 2,
            r"'x' holds lists of 2 values and, in row 8 \(counted .* of 1; cut",
        ),
        ([[], [1.0]], "'x' holds list<.*>, expected numbers"),
        ([[1.0, 2.0], None], r"'x\[0\]' has no value in row 1 \(counted"),
        ([None, [1.0, 2.0], None], r"'x\[0\]' has no value in row 0 \(counted"),
        ([[1.0, 2.0], [1.0, None]], r"'x\[1\]' has no value in row 1"),
        ([[1.0, 2.0], [np.nan, 1.0]], r"'x\[0\]' has NaN .* in row 1"),
        ([["a"], ["b"]], "'x' holds list<.*>, expected numbers"),
        ([[[1.0]], [[2.0]]], "'x' holds list<.*>, expected numbers"),
        ([None, None], "'x' holds null, expected numbers"),
        ([[2**53 + 1], [1]], r"'x\[0\]' holds integers of 2\*\*53 or more"),
    ],
)
def test_lists_that_make_no_features(write, values, message):
    path = write(x=values, age=np.arange(float(len(values))))
    refused(message, path)
    with pytest.raises(ValueError, match=message):
        streamed(path)


def test_equal_names_of_lists_are_refused(write):
    lists = fixed_size_list().cast(pyarrow.list_(pyarrow.float32()))
    path = write(table=pyarrow.table([lists, lists], ["x", "x"]))
    refused(r"several columns named \['x'\]", path)


def test_names_that_two_columns_would_have(write):
    path = write(**{"x": fixed_size_list(), "x[1]": AGE})
    refused("'x' holds fixed_size_list<.*, expected numbers", path)


def test_units_of_a_column_are_those_of_its_features(write):
    field = pyarrow.field(
        "x", pyarrow.list_(pyarrow.float32(), 5), metadata={"units": "keV"}
    )
    schema = pyarrow.schema([field, pyarrow.field("age", pyarrow.float64())])
    path = write(schema, x=fixed_size_list(), age=AGE)
    assert read(path).units == {f"x[{place}]": "keV" for place in range(5)}
