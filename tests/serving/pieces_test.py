"""Pieces of inputs: where they are cut, and what their examples are called."""

import types

import numpy as np
import pyarrow
import pytest
from data_files import write_png, write_tfrecord
from pyarrow import parquet

from nae_tf.serving import pieces
from nae_tf.serving.pieces import Reading, find_inputs, make_plan, open_piece

X = np.arange(46.0, dtype=np.float32).reshape(23, 2)


@pytest.fixture(autouse=True)
def small_pieces(monkeypatch):
    """Eight examples to a piece, which are two batches of three."""
    monkeypatch.setattr(pieces, "ROWS", 8)
    monkeypatch.setattr(pieces, "_IMAGES", 8)


def model(*example_shape):
    return types.SimpleNamespace(example_shape=example_shape, schema=None)


def read(model, reading):
    """The ids and the examples of each piece, batch by batch."""
    for number, piece in enumerate(make_plan(model, reading).pieces):
        assert piece.index == number
        stream = open_piece(model, reading, piece)
        yield [(batch.ids, batch.load()) for batch in stream.batches]


@pytest.mark.parametrize("rows_of_group", [1, 4, 7, 23])
def test_pieces_of_a_parquet_file_are_its_batches(rows_of_group, tmp_path):
    path = tmp_path / "x.parquet"
    table = pyarrow.table({"a": X[:, 0], "b": X[:, 1]})
    parquet.write_table(table, path, row_group_size=rows_of_group)
    found = list(read(model(2), Reading(str(path), batch_size=3)))
    assert [len(piece) for piece in found] == [2, 2, 2, 2]
    batches = [batch for piece in found for batch in piece]
    for number, (ids, values) in enumerate(batches):
        start = 3 * number
        stop = min(start + 3, 23)
        assert ids == [str(row) for row in range(start, stop)]
        np.testing.assert_array_equal(values, X[start:stop])


def test_a_folder_of_images_is_cut_by_its_files(tmp_path):
    names = [f"{number:02}.png" for number in range(9)] + ["b/0.png"]
    for level, name in enumerate(names):
        image = np.full((2, 2, 1), level, np.uint8)
        write_png(tmp_path / "in" / name, image)
    reading = Reading(str(tmp_path / "in"), batch_size=3)
    first, second = read(model(2, 2, 1), reading)
    # What is added meanwhile belongs to no piece.
    assert [ids for ids, _ in first] == [names[:3], names[3:6]]
    assert [ids for ids, _ in second] == [names[6:9], names[9:]]
    np.testing.assert_allclose(second[1][1] * 255, np.full((1, 2, 2, 1), 9))


def test_other_files_are_pieces_of_their_own(tmp_path):
    write_tfrecord(tmp_path / "a.tfrecord", [{"x": row} for row in X])
    np.save(tmp_path / "b.npy", X[:4])
    reading = Reading(f"{tmp_path}/*", batch_size=20)
    first, second = read(model(2), reading)
    assert [ids[-1] for ids, _ in first] == ["a.tfrecord:19", "a.tfrecord:22"]
    assert second[0][0] == [f"b.npy:{number}" for number in range(4)]


def test_names_begin_behind_the_last_folder_without_a_wildcard(tmp_path):
    for name in ("day1/a.csv", "day2/a.csv", "day2/[b].csv"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("1,2\n")
    found = find_inputs(f"{tmp_path}/day*/a.csv")
    assert [prefix for _, prefix in found] == ["day1/a.csv:", "day2/a.csv:"]
    found = find_inputs(f"{tmp_path}/day2/*")
    assert [prefix for _, prefix in found] == ["[b].csv:", "a.csv:"]
    # A path is no pattern, whatever is in its name.
    path = f"{tmp_path}/day2/[b].csv"
    assert find_inputs(path) == [(path, "")]
    with pytest.raises(FileNotFoundError, match="no file or folder matches"):
        find_inputs(f"{tmp_path}/day3/*")
