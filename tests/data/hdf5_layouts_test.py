"""HDF5 files that say that their numbers are not examples in a row."""

import json

import h5py
import numpy as np
import pytest
import scipy.io
from science_files import read

VALUES = np.random.default_rng(0).normal(size=(40, 3))
IMAGES = np.random.default_rng(0).integers(0, 255, (8, 9, 40), dtype=np.uint8)


def octave(file):
    """`save -hdf5` of a 40 x 3 matrix: the dimensions stand in reverse."""
    group = file.create_group("x")
    group.attrs["OCTAVE_NEW_FORMAT"] = np.uint8(1)
    group["type"] = np.bytes_("matrix")
    group["value"] = VALUES.T
    return "x/value"


def loom(file):
    file["matrix"] = VALUES
    file["row_attrs/Gene"] = [b"TP53"] * 40
    file["col_attrs/CellID"] = [b"AAAC"] * 3
    return "matrix"


def minc(file):
    group = file.create_group("minc-2.0/image/0")
    group["image"] = IMAGES
    group["image-min"], group["image-max"] = np.zeros(8), np.arange(1.0, 9)
    return "minc-2.0/image/0/image"


def tagged(axes, values):
    """An array as ilastik exports it, with the tags of vigra."""

    def write(file):
        tags = {"axes": [{"key": key, "typeFlags": 1} for key in axes]}
        file["exported_data"] = values
        file["exported_data"].attrs["axistags"] = json.dumps(tags)
        return "exported_data"

    return write


def labelled(values, *labels):
    def write(file):
        file["x"] = values
        for axis, label in zip(file["x"].dims, labels, strict=True):
            axis.label = label
        return "x"

    return write


def with_coordinates(values, *names):
    """An array as netCDF-4 has it, with a coordinate for each axis."""

    def write(file):
        file["x"] = values
        for axis, name in enumerate(names):
            file[name] = np.arange(float(values.shape[axis]))
            file[name].make_scale(name)
            file["x"].dims[axis].attach_scale(file[name])
        return "x"

    return write


def written(path, write):
    with h5py.File(path, "w") as file:
        return write(file)


@pytest.mark.parametrize(
    ("write", "message"),
    [
        (octave, r"of Octave, which stores the axes .* save -v7"),
        (loom, r"a row for each gene .* \(Loom\); save it as \.h5ad"),
        (minc, r"range of its own for each slice \(MINC\); convert"),
        (tagged("yxt", IMAGES), r"axes \['y', 'x', 't'\], .*moveaxis\(x, 2, 0"),
        (labelled(VALUES.T, "feature", "Sample"), r"moveaxis\(x, 1, 0\)"),
        (labelled(VALUES.T, "feature", "obs"), r"moveaxis\(x, 1, 0\)"),
        (labelled(VALUES.T, "gene", "n_samples"), r"moveaxis\(x, 1, 0\)"),
        (with_coordinates(IMAGES, "lat", "lon", "time"), r"'time'\], but exam"),
    ],
    ids=[
        *("Octave", "Loom", "MINC", "ilastik", "labels", "obs", "n_samples"),
        "netCDF",
    ],
)
def test_another_layout_is_refused(tmp_path, write, message):
    key = written(tmp_path / "a.h5", write)
    with pytest.raises(ValueError, match=message) as caught:
        read(tmp_path / "a.h5", key=key)
    assert "\n" not in str(caught.value)
    assert "a.h5" in str(caught.value)


@pytest.mark.parametrize(
    ("write", "expected"),
    [
        (tagged("tyx", IMAGES), IMAGES[..., None]),
        (labelled(VALUES, "sample", "feature"), VALUES),
        (labelled(VALUES, "", "frequency"), VALUES),
        (with_coordinates(VALUES, "station", "time"), VALUES),
        (with_coordinates(IMAGES, "time", "lat", "lon"), IMAGES[..., None]),
    ],
    ids=["ilastik", "labels", "one label", "time series", "netCDF"],
)
def test_names_of_axes_in_order_change_nothing(tmp_path, write, expected):
    key = written(tmp_path / "a.h5", write)
    found = read(tmp_path / "a.h5", key=key).values
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_axes_of_classic_netcdf_have_names_too(tmp_path):
    path = tmp_path / "a.nc"
    with scipy.io.netcdf_file(path, "w") as file:
        for name, size in zip(
            ("feature", "event"), VALUES.T.shape, strict=True
        ):
            file.createDimension(name, size)
        file.createVariable("x", "d", ("feature", "event"))[:] = VALUES.T
    with pytest.raises(ValueError, match=r"a\.nc.*\['feature', 'event'\], but"):
        read(path)


def test_a_variable_that_is_shorter_than_its_dimension(tmp_path):
    """As netCDF stores it; its library answers fill values for the rest."""

    def write(file):
        file.create_dataset("event", (0,), maxshape=(None,))
        file["event"].make_scale("event")
        file["event"].attrs["_Netcdf4Dimid"] = 0
        for name, values in (("x", VALUES[:5]), ("y", VALUES[:, :2])):
            file[name] = values
            file[name].dims[0].attach_scale(file["event"])

    written(tmp_path / "a.nc", write)
    size = len(VALUES)
    message = (
        f"'x': 5 of {size} places along its dimension 'event' were written"
    )
    with pytest.raises(ValueError, match=message):
        read(tmp_path / "a.nc", key="x")
    found = read(tmp_path / "a.nc", key="y").values
    np.testing.assert_allclose(found, VALUES[:, :2], rtol=1e-6)
