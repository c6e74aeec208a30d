"""Writers of one table in many formats, by third parties alone.

A writer is a function of a path, a float array [rows, columns] and the names
of its columns. `WRITERS` has those that keep the names, by the end of the
file's name; `UNNAMED_WRITERS` those that do not, which need the order of the
columns to be right.
"""

import csv
import gzip
import io

import h5py
import numpy as np
import pandas
import polars
import pyarrow
import science_files
import scipy.io
from data_files import write_tfrecord
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


def structured(values, names):
    """One record for each row, its fields in any order of bytes."""
    types = [(name, values.dtype) for name in names]
    return np.array([tuple(row) for row in values.tolist()], types)


def write_structured_npy(path, values, names):
    np.save(path, structured(values, names))


def write_compound_hdf5(path, values, names):
    with h5py.File(path, "w") as file:
        file["events"] = structured(values, names)


def write_pandas_hdf5(path, values, names, **options):
    native = values.astype(float)
    frame = pandas.DataFrame(native, columns=list(names))
    frame.to_hdf(path, key="df", **options)


def write_pandas_table(path, values, names):
    write_pandas_hdf5(path, values, names, format="table")


def write_attribute(path, values, names):
    with h5py.File(path, "w") as file:
        file["x"] = values
        file["x"].attrs["columns"] = list(names)


def write_coordinate(path, values, names):
    """As xarray writes an array whose columns have a coordinate of texts."""
    with h5py.File(path, "w") as file:
        file["x"] = values
        file["feature"] = list(names)
        file["feature"].make_scale("feature")
        file["x"].dims[1].attach_scale(file["feature"])


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
    "structured.npy": write_structured_npy,
    "compound.h5": write_compound_hdf5,
    "fixed.h5": write_pandas_hdf5,
    "table.h5": write_pandas_table,
    "attribute.h5": write_attribute,
    "coordinate.nc": write_coordinate,
}


def write_npy(path, values, names):
    np.save(path, values)


def write_npz(path, values, names):
    np.savez_compressed(path, values)


def write_headless(path, values, names):
    np.savetxt(path, values, "%.17e", ",")


def write_hdf5(path, values, names):
    with h5py.File(path, "w") as file:
        file.create_dataset("x", data=values, chunks=True, compression="gzip")


def write_netcdf(path, values, names):
    """In the layout of netCDF 4, with axes of its own."""
    with h5py.File(path, "w") as file:
        file["x"] = values
        for axis, (name, size) in enumerate(
            zip(("event", "feature"), values.shape, strict=True)
        ):
            file[name] = np.arange(size, dtype=float)
            file[name].make_scale(name)
            file["x"].dims[axis].attach_scale(file[name])


def write_classic_netcdf(path, values, names):
    with scipy.io.netcdf_file(path, "w") as file:
        for name, size in zip(("event", "feature"), values.shape, strict=True):
            file.createDimension(name, size)
        file.createVariable("x", "d", ("event", "feature"))[:] = values


def write_matlab(path, values, names):
    scipy.io.savemat(path, {"x": values}, do_compression=True)


def write_matlab_73(path, values, names):
    science_files.write_matlab(path, x=values.astype(float))


def write_records(path, values, names):
    write_tfrecord(path, [{"x": row} for row in values])


def write_zipped_records(path, values, names):
    write_records(path, values, names)
    path.write_bytes(gzip.compress(path.read_bytes()))


UNNAMED_WRITERS = {
    "array.npy": write_npy,
    "archive.npz": write_npz,
    "numbers.csv": write_headless,
    "plain.h5": write_hdf5,
    "four.nc": write_netcdf,
    "three.nc": write_classic_netcdf,
    "five.mat": write_matlab,
    "seven.mat": write_matlab_73,
    "plain.tfrecord": write_records,
    "zipped.tfrecord": write_zipped_records,
}
