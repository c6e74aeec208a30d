"""Files of scores with more rows than are held as texts."""

import csv

import numpy as np
import pytest

from nae_tf.serving.score_files import COLUMNS, write_rows

NUMBER = 70_000


def rows():
    """Make rows one after the other, of which some have no score."""
    for index in range(NUMBER):
        energy = "nan" if index % 1000 == 7 else str(index / 8)
        yield f"photo {index}.png", energy, "0.25", str(index % 2)


def expected():
    energies = np.arange(NUMBER) / 8
    energies[7::1000] = np.nan
    return energies


def test_parquet_files_are_written_in_parts(tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet")
    write_rows(tmp_path / "scores.parquet", rows())
    file = parquet.ParquetFile(tmp_path / "scores.parquet")
    columns = file.read().to_pydict()

    assert file.num_row_groups == 2
    assert columns["id"] == [f"photo {index}.png" for index in range(NUMBER)]
    np.testing.assert_array_equal(columns["energy"], expected())
    assert columns["is_outlier"] == [bool(index % 2) for index in range(NUMBER)]


def test_npz_files_join_the_parts(tmp_path):
    write_rows(tmp_path / "scores.npz", rows())
    with np.load(tmp_path / "scores.npz") as columns:
        assert set(columns) == set(COLUMNS)
        # The widest of all texts, whichever part it is in.
        assert columns["id"][[0, -1]].tolist() == [
            "photo 0.png",
            f"photo {NUMBER - 1}.png",
        ]
        np.testing.assert_array_equal(columns["energy"], expected())
        np.testing.assert_array_equal(columns["p_value"], 0.25)
        assert columns["is_outlier"].dtype == bool


@pytest.mark.parametrize("suffix", [".npz", ".parquet", ".csv"])
def test_a_row_that_cannot_be_written_leaves_what_was_there(suffix, tmp_path):
    if suffix == ".parquet":
        pytest.importorskip("pyarrow")
    path = tmp_path / f"scores{suffix}"
    path.write_text("before")

    def broken():
        yield from rows()
        raise ValueError("no more rows")

    with pytest.raises(ValueError, match="no more rows"):
        write_rows(path, broken())

    assert path.read_text() == "before"
    assert list(tmp_path.iterdir()) == [path]


def test_csv_files_have_a_line_of_names(tmp_path):
    write_rows(tmp_path / "scores.csv", [("\udcff,", "1.0", "0.5", "0")])
    with open(
        tmp_path / "scores.csv",
        newline="",
        encoding="utf-8",
        errors="surrogateescape",
    ) as file:
        assert list(csv.reader(file)) == [
            list(COLUMNS),
            ["\udcff,", "1.0", "0.5", "0"],
        ]
