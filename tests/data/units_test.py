"""Units: read where a format has them, compared wherever data meet a model."""

import dataclasses
import json

import h5py
import numpy as np
import pandas
import pyarrow
import pytest
import scipy.io
from pyarrow import feather, parquet

from nae_tf.data import Schema, read_files, user_data
from nae_tf.data.readers.columns import Columns
from nae_tf.data.readers.stream import open_stream
from nae_tf.serving.scoring import stream_in_order
from nae_tf.training.run_data import of_kind

X = np.random.default_rng(0).normal(size=(60, 2)).astype(np.float32)
TWO = {"pt": "GeV", "length": "mm"}


def arrow(units=TWO):
    fields = [
        pyarrow.field(
            name, pyarrow.float32(), metadata={"units": units.get(name, "")}
        )
        for name in TWO
    ]
    return pyarrow.table(list(X.T), schema=pyarrow.schema(fields))


def write_parquet(path, units=TWO):
    parquet.write_table(arrow(units), path)


def write_feather(path):
    feather.write_feather(arrow(), path)


def write_pandas(path):
    frame = pandas.DataFrame(dict(zip(TWO, X.T, strict=True)))
    frame.attrs["units"] = TWO
    frame.to_parquet(path)


def write_columns(path, units=TWO):
    with h5py.File(path, "w") as file:
        for name, column in zip(TWO, X.T, strict=True):
            file[f"events/{name}"] = column
            if name in units:
                file[f"events/{name}"].attrs["units"] = np.bytes_(units[name])


def write_fits(path):
    fits = pytest.importorskip("astropy.io.fits")
    columns = [
        fits.Column(name, "E", unit=TWO[name], array=column)
        for name, column in zip(TWO, X.T, strict=True)
    ]
    fits.BinTableHDU.from_columns(columns).writeto(path)


def write_netcdf(path):
    with scipy.io.netcdf_file(path, "w") as file:
        for axis, size in (("row", 60), ("column", 2)):
            file.createDimension(axis, size)
        values = file.createVariable("x", "f4", ("row", "column"))
        values[:] = X
        values.units = "GeV"


def write_array(path, unit="GeV"):
    with h5py.File(path, "w") as file:
        file["x"] = X
        file["x"].attrs["units"] = f"[{unit}] "


def write_image(path):
    fits = pytest.importorskip("astropy.io.fits")
    values = np.abs(X / np.abs(X).max()).reshape(1, 12, 10)
    unit = fits.PrimaryHDU(values)
    unit.header["BUNIT"] = "Jy/beam"
    unit.writeto(path)


@pytest.mark.parametrize(
    ("name", "write", "key", "shape", "expected"),
    [
        ("a.parquet", write_parquet, None, (2,), TWO),
        ("b.parquet", write_pandas, None, (2,), TWO),
        ("a.feather", write_feather, None, (2,), TWO),
        ("a.h5", write_columns, "events", (2,), TWO),
        ("a.fits", write_fits, None, (2,), TWO),
        ("a.nc", write_netcdf, None, (2,), {"": "GeV"}),
        ("b.h5", write_array, None, (2,), {"": "GeV"}),
        ("b.fits", write_image, None, (12, 10, 1), {"": "Jy/beam"}),
    ],
)
def test_units_of_files(tmp_path, name, write, key, shape, expected):
    path = tmp_path / name
    write(path)
    assert dict(read_files(path, key).units) == expected
    stream = open_stream(str(path), shape, 8, key)
    assert dict(stream.units) == expected
    if name == "a.h5":
        columns = Columns(drop=["length"])
        stream = open_stream(str(path), (1,), 8, key, columns)
        assert dict(stream.units) == {"pt": "GeV"}


def test_a_column_of_arrays_has_one_unit(tmp_path):
    rows = np.zeros(3, [("flux", "f4", 2)])
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        file["t/flux"] = rows["flux"]
        file["t/flux"].attrs["unit"] = "Jy"
    files = read_files(path, "t")
    assert dict(files.units) == {"flux[0]": "Jy", "flux[1]": "Jy"}


def test_a_model_is_given_values_in_its_units_alone(tmp_path):
    write_parquet(tmp_path / "train.parquet")
    task = user_data(str(tmp_path / "train.parquet"))
    schema = Schema.from_json(Schema.of_task(task).to_json())
    assert schema.units == TWO
    assert schema.titles == ("pt [GeV]", "length [mm]")
    wrong = tmp_path / "other.parquet"
    write_parquet(wrong, {"pt": "MeV", "length": "mm"})
    message = (
        r"other\.parquet: pt is in MeV, the model's is in GeV; convert them, "
        "or correct what the file says"
    )

    def score(path):
        stream = open_stream(str(path), (2,), 8)
        return stream_in_order(schema, str(path), stream)

    with pytest.raises(ValueError, match=message):
        score(wrong)
    with pytest.raises(ValueError, match=message):
        of_kind(schema, user_data(str(wrong)))
    # A file or a schema that says nothing is accepted.
    silent = tmp_path / "silent.parquet"
    write_parquet(silent, {"length": "mm"})
    for path in (tmp_path / "train.parquet", silent):
        assert score(path).size == 60
        of_kind(schema, user_data(str(path)))
    old = json.loads(schema.to_json())
    del old["units"]
    of_kind(Schema.from_json(json.dumps(old)), user_data(str(wrong)))
    of_kind(dataclasses.replace(schema, units={}), user_data(str(wrong)))


def test_arrays_without_names_have_units_too(tmp_path):
    write_array(tmp_path / "a.h5", "GeV")
    write_array(tmp_path / "b.h5", "MeV")
    schema = Schema.of_task(user_data(str(tmp_path / "a.h5")))
    with pytest.raises(
        ValueError, match=r"the values are in MeV, the model's are in GeV"
    ):
        of_kind(schema, user_data(str(tmp_path / "b.h5")))


def test_files_of_one_task_have_the_same_units(tmp_path):
    good, bad = str(tmp_path / "good.h5"), str(tmp_path / "bad.h5")
    write_columns(good, TWO)
    write_columns(bad, {"length": "cm"})
    message = r"bad\.h5: length is in cm, that of .*good\.h5 is in mm"
    with pytest.raises(ValueError, match=message):
        read_files([good, bad], "events")
    with pytest.raises(ValueError, match=message):
        user_data(good, {"bad": bad}, key="events")
    write_columns(bad, {})
    assert dict(read_files([bad, good], "events").units) == TWO
