"""Conventions of single fields that change what stored numbers mean."""

import datetime
import warnings

import h5py
import numpy as np
import pyarrow
import pytest
import scipy.io
from pyarrow import feather
from science_files import read, refused, write_dicom

from nae_tf.data.readers.arrays import read_array
from nae_tf.data.readers.columns import Columns
from nae_tf.data.readers.images import decode_image
from nae_tf.data.readers.stream import open_stream

LEVELS = np.array([[100, 200], [300, 400]], "i2")
GRAY = np.arange(12, dtype="u2").reshape(3, 4) * 100


def write_array(path, values, name="x", **attributes):
    with h5py.File(path, "w") as file:
        item = file.create_dataset(name, data=values)
        item.attrs.update(attributes)
    return path


def test_recordings_of_neurons_are_in_their_unit(tmp_path):
    # Neurodata Without Borders: data * conversion + offset, in `unit`.
    path = write_array(
        tmp_path / "a.h5",
        LEVELS,
        "acquisition/voltage/data",
        conversion=1e-3,
        offset=0.5,
        unit="volts",
    )
    found = read(path)
    np.testing.assert_allclose(found.values, [[0.6, 0.7], [0.8, 0.9]])
    assert found.units == {"": "volts"}
    path = write_array(tmp_path / "b.h5", LEVELS, conversion=0.1)
    np.testing.assert_allclose(read(path).values, LEVELS / 10, rtol=1e-6)


def test_pynwb_reads_the_same(tmp_path):
    pynwb = pytest.importorskip("pynwb")
    series = pynwb.TimeSeries(
        name="voltage",
        data=LEVELS,
        unit="volts",
        rate=1.0,
        conversion=1e-3,
        offset=0.5,
    )
    start = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)
    file = pynwb.NWBFile("a", "b", start)
    file.add_acquisition(series)
    with pynwb.NWBHDF5IO(tmp_path / "a.h5", "w") as io:
        io.write(file)
    np.testing.assert_allclose(
        read(tmp_path / "a.h5", "acquisition/voltage/data").values,
        series.get_data_in_units(),
        rtol=1e-6,
    )


@pytest.mark.parametrize(
    "unit", ["seconds since 1970-01-01", "Days since 1 AD"]
)
def test_numbers_that_count_from_a_date_are_dates(tmp_path, unit):
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        file["group/t"], file["group/T"] = [10.0, 20.0], [280.0, 281.0]
        file["group/t"].attrs["units"] = unit
        file["group/T"].attrs["units"] = "days since the last visit"
    refused(rf"'t' holds dates \({unit}\); leave it out", path, "group")
    found = read(path, "group", drop=["t"])
    np.testing.assert_array_equal(found.values, [[280], [281]])


def test_missing_integers_of_r_are_missing(tmp_path):
    values = np.array([[1, -(2**31)], [3, 4]], "i4")
    path = write_array(tmp_path / "a.h5", values, **{"rhdf5-NA.OK": 1})
    refused("1 values of 1 examples are missing", path)
    path = write_array(tmp_path / "b.h5", values)
    np.testing.assert_array_equal(read(path).values, values.astype("f4"))


def test_a_scale_and_an_offset_have_no_one_formula(tmp_path):
    path = write_array(tmp_path / "a.h5", LEVELS, scale=0.1, offset=3.0)
    refused("attributes scale and offset, of which writers use", path)
    path = write_array(tmp_path / "b.h5", LEVELS, scale=1.0, offset=0.0)
    np.testing.assert_array_equal(read(path).values, LEVELS)


def test_tables_of_astropy_have_units_and_times(tmp_path):
    table = pytest.importorskip("astropy.table")
    time = pytest.importorskip("astropy.time")
    units = pytest.importorskip("astropy.units")
    pytest.importorskip("yaml")
    columns = {
        "t": time.Time([50_000.0, 50_001.0], format="mjd"),
        "flux": [1.0, 2.0] * units.Jy,
        "v": [3.0, 4.0] * (units.km / units.s),
        "n": [5.0, 6.0],
    }
    path = tmp_path / "a.h5"
    table.Table(columns).write(path, path="t", serialize_meta=True)
    refused(r"\['t.jd1', 't.jd2'\] hold dates", path, "t")
    found = read(path, "t", drop=["t.jd1", "t.jd2"])
    np.testing.assert_array_equal(found.values, [[1, 3, 5], [2, 4, 6]])
    assert found.units == {"flux": "Jy", "v": "km / s"}
    del columns["t"]
    table.Table(columns).write(tmp_path / "b.h5", path="t")
    assert read(tmp_path / "b.h5", "t").units == {}


def test_pixels_of_padding_are_no_measurements(tmp_path):
    pytest.importorskip("pydicom")
    path = write_dicom(tmp_path / "a.dcm", GRAY, 16, PixelPaddingValue=1100)
    refused(r"1 pixels are padding \(PixelPaddingValue 1100\)", path)
    path = write_dicom(
        tmp_path / "b.dcm",
        GRAY,
        16,
        PixelPaddingValue=0,
        PixelPaddingRangeLimit=250,
    )
    refused("3 pixels are padding", path)
    path = write_dicom(tmp_path / "c.dcm", GRAY, 16, PixelPaddingValue=7)
    np.testing.assert_array_equal(read(path).values[0, ..., 0], GRAY)


def test_levels_in_upper_bits_are_refused(tmp_path):
    pytest.importorskip("pydicom")
    path = write_dicom(tmp_path / "a.dcm", GRAY << 4, 12, HighBit=15)
    refused(r"in the upper bits \(HighBit 15 of 12 bits\)", path)


@pytest.mark.parametrize(
    ("items", "is_refused"),
    [
        ('role="offset">-0.1</Item>', True),
        ('role="scale">0.0001</Item>', True),
        ('role="scale">10</Item>', True),
        ('role="scale">1</Item><Item role="offset">0.0</Item>', False),
        ('role="description">B04</Item>', False),
    ],
)
def test_a_scale_of_gdal_is_not_passed_over(items, is_refused, tmp_path):
    image = pytest.importorskip("PIL.Image")
    tags = pytest.importorskip("PIL.TiffImagePlugin")
    info = tags.ImageFileDirectory_v2()
    info[42112] = f"<GDALMetadata><Item {items}</GDALMetadata>"
    path = tmp_path / "a.tif"
    image.fromarray(GRAY).save(path, tiffinfo=info)
    encoded = path.read_bytes()
    if is_refused:
        with pytest.raises(ValueError, match=r"a.tif has a scale .*-unscale"):
            decode_image(encoded, "a.tif")
    else:
        decoded = decode_image(encoded, "a.tif")
        np.testing.assert_array_equal(decoded[..., 0], GRAY)


def test_a_file_of_histograms_has_no_tree(tmp_path):
    uproot = pytest.importorskip("uproot")
    with uproot.recreate(tmp_path / "a.root") as file:
        file["h"] = np.histogram(np.arange(5.0))
    refused(
        r"neither a TTree nor an RNTuple, but \['TH1D'\]", tmp_path / "a.root"
    )


@pytest.mark.parametrize("intercept", [0, -1024])
def test_signed_numbers_of_dicom_with_a_slope_are_in_units(tmp_path, intercept):
    stored = np.array([[1024, 3072]], "i2")
    path = write_dicom(
        tmp_path / "a.dcm",
        stored,
        16,
        RescaleSlope=1,
        RescaleIntercept=intercept,
    )
    expected = (stored + intercept) / 4_096
    found = read_array(path, max_level=4_096).values
    np.testing.assert_allclose(found.ravel(), expected.ravel(), rtol=1e-6)
    refused(rf"\[0, 1\], received {1024 + intercept} \.\.\.", path)


def test_negative_units_of_dicom_are_refused(tmp_path):
    stored = np.array([[-1000, 3072]], "i2")
    rescale = {"RescaleSlope": 1, "RescaleIntercept": 0}
    path = write_dicom(tmp_path / "a.dcm", stored, 16, **rescale)
    with pytest.raises(ValueError, match=r"a\.dcm.*received -0\.2441.*0\.75"):
        read_array(path, max_level=4_096)


def test_bits_of_flags_in_hdf5_are_no_numbers(tmp_path):
    """But truth values of PyTables are bits, too."""
    tables = pytest.importorskip("tables")
    flags = np.arange(12, dtype=np.uint8).reshape(4, 3)
    with h5py.File(tmp_path / "a.h5", "w") as file:
        space = h5py.h5s.create_simple((4, 3))
        item = h5py.h5d.create(file.id, b"x", h5py.h5t.STD_B8LE, space)
        item.write(h5py.h5s.ALL, h5py.h5s.ALL, flags, mtype=h5py.h5t.STD_B8LE)
    refused("holds bits of flags", tmp_path / "a.h5")
    with tables.open_file(tmp_path / "b.h5", "w") as file:
        file.create_array("/", "x", flags > 5)
    np.testing.assert_array_equal(read(tmp_path / "b.h5").values, flags > 5)


def test_names_of_numpy_fields_in_any_script(tmp_path):
    rows = np.array([(1.0, 2.0)], [("η", "f4"), ("E (GeV)", "f4")])
    np.save(tmp_path / "a.npy", rows)
    np.savez(tmp_path / "b.npz", rows)
    for name in ("a.npy", "b.npz"):
        found = read(tmp_path / name, names=("E (GeV)", "η"))
        np.testing.assert_array_equal(found.values, [[2.0, 1.0]])
        [batch] = open_stream(
            str(tmp_path / name), (2,), 5, columns=Columns(drop=["η"])
        ).batches
        np.testing.assert_array_equal(batch.load(), [[2.0]])


def test_tensors_and_unions_of_arrow_are_refused(tmp_path):
    images = np.arange(8.0).reshape(2, 2, 2)
    unions = pyarrow.UnionArray.from_dense(
        pyarrow.array([0, 1], pyarrow.int8()),
        pyarrow.array([0, 0], pyarrow.int32()),
        [pyarrow.array([1.0]), pyarrow.array([2])],
    )
    tensors = pyarrow.FixedShapeTensorArray.from_numpy_ndarray(images)
    for column in (tensors, unions):
        path = tmp_path / "a.arrow"
        feather.write_feather(
            pyarrow.table({"x": column}), path, compression="uncompressed"
        )
        refused("column 'x' holds .*expected numbers", path)


def test_grey_images_along_the_last_axis_are_warned_of(tmp_path):
    images = np.zeros((28, 20, 100), np.uint8)
    scipy.io.savemat(tmp_path / "a.mat", {"x": images})
    with pytest.warns(UserWarning, match="if these are 100 images of 28 x 20"):
        assert read(tmp_path / "a.mat").values.shape == (28, 20, 100, 1)
    scipy.io.savemat(tmp_path / "b.mat", {"x": images.transpose(2, 0, 1)})
    np.save(tmp_path / "c.npy", images[:, :20].transpose(2, 0, 1))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for name in ("b.mat", "c.npy"):
            assert len(read(tmp_path / name).values) == 100
    np.save(tmp_path / "d.npy", images[:20])
    with pytest.warns(UserWarning, match="if these are 100 images of 20 x 20"):
        assert len(read(tmp_path / "d.npy").values) == 20
