"""Columns whose names stand in a list beside the array."""

import h5py
import numpy as np
import pytest
import scipy.io

from nae_tf.data.readers.arrays import read_array
from nae_tf.data.readers.columns import Columns
from nae_tf.data.readers.stream import open_stream

VALUES = np.random.default_rng(0).normal(size=(20, 3)).astype(np.float32)
NAMES = ("pt", "eta", "mass")


def attribute(path, names):
    with h5py.File(path, "w") as file:
        file["x"] = VALUES
        file["x"].attrs["columns"] = names


def neighbour(path, names):
    """As the jets of hls4ml's tutorial, whose constituents have names, too."""
    with h5py.File(path, "w") as file:
        file["x"] = VALUES
        kind = "S" if isinstance(names[0], str) else float
        file["jetFeatureNames"] = np.array(names, kind)
        file["particleFeatureNames"] = np.array(["px", "py"], "S")


def archive(path, names):
    others = {"class_names": ["a", "b", "c"], "feature_ids": [1, 2, 3]}
    np.savez(path, x=VALUES, feature_names=names, **others)


WRITERS = {
    "attribute": (attribute, "a.h5"),
    "neighbour": (neighbour, "a.h5"),
    "archive": (archive, "a.npz"),
}


@pytest.mark.parametrize("kind", WRITERS)
def test_names_beside_an_array_give_its_columns_an_order(kind, tmp_path):
    write, name = WRITERS[kind]
    write(tmp_path / name, NAMES)
    read = read_array(tmp_path / name, "x")
    assert read.names == NAMES
    np.testing.assert_array_equal(read.values, VALUES)
    order = Columns(names=("mass", "pt", "eta"))
    read = read_array(tmp_path / name, "x", columns=order)
    np.testing.assert_array_equal(read.values, VALUES[:, [2, 0, 1]])
    stream = open_stream(str(tmp_path / name), (3,), 8, key="x", columns=order)
    parts = [batch.load() for batch in stream.batches]
    np.testing.assert_array_equal(np.concatenate(parts), VALUES[:, [2, 0, 1]])
    with pytest.raises(ValueError, match=r"lacks the columns \['m'\]"):
        read_array(
            tmp_path / name, "x", columns=Columns(names=("m", "pt", "eta"))
        )


@pytest.mark.parametrize("kind", WRITERS)
def test_a_named_column_is_a_label_or_left_out(kind, tmp_path):
    write, name = WRITERS[kind]
    write(tmp_path / name, NAMES)
    read = read_array(tmp_path / name, "x", columns=Columns(drop=("eta",)))
    assert read.names == ("pt", "mass")
    read = read_array(tmp_path / name, "x", label_key="mass")
    assert read.names == ("pt", "eta")
    np.testing.assert_allclose(read.labels.astype(float), VALUES[:, 2])


def test_names_that_are_objects_are_said_to_be_left_out(tmp_path):
    names = np.array(NAMES, object)  # As DataFrame.columns.values are.
    np.savez(tmp_path / "a.npz", x=VALUES, columns=names)
    message = (
        r"a\.npz: 'columns' looks like names .*objects.*columns\.astype\(s"
    )
    with pytest.warns(match=message):
        assert read_array(tmp_path / "a.npz", "x").names is None
    with pytest.warns(match=message):
        open_stream(str(tmp_path / "a.npz"), (3,), 8, key="x")


@pytest.mark.parametrize("kind", WRITERS)
@pytest.mark.parametrize(
    "names", [("a", "b"), ("a", "a", "b"), ("a", "", "b"), (1.0, 2.0, 3.0)]
)
def test_other_lists_are_no_names(kind, names, tmp_path):
    write, name = WRITERS[kind]
    write(tmp_path / name, names)
    assert read_array(tmp_path / name, "x").names is None


def test_two_lists_that_differ_are_no_names(tmp_path):
    np.savez(tmp_path / "a.npz", x=VALUES, columns=NAMES, fields=NAMES[::-1])
    assert read_array(tmp_path / "a.npz", "x").names is None


def test_names_in_other_files_are_not_looked_for(tmp_path):
    neighbour(tmp_path / "other.h5", NAMES)
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["x"] = VALUES
        file["columns"] = h5py.ExternalLink("other.h5", "jetFeatureNames")
        layout = h5py.VirtualLayout((3,), "S4")
        layout[:] = h5py.VirtualSource("other.h5", "jetFeatureNames", (3,))
        file.create_virtual_dataset("feature_names", layout)
    assert read_array(tmp_path / "a.h5", "x").names is None


# --- Numbers of a netCDF coordinate, as wavelengths ---------------------------


def write_netcdf_4(path, coordinate, **attributes):
    with h5py.File(path, "w") as file:
        file["x"] = VALUES
        file["wavelength"] = coordinate
        file["wavelength"].attrs.update(attributes)
        file["wavelength"].make_scale("wavelength")
        file["x"].dims[1].attach_scale(file["wavelength"])


def write_netcdf_3(path, coordinate, **attributes):
    with scipy.io.netcdf_file(path, "w") as file:
        for name, size in (("sample", 20), ("wavelength", 3)):
            file.createDimension(name, size)
        file.createVariable("x", "f4", ("sample", "wavelength"))[:] = VALUES
        kind = np.asarray(coordinate).dtype.char
        found = file.createVariable("wavelength", kind, ("wavelength",))
        found[:] = coordinate
        for name, value in attributes.items():
            setattr(found, name, value)


netcdf_writers = pytest.mark.parametrize(
    "write", [write_netcdf_4, write_netcdf_3]
)


@netcdf_writers
@pytest.mark.parametrize(
    ("coordinate", "names"),
    [
        (np.array([402.5, 401.1, 400.0]), ("402.5", "401.1", "400")),
        (np.array([402.5, 401.1, 400], "f4"), ("402.5", "401.1", "400")),
        (np.array([2020, 1990, 2000], "i4"), ("2020", "1990", "2000")),
    ],
)
def test_a_coordinate_of_numbers_names_columns(
    write, coordinate, names, tmp_path
):
    write(tmp_path / "a.nc", coordinate)
    assert read_array(tmp_path / "a.nc").names == names
    order = Columns(names=names[::-1])
    read = read_array(tmp_path / "a.nc", columns=order)
    np.testing.assert_array_equal(read.values, VALUES[:, ::-1])
    other = Columns(names=(*names[:2], "3"))
    with pytest.raises(ValueError, match=r"lacks the columns \['3'\]"):
        read_array(tmp_path / "a.nc", columns=other)


@netcdf_writers
@pytest.mark.parametrize(
    ("coordinate", "attributes"),
    [
        (np.arange(3.0), {}),
        (np.arange(1, 4, dtype="i4"), {}),
        (np.array([1.0, 1.0, 2.0]), {}),
        (np.array([5.0, 7.0, 9.0]), {"units": "days since 2000-01-01"}),
        (np.array([5, 7, 9], "i2"), {"scale_factor": 0.5}),
    ],
)
def test_a_coordinate_that_says_nothing_of_columns(
    write, coordinate, attributes, tmp_path
):
    write(tmp_path / "a.nc", coordinate, **attributes)
    read = read_array(tmp_path / "a.nc")
    assert read.names is None
    np.testing.assert_array_equal(read.values, VALUES)


def test_a_coordinate_of_characters_names_columns(tmp_path):
    """As the library of netCDF stores text, with an axis of its own."""
    with h5py.File(tmp_path / "a.nc", "w") as file:
        file["x"] = VALUES
        letters = [[b"p", b"t", b"\0"], [b"e", b"t", b"a"], [b"m", b" ", b" "]]
        file["feature"] = np.array(letters, "S1")
        file["feature"].make_scale("feature")
        file["x"].dims[1].attach_scale(file["feature"])
    assert read_array(tmp_path / "a.nc").names == ("pt", "eta", "m")


def test_an_auxiliary_coordinate_of_texts_names_columns(tmp_path):
    """As xarray writes one beside the index of an axis."""
    texts = {"gene": list(NAMES), "row": [str(i) for i in range(20)]}
    with h5py.File(tmp_path / "a.nc", "w") as file:
        file["x"] = VALUES
        file["x"].attrs["coordinates"] = "row gene depth"
        for name, values in texts.items():
            file[name] = values
        file["depth"] = np.arange(3.0)
    with scipy.io.netcdf_file(tmp_path / "b.nc", "w") as file:
        for name, size in (("sample", 20), ("feature", 3), ("letters", 4)):
            file.createDimension(name, size)
        x = file.createVariable("x", "f4", ("sample", "feature"))
        x[:] = VALUES
        x.coordinates = "row gene"
        for name, axis in (("gene", "feature"), ("row", "sample")):
            found = file.createVariable(name, "c", (axis, "letters"))
            found[:] = [list(text.ljust(4, "\0")) for text in texts[name]]
    for name in ("a.nc", "b.nc"):
        assert read_array(tmp_path / name, "x").names == NAMES
    with h5py.File(tmp_path / "c.nc", "w") as file:
        file["x"] = VALUES[:3]  # Rows may be what the texts name.
        file["x"].attrs["coordinates"] = "gene"
        file["gene"] = list(NAMES)
    assert read_array(tmp_path / "c.nc", "x").names is None
