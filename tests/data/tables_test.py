"""Tests of the readers of tables: what comes out of what people have."""

import gzip
import os

import numpy as np
import pyarrow
import pytest
from pyarrow import feather, ipc, parquet

from nae_tf.data import sources, user_tasks
from nae_tf.data.readers import text_blocks
from nae_tf.data.readers.columns import Columns
from nae_tf.data.readers.paths import read_files
from nae_tf.data.readers.stream import open_stream
from nae_tf.data.readers.tables import open_table

NUMBERS = [[1.5, -2.0], [3.0, 0.25]]
AB = ("a", "b")


def read(path, **settings):
    """Values, names and labels of a file."""
    files = read_files(str(path), **settings)
    split = files.select("all", np.arange(files.size))
    return sources.to_array(split.stored()), files.names, files.labels


TEXTS = {
    "a header": "a,b\n1.5,-2\n3,.25\n",
    "no line end": "a,b\n1.5,-2\n3,.25",
    "Windows": "a,b\r\n1.5,-2\r\n3,.25\r\n",
    "old Mac": "a,b\r1.5,-2\r3,.25\r",
    "mixed line ends": "a,b\r\n1.5,-2\n3,.25\r",
    "blank lines": "\na,b\n\n1.5,-2\n\n3,.25\n\n",
    "quotes": '"a","b"\n"1.5","-2"\n"3",".25"\n',
    "blanks around fields": "a, b\n 1.5, -2 \n3,\t.25\n",
    "a plus": "a,b\n+1.5,-2\n+3,+0.25\n",
    "exponents": "a,b\n15e-1,-2E0\n3.e+00,2.5e-01\n",
    "semicolons": "a;b\n1.5;-2\n3;.25\n",
    "decimal commas": "a;b\n1,5;-2\n3;0,25\n",
    "bars": "a|b\n1.5|-2\n3|.25\n",
    "tabs": "a\tb\n1.5\t-2\n3\t.25\n",
    "a mark": "\ufeffa,b\n1.5,-2\n3,.25\n",
}


@pytest.mark.parametrize("kind", TEXTS)
def test_numbers_are_read_however_they_are_written(kind, tmp_path):
    (tmp_path / "a.csv").write_bytes(TEXTS[kind].encode())
    values, names, _ = read(tmp_path / "a.csv")
    np.testing.assert_array_equal(values, NUMBERS)
    assert names == AB


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-be", "utf-8-sig"])
def test_a_byte_order_mark_gives_the_encoding(encoding, tmp_path):
    text = "größe,b\n1.5,-2\n3,.25\n"
    mark = b"\xfe\xff" if encoding == "utf-16-be" else b""
    (tmp_path / "a.csv").write_bytes(mark + text.encode(encoding))
    values, names, _ = read(tmp_path / "a.csv")
    np.testing.assert_array_equal(values, NUMBERS)
    assert names == ("größe", "b")


def test_a_header_of_numbers_is_one_if_that_is_said_or_known(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("400,402,404\n1,2,3\n3,1,2\n")
    values, names, _ = read(path, header="yes")
    np.testing.assert_array_equal(values, [[1, 2, 3], [3, 1, 2]])
    assert names == ("400", "402", "404")
    values, names, _ = read(path, header="no")
    np.testing.assert_array_equal(
        values, [[400, 402, 404], [1, 2, 3], [3, 1, 2]]
    )
    assert names is None
    values, names, _ = read(path, names=("404", "400", "402"))
    np.testing.assert_array_equal(values, [[3, 1, 2], [2, 3, 1]])
    values, names, _ = read(path, label_key="402")
    np.testing.assert_array_equal(values, [[1, 3], [3, 2]])


@pytest.mark.parametrize(
    "rows",
    [
        [[5.0, 1, 2], [3, 4, 5], [1, 2, 3]],  # Other rows ascend too.
        [[0.0, 1], [1, 0], [0, 1]],  # Not one row alone counts columns.
        [[7.0, 2]],
    ],
)
def test_a_table_of_numbers_keeps_its_first_line(rows, tmp_path):
    np.savetxt(tmp_path / "a.csv", rows, delimiter=",")
    values, names, _ = read(tmp_path / "a.csv")
    np.testing.assert_array_equal(values, rows)
    assert names is None


def test_random_tables_without_header_are_seldom_refused(tmp_path):
    generator = np.random.default_rng(0)
    refused = 0
    for _ in range(100):
        rows = generator.normal(size=(30, generator.integers(1, 8)))
        np.savetxt(tmp_path / "a.csv", rows, delimiter=",")
        try:
            values, _, _ = read(tmp_path / "a.csv")
        except ValueError:
            refused += 1
        else:
            np.testing.assert_allclose(values, rows, rtol=1e-6)
    assert refused <= 5


def test_columns_come_by_name(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text('id,b,kind,a\nx1,-2,"rose, red",1.5\nx2,.25,tulip,3\n')
    values, names, labels = read(path, label_key="kind", drop=["id"], names=AB)
    np.testing.assert_array_equal(values, NUMBERS)
    assert names == AB
    assert labels.tolist() == ["rose, red", "tulip"]


def test_outliers_in_another_order_are_put_in_order(tmp_path):
    generator = np.random.default_rng(0)
    rows = "".join(f"{a},{b},0\n" for a, b in generator.normal(size=(20, 2)))
    (tmp_path / "good.csv").write_text("a,b,label\n" + rows)
    (tmp_path / "bad.csv").write_text("b,a\n-2,1.5\n.25,3\n")
    task = user_tasks.user_data(
        str(tmp_path / "good.csv"),
        {"bad": str(tmp_path / "bad.csv")},
        drop=["label"],
    )
    np.testing.assert_array_equal(
        sources.to_array(task.outliers["bad"].stored()), NUMBERS
    )
    assert task.train.names == task.outliers["bad"].names == AB


@pytest.mark.parametrize("suffix", ["csv", "npz"])
def test_examples_without_label_are_left_out_on_request(suffix, tmp_path):
    path = tmp_path / f"a.{suffix}"
    labels = ["x", "", "NaN", "?", "y"]
    if suffix == "csv":
        rows = [f"{row},{label}\n" for row, label in enumerate(labels)]
        path.write_text("a,kind\n" + "".join(rows))
    else:
        np.savez(path, a=np.arange(5.0)[:, None], kind=labels)
    values, _, labels = read(path, label_key="kind", drop_unlabelled=True)
    np.testing.assert_array_equal(values, [[0.0], [4.0]])
    assert labels.tolist() == ["x", "y"]


def test_labels_may_be_a_column_of_one(tmp_path):
    path = tmp_path / "a.npz"
    np.savez(path, x=np.zeros((3, 2)), y=[[0], [1], [0]])
    assert read(path, label_key="y")[2].tolist() == ["0", "1", "0"]


def write_stream(table, path):
    with ipc.new_stream(str(path), table.schema) as file:
        file.write_table(table)


COLUMNAR = {
    "parquet": parquet.write_table,
    "feather": feather.write_feather,
    "arrow": write_stream,
    "arrows": write_stream,
}


@pytest.mark.parametrize("suffix", COLUMNAR)
def test_a_file_of_columns_gives_numbers_and_labels(suffix, tmp_path):
    table = pyarrow.table(
        {
            "note": [["x"], []],
            "b": pyarrow.array([-2.0, 0.25], "f4"),
            "kind": pyarrow.array(["rose", "tulip"]).dictionary_encode(),
            "a": [1.5, 3.0],
        }
    )
    path = tmp_path / f"a.{suffix}"
    COLUMNAR[suffix](table, path)
    values, names, labels = read(
        path, label_key="kind", drop=["note"], names=AB
    )
    np.testing.assert_array_equal(values, NUMBERS)
    assert names == AB
    assert labels.tolist() == ["rose", "tulip"]


def test_a_column_is_not_taken_for_the_group_of_another(tmp_path):
    path = tmp_path / "a.parquet"
    parquet.write_table(pyarrow.table({"a.b": [1.5], "a": [-2.0]}), path)
    values, _, _ = read(path, names=("a", "a.b"))
    np.testing.assert_array_equal(values, [[-2.0, 1.5]])


def test_line_breaks_in_quotes_do_not_end_a_row(tmp_path, monkeypatch):
    monkeypatch.setattr(text_blocks, "_FIRST_BLOCK", 16)
    monkeypatch.setattr(text_blocks, "BLOCK", 7)
    path = tmp_path / "a.csv"
    lines = [f'{row},"one\ntwo, ""{row}"""\n' for row in range(20)]
    path.write_text("a,note\n" + "".join(lines))
    values, _, labels = read(path, label_key="note")
    np.testing.assert_array_equal(values[:, 0], np.arange(20))
    assert labels[3] == 'one\ntwo, "3"'


@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"])
def test_small_blocks_give_the_same_and_name_the_line(
    line_end, tmp_path, monkeypatch
):
    monkeypatch.setattr(text_blocks, "_FIRST_BLOCK", 10)
    monkeypatch.setattr(text_blocks, "BLOCK", 3)
    path = tmp_path / "a.csv"
    lines = ["a,b", *(f"{row},{-row}.5" for row in range(50))]
    path.write_bytes(line_end.join(lines).encode())
    values, _, _ = read(path)
    np.testing.assert_array_equal(values[:, 0], np.arange(50))
    np.testing.assert_array_equal(
        values[:, 1], [float(f"{-row}.5") for row in range(50)]
    )
    lines[40] = "1,x"
    path.write_bytes(line_end.join(lines).encode())
    with pytest.raises(ValueError, match="line 41: expected numbers"):
        read(path)
    lines[40] = "1,"
    path.write_bytes(line_end.join(lines).encode())
    with pytest.raises(ValueError, match="'b' has no value in line 41"):
        read(path)


def test_gzip_of_several_members_is_one_table(tmp_path):
    parts = [b"a,b\n1.5,-2\n", b"3,.25\n"]
    (tmp_path / "a.csv.gz").write_bytes(b"".join(map(gzip.compress, parts)))
    values, _, _ = read(tmp_path / "a.csv.gz")
    np.testing.assert_array_equal(values, NUMBERS)


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_a_stream_drops_and_orders_columns(suffix, tmp_path):
    path = tmp_path / f"a.{suffix}"
    if suffix == "csv":
        path.write_text("b,label,a\n-2,rose,1.5\n.25,tulip,3\n")
    else:
        columns = {"b": [-2.0, 0.25], "label": ["rose", "x"], "a": [1.5, 3.0]}
        parquet.write_table(pyarrow.table(columns), path)
    columns = Columns(drop=["label"], names=AB)
    stream = open_stream(str(path), (2,), 1, columns=columns)
    assert stream.names == AB
    batches = [(batch.ids, batch.load().tolist()) for batch in stream.batches]
    assert batches == [(["0"], NUMBERS[:1]), (["1"], NUMBERS[1:])]


def test_a_slow_pipe_is_scored_as_it_comes(monkeypatch):
    # The end of standard input has not come when the first rows are read.
    reading, writing = os.pipe()
    monkeypatch.setattr(text_blocks, "_FIRST_BLOCK", 8)
    monkeypatch.setattr("sys.stdin", os.fdopen(reading))
    os.write(writing, b"a,b\n1.5,-2\n")
    pieces = open_table("-").pieces
    np.testing.assert_array_equal(next(pieces)[0], NUMBERS[:1])
    os.write(writing, b"3,.25\n")
    np.testing.assert_array_equal(next(pieces)[0], NUMBERS[1:])
    os.close(writing)
    assert not list(pieces)
