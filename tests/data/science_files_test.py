"""Tests of the readers of MATLAB, netCDF-3, ROOT, FITS and medical files."""

import gzip
import pathlib
import sys
import warnings
import zlib

import numpy as np
import pytest
import scipy.io
import scipy.sparse
import tensorflow as tf
from data_files import write_tfrecord
from science_files import read, refused, write_dicom

from nae_tf.data import read_files

X = np.arange(6.0).reshape(3, 2)
ROWS = np.array(
    [(1, 2.5, "u"), (3, 4.5, "v")], [("a", "<i4"), ("b", ">f8"), ("kind", "U1")]
)


# NumPy.


def test_fields_of_numpy_arrays_are_columns(tmp_path):
    np.save(tmp_path / "a.npy", ROWS)
    np.savez(tmp_path / "a.npz", x=ROWS)
    np.savez(tmp_path / "b.npz", x=ROWS[["a", "b"]], kind=[["u"], ["v"]])
    for name in ("a.npy", "a.npz", "b.npz"):
        found = read(tmp_path / name, None, "kind")
        np.testing.assert_array_equal(found.values, [[1, 2.5], [3, 4.5]])
        assert found.names == ("a", "b")
        assert found.labels.tolist() == ["u", "v"]
    refused(r"\['kind'\] holds text", tmp_path / "a.npy")
    found = read(tmp_path / "a.npy", drop=["kind"], names=("b", "a"))
    np.testing.assert_array_equal(found.values, [[2.5, 1], [4.5, 3]])


def test_arrays_of_numpy_in_any_order_of_axes_and_bytes(tmp_path):
    np.save(tmp_path / "a.npy", np.asfortranarray(X.astype(">f2")))
    np.testing.assert_array_equal(read(tmp_path / "a.npy").values, X)


def test_what_numpy_files_lack_is_said(tmp_path):
    np.save(tmp_path / "a.npy", X)
    whole = (tmp_path / "a.npy").read_bytes()
    (tmp_path / "a.npy").write_bytes(whole[:-8])
    refused("is cut off: it has 40 of 48 bytes", tmp_path / "a.npy")
    np.save(tmp_path / "b.npy", np.array([{}, {}]))
    refused("holds Python objects, which are not unp", tmp_path / "b.npy")
    np.save(tmp_path / "c.npy", X.astype("M8[s]"))
    refused(r"expected numbers, received datetime64\[s\]", tmp_path / "c.npy")
    scipy.sparse.save_npz(tmp_path / "d.npz", scipy.sparse.csr_matrix(X))
    refused(r"sparse matrix of SciPy; save its toarray\(\)", tmp_path / "d.npz")
    index = [("index", "i8"), ("a", "f8")]
    np.save(tmp_path / "e.npy", np.array([(0, 1.0), (1, 2.0)], index))
    refused("the column 'index' counts the rows", tmp_path / "e.npy")


def test_a_file_that_may_not_be_read(tmp_path, monkeypatch):
    np.save(tmp_path / "a.npy", X)

    def refuse(*arguments, **settings):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(pathlib.Path, "open", refuse)
    refused("may not be read; change its permissions", tmp_path / "a.npy")


# MATLAB up to version 7.


@pytest.fixture(scope="module")
def matlab_file(tmp_path_factory):
    path = tmp_path_factory.mktemp("matlab") / "a.mat"
    arrays = {
        "x": X,
        "bytes": X.astype(np.uint8),
        "flags": X[:, :1] > 1,
        "row": np.array([[1, 2, 3]]),
        "cells": np.array([["ab"], ["cd"], ["e"]], object),
        "text": np.array(["abc", "de", "f"]),
        "jets": {"pt": X[:, :1], "n": np.arange(3), "kind": X[:, 1:]},
        "sparse": scipy.sparse.csc_matrix(X),
        "complex": np.array([[1j, 2.0]]),
        "photos": np.zeros((8, 8, 3, 10), np.uint8),
    }
    scipy.io.savemat(path, arrays)
    return path


@pytest.mark.parametrize(
    ("key", "label_key", "labels"),
    [
        ("x", "flags", ["False", "True", "True"]),
        ("bytes", "row", ["1", "2", "3"]),
        ("x", "cells", ["ab", "cd", "e"]),
        ("x", "text", ["abc", "de", "f"]),
        ("x", "jets/kind", ["1.0", "3.0", "5.0"]),
    ],
)
def test_arrays_and_labels_of_matlab(matlab_file, key, label_key, labels):
    found = read(matlab_file, key, label_key)
    np.testing.assert_array_equal(found.values, X)
    assert [*map(str, found.labels)] == labels


def test_fields_of_a_matlab_struct_are_columns(matlab_file):
    found = read(matlab_file, "jets", "kind")
    np.testing.assert_array_equal(found.values, [[0, 0], [2, 1], [4, 2]])
    assert found.names == ("pt", "n")
    assert read(matlab_file, "jets", drop=["kind", "pt"]).names == ("n",)


def test_numbers_keep_the_type_that_they_have_in_matlab(tmp_path):
    images = np.zeros((2, 4, 4))
    images[1] = 1.0
    scipy.io.savemat(tmp_path / "a.mat", {"x": images})
    contents = (tmp_path / "a.mat").read_bytes()
    # MATLAB stores a double without fractions in the smallest type: here the
    # element of the values is written anew, as uint8.
    head = contents[: contents.rindex(images.tobytes(order="F")) - 8]
    values = images.astype(np.uint8).tobytes(order="F")
    data = (2).to_bytes(4, "little") + len(values).to_bytes(4, "little")
    matrix = head[136:] + data + values
    start = head[:128] + (14).to_bytes(4, "little")
    size = len(matrix).to_bytes(4, "little")
    (tmp_path / "a.mat").write_bytes(start + size + matrix)
    assert scipy.io.loadmat(tmp_path / "a.mat")["x"].dtype == np.uint8
    found = read(tmp_path / "a.mat").values
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found[..., 0], images)


@pytest.mark.parametrize(
    ("key", "message"),
    [
        ("sparse", r"received csc_\w+; save full\(x\)"),
        ("complex", "received complex ones"),
        ("cells", "received a cell array"),
        ("text", "expected numbers, received <U3"),
        ("photos", r"8x8x3x10.*permute\(x, \[4 1 2 3\]\)"),
        ("jets/mass", r"'jets' has no 'mass'; it has \['kind', 'n', 'pt'\]"),
        (None, "set key to the one that holds the examples"),
    ],
)
def test_what_is_refused_of_matlab(matlab_file, key, message):
    refused(message, matlab_file, key)


def test_what_is_no_matlab_file(tmp_path):
    (tmp_path / "a.mat").write_bytes(b"hello" * 100)
    refused("is damaged or no MATLAB file", tmp_path / "a.mat")


# netCDF of version 3.


def write_netcdf(path, **attributes):
    with scipy.io.netcdf_file(path, "w") as file:
        file.createDimension("sample", 3)
        file.createDimension("feature", 2)
        file.createVariable("sample", "d", ("sample",))[:] = range(3)
        variable = file.createVariable("x", "h", ("sample", "feature"))
        variable[:] = X.astype(np.int16)
        for name, value in attributes.items():
            setattr(variable, name, value)
    return path


def test_classic_netcdf_is_unpacked(tmp_path):
    path = write_netcdf(tmp_path / "a.nc", scale_factor=0.5, add_offset=1.0)
    np.testing.assert_array_equal(read(path).values, X / 2 + 1)
    found = read(path, "x", "sample")
    assert found.labels.tolist() == ["0.0", "1.0", "2.0"]
    path = write_netcdf(tmp_path / "b.nc", _FillValue=np.int16(3))
    refused("1 values of 1 examples are missing .* number 1 ", path)
    (tmp_path / "c.nc").write_bytes(b"CDF\x01")
    refused("is damaged or no netCDF file", tmp_path / "c.nc")


def test_coordinates_of_classic_netcdf_name_columns(tmp_path):
    with scipy.io.netcdf_file(tmp_path / "a.nc", "w") as file:
        for name, size in (("sample", 3), ("feature", 2), ("letters", 3)):
            file.createDimension(name, size)
        file.createVariable("x", "d", ("sample", "feature"))[:] = X
        names = file.createVariable("feature", "c", ("feature", "letters"))
        names[:] = [[b"p", b"t", b"\0"], [b"e", b"t", b"a"]]
    assert read(tmp_path / "a.nc").names == ("pt", "eta")


def test_variables_of_classic_netcdf_are_columns(tmp_path):
    """As pandas' to_xarray gives them, with an index that is no feature."""
    with scipy.io.netcdf_file(tmp_path / "a.nc", "w") as file:
        file.createDimension("index", 3)
        file.createDimension("letters", 1)
        file.createVariable("index", "i", ("index",))[:] = range(3)
        for name, column in (("pt", X[:, 0]), ("eta", X[:, 1])):
            variable = file.createVariable(name, "d", ("index",))
            variable[:] = column
            variable.units = f"{name}s"
        packed = file.createVariable("mass", "h", ("index",))
        packed[:] = [1, 2, 3]
        packed.scale_factor = 0.5
        kind = file.createVariable("kind", "c", ("index", "letters"))
        kind[:] = [[b"u"], [b"v"], [b"u"]]
        file.createVariable("run", "i", ())[...] = 7
        file.createVariable("short", "i", ("letters",))[:] = 1
    path = tmp_path / "a.nc"
    refused("set key to the one .* or to '/' if its arrays are", path)
    refused(r"one length, received .*'short: 1'\]; choose", path, "/", "kind")
    found = read(path, "/", "kind", ["short"], ("eta", "mass", "pt"))
    expected = np.column_stack([X[:, 1], [0.5, 1, 1.5], X[:, 0]])
    np.testing.assert_array_equal(found.values, expected)
    assert found.labels.tolist() == ["u", "v", "u"]
    assert found.units == {"pt": "pts", "eta": "etas"}
    refused("has no 'q'", path, "/", "q")
    refused(r"expected vectors .* shape \(\)", path, "run")


def test_stores_of_zarr_are_no_images(tmp_path):
    (tmp_path / "a.zarr").mkdir()
    (tmp_path / "a.zarr" / "zarr.json").write_text("{}")
    with pytest.raises(ValueError, match=r"a.zarr is a store of zarr; write"):
        read_files(str(tmp_path / "a.zarr"))


# TFRecord.


@pytest.mark.parametrize("compress", [gzip.compress, zlib.compress])
def test_compressed_records_are_read(tmp_path, compress):
    path = tmp_path / "a.tfrecord"
    write_tfrecord(path, [{"x": row} for row in X])
    plain = path.read_bytes()
    path.write_bytes(compress(plain))
    np.testing.assert_array_equal(read(path).values, X)
    path.write_bytes(compress(plain)[:-12])
    refused("it ends within its (GZIP|ZLIB) data|damaged", path)
    write_tfrecord(tmp_path / "c.tfrecord", [{"x": plain}])
    refused("no serialised tensor; write numbers", tmp_path / "c.tfrecord")
    path = tmp_path / "b.tfrecord-00001-of-00002"
    path.write_bytes(plain)
    np.testing.assert_array_equal(read(path).values, X)


def test_sequences_of_features_are_not_left_out_in_silence(tmp_path):
    sequence = tf.train.SequenceExample()
    sequence.context.feature["x"].float_list.value.extend([1.0, 2.0])
    steps = sequence.feature_lists.feature_list["steps"]
    steps.feature.add().float_list.value.append(1.0)
    path = str(tmp_path / "a.tfrecord")
    with tf.io.TFRecordWriter(path) as writer:
        writer.write(sequence.SerializeToString())
    refused("record 0 is a tf.train.SequenceExample", tmp_path / "a.tfrecord")


# ROOT.


@pytest.fixture
def root_file(tmp_path):
    uproot = pytest.importorskip("uproot")
    awkward = pytest.importorskip("awkward")
    path = tmp_path / "a.root"
    with uproot.recreate(path) as file:
        types = {
            "pt": "f8",
            "n": "i4",
            "v": ("f4", (2,)),
            "hits": "var * float64",
        }
        branches = {
            "pt": X[:, 0],
            "n": np.arange(3, dtype=np.int32),
            "v": X.astype(np.float32),
            "hits": awkward.Array([[1.0], [], [2.0, 3.0]]),
        }
        # The first cycle of a name is what an interrupted job left.
        file.mktree("events", {"pt": "f8"}).extend({"pt": np.zeros(2)})
        file.mktree("events", types).extend(branches)
        file.mkrntuple("tuple", {"pt": "f8", "n": "i4"}).extend(
            {"pt": X[:, 0], "n": np.arange(3, dtype=np.int32)}
        )
    return path


def test_flat_branches_of_a_tree_are_columns(root_file):
    drop = ["hits", "nhits"]
    for key in ("events", "events;2"):
        found = read(root_file, key, "n", drop)
        assert found.names == ("pt", "v[0]", "v[1]")
        expected = np.column_stack([X[:, 0], X])
        np.testing.assert_array_equal(found.values, expected)
        assert found.labels.tolist() == ["0", "1", "2"]
    assert read(root_file, "events;1").values.tolist() == [[0.0], [0.0]]
    found = read(root_file, "tuple", "n")
    np.testing.assert_array_equal(found.values, X[:, :1])
    assert found.names == ("pt",)


def test_what_is_refused_of_root(root_file, tmp_path):
    message = r"'events'.*\['hits'\] holds.*lists of varying"
    refused(message, root_file, "events")
    refused(r"has the trees \['events', 'tuple'\]; set key", root_file)
    refused("has no 'q'", root_file, "tuple", "q")
    (tmp_path / "b.root").write_bytes(b"hello")
    refused("is not a ROOT file", tmp_path / "b.root")
    (tmp_path / "c.root").write_bytes(root_file.read_bytes()[:300])
    refused("is damaged", tmp_path / "c.root", "events")


# FITS.


def fits_module():
    return pytest.importorskip("astropy.io.fits")


def test_tables_of_fits_are_columns(tmp_path):
    fits = fits_module()
    columns = [
        fits.Column("mag", "E", array=X[:, 0]),
        fits.Column("count", "J", bzero=2**31, array=np.array([1, 2, 3], "u4")),
        fits.Column("flux", "2D", array=X),
        fits.Column("kind", "4A", array=["star", "gal", "star"]),
        fits.Column("gap", "I", null=-99, array=np.array([1, -99, 3])),
    ]
    path = tmp_path / "a.fits"
    fits.BinTableHDU.from_columns(columns, name="CAT").writeto(path)
    for key in (None, "CAT", "cat", "1"):
        found = read(path, key, "kind", ["gap"])
        assert found.names == ("mag", "count", "flux[0]", "flux[1]")
        expected = np.column_stack([X[:, 0], [1, 2, 3], X])
        np.testing.assert_array_equal(found.values, expected)
        assert found.labels.tolist() == ["star", "gal", "star"]
    refused("1 of 3 values of the column 'gap' are", path, None, "kind")
    refused(r"\['kind'\] holds text", path)
    refused(r"has the extensions \['1', 'CAT'\]; set key", path, "2")


def test_extensions_of_one_name_are_told_apart_by_number(tmp_path):
    fits = fits_module()
    image = X.astype(np.float32) / 8
    units = [fits.ImageHDU(image / (1 + n), name="SCI") for n in range(2)]
    fits.HDUList([fits.PrimaryHDU(), *units]).writeto(tmp_path / "a.fits")
    refused(r"has the extensions \['1', '2'\]", tmp_path / "a.fits", "SCI")
    found = read(tmp_path / "a.fits", "2").values
    np.testing.assert_array_equal(found[0, ..., 0], image / 2)


def test_a_missing_value_of_fits_is_a_stored_number(tmp_path):
    fits = fits_module()
    stored = np.array([(0,), (-99,), (8,)], [("x", ">i2")])
    unit = fits.BinTableHDU(stored)
    cards = [("TNULL1", -99), ("TSCAL1", 0.5), ("TZERO1", 10.0)]
    header = unit.header.copy()
    header.extend(cards)
    data = stored.tobytes().ljust(2880, b"\0")
    path = tmp_path / "a.fits"
    fits.PrimaryHDU().writeto(path)
    text = header.tostring().encode()
    path.write_bytes(path.read_bytes() + text + data)
    refused("1 of 3 values of the column 'x' are missing", path)
    text = text.replace(b"-99 ", b"-98 ")
    whole = path.read_bytes()
    path.write_bytes(whole.replace(header.tostring().encode(), text))
    values = read(path).values
    np.testing.assert_array_equal(values, [[10.0], [-39.5], [14.0]])


def test_the_null_of_unsigned_integers_as_astropy_writes_it(tmp_path):
    """By the standard it is a stored number; astropy writes the value."""
    fits_module()
    table = pytest.importorskip("astropy.table").Table()
    values = np.array([40_000, 7, 40_002], "u2")
    for mask in ([False, True, False], [False] * 3):
        table["x"] = np.ma.masked_array(values, mask)
        table["y"] = [1.5, 2.5, 3.5]
        table.write(tmp_path / "a.fits", overwrite=True)
        if any(mask):
            refused("1 of 3 values of the column 'x' are", tmp_path / "a.fits")
    found = read(tmp_path / "a.fits").values
    np.testing.assert_array_equal(found[:, 0], values)


def test_images_of_fits(tmp_path):
    fits = fits_module()
    image = X.astype(np.float32) / 8
    path = tmp_path / "a.fits"
    fits.PrimaryHDU(image).writeto(path)
    np.testing.assert_array_equal(read(path).values, image[None, ..., None])
    stack = np.stack([image, image + 0.25])
    packed = fits.CompImageHDU(
        stack, compression_type="GZIP_1", quantize_level=0
    )
    fits.HDUList([fits.PrimaryHDU(), packed]).writeto(tmp_path / "b.fits.fz")
    found = read(tmp_path / "b.fits.fz").values
    np.testing.assert_allclose(found, stack[..., None], atol=1e-6)
    unit = fits.PrimaryHDU(np.array([[0, -9], [1, 1]], np.int16))
    unit.header["BLANK"] = -9
    unit.writeto(tmp_path / "c.fits")
    refused("1 pixels are blank", tmp_path / "c.fits")
    (tmp_path / "d.fits").write_bytes(b"hello")
    refused("is damaged or no FITS file", tmp_path / "d.fits")


# NIfTI and DICOM.


def test_slices_of_nifti_whatever_its_axes(tmp_path):
    nibabel = pytest.importorskip("nibabel")
    stored = np.arange(24, dtype=np.int16).reshape(2, 3, 4)
    scaled = stored * 0.03125 + 0.125
    for name, flip in (("a.nii", 1), ("b.nii.gz", -1)):
        values = stored if flip == 1 else stored[::-1]
        volume = nibabel.Nifti1Image(values, np.diag([flip, 1, 1, 1]))
        volume.header.set_slope_inter(0.03125, 0.125)
        nibabel.save(volume, tmp_path / name)
        np.testing.assert_array_equal(
            read(tmp_path / name).values[..., 0], scaled.transpose(2, 0, 1)
        )
    (tmp_path / "c.nii").write_bytes(b"hello")
    refused("is damaged or no NIfTI file", tmp_path / "c.nii")
    refused("holds an image alone", tmp_path / "a.nii", "x")


@pytest.mark.parametrize(
    ("pixels", "bits", "settings", "expected"),
    [
        (np.array([[0, 255]], "u1"), 8, {}, [0, 255]),
        (np.array([[0, 4095]], "u2"), 12, {}, [0, 65535]),
        (np.array([[-2048, 2047]], "i2"), 12, {}, [0, 65535]),
        (np.array([[0, 255]], "u1"), 8, {"photometric": 1}, [255, 0]),
        (np.array([[0, 1365]], "u2"), 12, {"photometric": 1}, [65535, 43690]),
        (
            np.array([[0, 2]], "u2"),
            12,
            {"RescaleSlope": 0.25, "RescaleIntercept": 0.5},
            [0.5, 1],
        ),
    ],
)
def test_levels_of_dicom(tmp_path, pixels, bits, settings, expected):
    settings = dict(settings)
    if settings.pop("photometric", None):
        settings["photometric"] = "MONOCHROME1"
    path = write_dicom(tmp_path / "a.dcm", pixels, bits, **settings)
    found = read(path).values
    assert found.shape == (1, 1, 2, 1)
    np.testing.assert_allclose(found.ravel(), expected, atol=1e-6)


def test_levels_of_dicom_far_below_white_are_warned_of(tmp_path):
    pixels = np.array([[0], [1_000_000]], "u4")
    path = write_dicom(tmp_path / "a.dcm", pixels, 32)
    with pytest.warns(UserWarning, match="is 1000000 of 4294967295.*1048575"):
        read(path)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        read(write_dicom(tmp_path / "b.dcm", pixels, 20))


def test_frames_of_dicom_are_examples(tmp_path):
    frames = np.arange(12, dtype=np.uint8).reshape(2, 2, 3)
    path = write_dicom(tmp_path / "a.dcm", frames, 8, NumberOfFrames=2)
    np.testing.assert_array_equal(read(path).values[..., 0], frames)
    (tmp_path / "b.dcm").write_bytes(b"hello")
    refused("is damaged or no DICOM file", tmp_path / "b.dcm")


# Libraries that are not installed.


@pytest.mark.parametrize(
    ("name", "module", "extra"),
    [
        ("a.h5", "h5py", "hdf5"),
        ("a.root", "uproot", "root"),
        ("a.fits", "astropy.io.fits", "fits"),
        ("a.nii", "nibabel", "medical"),
        ("a.dcm", "pydicom", "medical"),
    ],
)
def test_a_missing_library_is_named(tmp_path, monkeypatch, name, module, extra):
    (tmp_path / name).write_bytes(b"hello")
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(
        ModuleNotFoundError, match=rf"{name}: .*pip install 'nae-tf\[{extra}\]'"
    ):
        read(tmp_path / name)
