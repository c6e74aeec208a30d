"""Conventions of single fields that change what stored numbers mean."""

import datetime

import h5py
import numpy as np
import pytest
from science_files import read, refused, write_dicom

from nae_tf.data.readers.images import decode_image

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
