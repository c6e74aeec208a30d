"""Writers of one table in many formats, by third parties alone.

A writer is a function of a path, a float array [rows, columns] and the names
of its columns. `WRITERS` has those that keep the names, by the end of the
file's name; `UNNAMED_WRITERS` those that do not, which need the order of the
columns to be right.
"""

import csv
import gzip
import io

import numpy as np
import pandas
import polars
import pyarrow
from pyarrow import feather, ipc, parquet


def delimited(separator, **options):
    def write(path, values, names):
        frame = pandas.DataFrame(values, columns=names)
        frame.to_csv(path, sep=separator, index=False, **options)

    return write


def write_every_field_in_quotes(path, values, names):
    with path.open("w", newline="", encoding="utf-8-sig") as file:
        writer = csv.writer(file, quoting=csv.QUOTE_ALL)
        writer.writerow(names)
        writer.writerows(values.tolist())


def write_gzip(path, values, names):
    text = io.StringIO()
    np.savetxt(text, values, "%.17e", ",", header=",".join(names), comments="")
    path.write_bytes(gzip.compress(text.getvalue().encode()))


def columns_of(values, names):
    return {name: values[:, index] for index, name in enumerate(names)}


def write_feather(path, values, names):
    table = pyarrow.table(columns_of(values, names))
    feather.write_feather(table, path)


def write_arrow_stream(path, values, names):
    table = pyarrow.table(columns_of(values, names))
    with ipc.new_stream(str(path), table.schema) as file:
        file.write_table(table, max_chunksize=7)


def write_parquet(path, values, names):
    table = pyarrow.table(columns_of(values, names))
    parquet.write_table(table, path, row_group_size=5)


def write_polars_parquet(path, values, names):
    polars.DataFrame(columns_of(values, names)).write_parquet(path)


def write_pandas_parquet(path, values, names):
    """With an index that is no feature."""
    rows = [f"event {row}" for row in range(len(values))]
    pandas.DataFrame(values, rows, list(names)).to_parquet(path)


WRITERS = {
    "comma.csv": delimited(","),
    "exponents.csv": delimited(",", float_format="%.17e"),
    "semicolon.csv": delimited(";", decimal=","),
    "utf16.csv": delimited(",", encoding="utf-16"),
    "quotes.csv": write_every_field_in_quotes,
    "tab.tsv": delimited("\t"),
    "zipped.csv.gz": write_gzip,
    "arrow.parquet": write_parquet,
    "polars.parquet": write_polars_parquet,
    "pandas.parquet": write_pandas_parquet,
    "table.feather": write_feather,
    "stream.arrows": write_arrow_stream,
}


def write_npy(path, values, names):
    np.save(path, values)


def write_npz(path, values, names):
    np.savez_compressed(path, values)


def write_headless(path, values, names):
    np.savetxt(path, values, "%.17e", ",")


UNNAMED_WRITERS = {
    "array.npy": write_npy,
    "archive.npz": write_npz,
    "numbers.csv": write_headless,
}
