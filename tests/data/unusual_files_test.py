"""Valid files whose values are easily misread: codes, packings, second images.

Each is read as its own convention means it, or refused in one line.
"""

import os
import struct

import h5py
import numpy as np
import pytest
import scipy.io
from science_files import read, refused, write_dicom

from nae_tf.data import read_files
from nae_tf.data.readers.images import decode_image
from nae_tf.data.readers.stream import open_stream

X = np.array([[1, 2.5], [3, 4.5]])
PACKED = (X * 10).astype("i2")
GRAY = np.arange(12, dtype=np.uint8).reshape(3, 4) * 20
# More digits than a double has.
IDENTIFIER = 2**60 + 1


def write_array(path, values, group="/", dtype=None, **attributes):
    with h5py.File(path, "w") as file:
        place = file.require_group(group)
        item = place.create_dataset("x", data=values, dtype=dtype)
        for name, value in attributes.items():
            item.attrs[name] = value
    return path


# Packings and missing values of HDF5.


@pytest.mark.parametrize(
    "attributes",
    [
        {"ScaleFactor": 0.1, "Offset": 1.0, "MissingValue": np.int16(-1)},
        {"scaling_factor": 0.1, "add_offset": 1.0},
        {"scale_factor": [0.1], "add_offset": [1.0], "nodata": -9999},
    ],
)
def test_attributes_of_other_spellings_unpack(tmp_path, attributes):
    path = write_array(tmp_path / "a.he5", PACKED, **attributes)
    np.testing.assert_allclose(read(path).values, X + 1, rtol=1e-6)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("MissingValue", 3.0),
        ("FillValue", 3.0),
        ("fill_value", 3.0),
        ("NoDataValue", 3.0),
        ("CodeMissingValue", "3.0"),
    ],
)
def test_missing_values_of_other_spellings_are_refused(tmp_path, name, value):
    path = write_array(tmp_path / "a.h5", X, **{name: value})
    refused("1 values of 1 examples are missing .* number 1 ", path)


def test_packings_of_several_parts_are_refused(tmp_path):
    path = write_array(tmp_path / "a.h5", PACKED, scale_factor=[0.1, 0.2])
    refused("several values of scalefactor, and which belongs", path)
    path = write_array(tmp_path / "b.h5", PACKED, scale_factor=[0.1, 0.1])
    np.testing.assert_allclose(read(path).values, X, rtol=1e-6)


def test_an_offset_of_hdf4_is_subtracted_first(tmp_path):
    hdf4 = {"scale_factor": 0.5, "calibrated_nt": np.int32(5)}
    path = write_array(tmp_path / "a.h5", PACKED, add_offset=10.0, **hdf4)
    refused("add_offset is subtracted before it is scaled", path)
    path = write_array(tmp_path / "b.h5", PACKED, add_offset=0.0, **hdf4)
    np.testing.assert_allclose(read(path).values, PACKED / 2)


@pytest.mark.parametrize("names", [("slope", "intercept"), ("gain", "offset")])
def test_packings_without_one_formula_are_refused(tmp_path, names):
    path = write_array(tmp_path / "a.h5", PACKED, **dict.fromkeys(names, 0.5))
    refused("is packed: .* writers use different formulas", path)
    # Those of floats say how they were measured.
    path = write_array(tmp_path / "b.h5", X, **dict.fromkeys(names, 0.5))
    np.testing.assert_array_equal(read(path).values, X)
    path = write_array(tmp_path / "c.h5", PACKED, slope=1, intercept=0)
    np.testing.assert_array_equal(read(path).values, PACKED)


def test_radar_files_are_unpacked(tmp_path):
    path = write_array(tmp_path / "a.h5", PACKED.astype("u1"), "data1")
    with h5py.File(path, "a") as file:
        what = file.create_group("data1/what").attrs
        what["gain"], what["offset"], what["nodata"] = 0.1, -32.0, 255.0
    np.testing.assert_allclose(read(path).values, X - 32, rtol=1e-6)
    with h5py.File(path, "a") as file:
        file["data1/what"].attrs["undetect"] = 10.0
    refused("1 values of 1 examples are missing", path)


def test_codes_are_no_features(tmp_path):
    codes = np.array([[0, 1], [1, 0]], "i1")
    kinds = h5py.enum_dtype({"e": 0, "mu": 1}, "i1")
    path = write_array(tmp_path / "a.h5", codes, dtype=kinds)
    refused("holds codes of categories", path)
    path = write_array(
        tmp_path / "b.h5", codes, flag_values=[0, 1], flag_meanings="e mu"
    )
    refused("holds codes of categories", path)
    path = write_array(tmp_path / "d.h5", codes, flag_masks=[1, 2])
    refused("holds codes of categories", path)
    rows = np.array([(1, 0), (3, 1)], [("a", "i4"), ("kind", kinds)])
    path = write_array(tmp_path / "c.h5", rows)
    refused(r"\['kind'\] holds codes of categories", path)
    found = read(path, label_key="kind")
    np.testing.assert_array_equal(found.values, [[1], [3]])
    assert found.labels.tolist() == ["e", "mu"]


def test_images_of_hdf5_with_a_palette_or_with_white_as_zero(tmp_path):
    images = np.stack([GRAY, GRAY])
    kind = {"CLASS": np.bytes_("IMAGE")}
    path = write_array(
        tmp_path / "a.h5",
        images,
        **kind,
        IMAGE_SUBCLASS=np.bytes_("IMAGE_INDEXED"),
    )
    refused("holds indices of a palette", path)
    path = write_array(
        tmp_path / "b.h5", images, **kind, IMAGE_WHITE_IS_ZERO=np.uint8(1)
    )
    refused("has 0 as white", path)
    colours = {**kind, "IMAGE_SUBCLASS": np.bytes_("IMAGE_TRUECOLOR")}
    image = np.stack([GRAY, GRAY, GRAY], -1)  # One, of [height, width, 3].
    path = write_array(tmp_path / "d.h5", image, **colours)
    refused("is an image of colours .*, whose first axis counts no", path)
    path = write_array(
        tmp_path / "e.h5",
        image[None],
        **colours,
        INTERLACE_MODE="INTERLACE_PIXEL",
    )
    np.testing.assert_array_equal(read(path).values, image[None])
    path = write_array(
        tmp_path / "f.h5",
        np.moveaxis(image, -1, 0),
        **colours,
        INTERLACE_MODE=np.bytes_("INTERLACE_PLANE"),
    )
    refused("is an image of colours", path)
    path = write_array(
        tmp_path / "c.h5",
        images,
        **kind,
        IMAGE_SUBCLASS=np.bytes_("IMAGE_GRAYSCALE"),
        IMAGE_WHITE_IS_ZERO=np.uint8(0),
    )
    np.testing.assert_array_equal(read(path).values[..., 0], images)


# Integers of 64 bits, counters, several arrays in one.


def test_identifiers_are_no_features(tmp_path):
    message = r"holds integers of 2\*\*53 or more"
    np.save(tmp_path / "a.npy", np.array([[IDENTIFIER, 2]]))
    refused(message, tmp_path / "a.npy")
    np.save(tmp_path / "b.npy", np.array([[2**53 - 1, -(2**53) + 1]]))
    assert read(tmp_path / "b.npy").values.shape == (1, 2)
    np.save(tmp_path / "c.npy", np.array([[-IDENTIFIER, 2]]))
    refused(message, tmp_path / "c.npy")
    rows = np.array([(IDENTIFIER, 2.5)], [("event", "i8"), ("b", "f4")])
    np.save(tmp_path / "d.npy", rows)
    refused(f"column 'event' {message}", tmp_path / "d.npy")
    found = read(tmp_path / "d.npy", drop=["event"])
    np.testing.assert_array_equal(found.values, [[2.5]])
    path = write_array(tmp_path / "a.h5", rows)
    refused(f"column 'event' {message}", path)


def test_counters_in_tables_are_no_features(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("index,a\n0,1.5\n1,2.5\n")
    refused("the column 'index' counts the rows", path)
    np.testing.assert_array_equal(
        read(path, drop=["index"]).values, [[1.5], [2.5]]
    )
    path.write_text("index,a\n7,1.5\n1,2.5\n")
    np.testing.assert_array_equal(read(path).values, [[7, 1.5], [1, 2.5]])
    path.write_text("a,__index_level_0__\n1.5,4\n2.5,9\n")
    refused("has no name, as an index of pandas", path)


def test_several_arrays_in_one_npy_file(tmp_path):
    path = tmp_path / "a.npy"
    with path.open("wb") as file:
        np.save(file, X)
        np.save(file, X + 1)
    refused("goes on behind its first array", path)


def test_stacks_of_grey_images_of_matlab(tmp_path):
    images = np.zeros((5, 5, 7), np.uint8)
    scipy.io.savemat(tmp_path / "a.mat", {"x": images})
    refused(r"5x5x7, .* save permute\(x, \[3 1 2\]\)", tmp_path / "a.mat")
    scipy.io.savemat(tmp_path / "a.mat", {"x": images.transpose(2, 0, 1)})
    assert read(tmp_path / "a.mat").values.shape == (7, 5, 5, 1)


# Text.


def test_points_between_thousands(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("a;b\n1.234;2,5\n567;4,5\n")
    refused("'1.234'", path)
    path.write_text("a;b\n1.234;2\n567;4\n")
    refused("'1.234' beside whole numbers may be thousands", path)
    path.write_text("a;b\n1.234;2\n567.500;4\n")
    np.testing.assert_array_equal(
        read(path).values, np.float32([[1.234, 2], [567.5, 4]])
    )
    # Far behind the lines that are looked at first.
    path.write_text("a;b\n" + "1;2.5\n" * 20_000 + "1.234;2.5\n5;2.5\n")
    refused("'1.234' beside whole numbers may be thousands", path)
    path.write_text("a;b\n" + "1;2.5\n" * 20_000 + "1.234;2.5\n5.5;2.5\n")
    assert read(path).values[20_000, 0] == np.float32(1.234)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('"1,5","2,5"\n3,4\n', "line 1: '1,5' may be thousands or a fraction"),
        ('a,b\n"1,5",2\n', "line 2: .*'1,5'.*; write a decimal point"),
        ("pt,r\nGeV,mm\n1,2\n", "line 2: .*'GeV'.*; remove a line of units"),
    ],
)
def test_lines_that_are_no_example(tmp_path, text, message):
    (tmp_path / "a.csv").write_text(text)
    refused(message, tmp_path / "a.csv")


@pytest.mark.parametrize("mark", [".", "-", "#DIV/0!", "?"])
def test_marks_of_missing_numbers_spoil_no_other_row(tmp_path, mark):
    path = tmp_path / "a.csv"
    path.write_text(f"a,b\n1.5,{mark}\n3,4\n")
    refused("column 'b' has no value in line 2", path)
    [batch] = open_stream(str(path), (2,), 4).batches
    np.testing.assert_array_equal(batch.load_one(1), [[3, 4]])
    with pytest.raises(ValueError, match="no value in line 2"):
        batch.load_one(0)


def test_a_table_of_features_in_rows_is_told_by_their_names(tmp_path):
    path = tmp_path / "a.csv"
    for text in ("feature,0,1\npt,1,2\nr,3,4\n", ",0,1\nr,3,4\npt,1,2\n"):
        path.write_text(text)
        refused("has a feature in each row, as 'pt'", path, names=("pt", "r"))
    path.write_text("kind,pt,r\npt,1,2\nr,3,4\n")
    found = read(path, label_key="kind", names=("pt", "r"))
    np.testing.assert_array_equal(found.values, [[1, 2], [3, 4]])


def test_blanks_around_labels_say_nothing(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("a, kind\n1, x\n2,x \n")
    assert read_files(path, label_key="kind").labels.tolist() == ["x", "x"]


# FITS and netCDF.


def write_fits(path, *columns, ascii_table=False):
    fits = pytest.importorskip("astropy.io.fits")
    kind = fits.TableHDU if ascii_table else fits.BinTableHDU
    columns = [fits.Column(**column) for column in columns]
    kind.from_columns(columns).writeto(path)
    return path


def test_missing_values_in_tables_of_text_and_of_truth_values(tmp_path):
    path = write_fits(
        tmp_path / "a.fits",
        {"name": "a", "format": "I4", "null": "-99", "array": [1, -99]},
        {"name": "b", "format": "F8.3", "array": [2.5, 4.5]},
        ascii_table=True,
    )
    refused("1 of 2 values of the column 'a' are missing", path)
    path = write_fits(
        tmp_path / "b.fits",
        {"name": "a", "format": "L", "array": [True, False]},
    )
    np.testing.assert_array_equal(read(path).values, [[1], [0]])
    # The standard has a zero byte for neither.
    path.write_bytes(path.read_bytes().replace(b"TF\0\0", b"T\0\0\0"))
    refused("1 of 2 values of the column 'a' are missing", path)


def test_times_of_astropy_are_dates(tmp_path):
    table = pytest.importorskip("astropy.table").Table
    time = pytest.importorskip("astropy.time").Time
    path = tmp_path / "a.fits"
    moments = time([50_000.0, 50_001.0], format="mjd")
    table({"t": moments, "b": [2.5, 4.5]}).write(path)
    refused(r"\['t'\] holds dates", path)
    np.testing.assert_array_equal(read(path, drop=["t"]).values, [[2.5], [4.5]])


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("units", "days since 2000-01-01", "holds dates"),
        ("flag_masks", np.array([1, 2], "i2"), "holds codes"),
        ("nodata", np.int16(25), "1 values of 1 examples are missing"),
        ("MissingValue", np.int16(25), "1 values of 1 examples are missing"),
    ],
)
def test_classic_netcdf_has_the_same_conventions(
    tmp_path, name, value, message
):
    path = tmp_path / "a.nc"
    with scipy.io.netcdf_file(path, "w") as file:
        for axis in "rc":
            file.createDimension(axis, 2)
        item = file.createVariable("x", "i2", ("r", "c"))
        item[:] = PACKED
        setattr(item, name, value)
    refused(message, path)


def test_blanks_of_unsigned_images_are_missing(tmp_path):
    fits = pytest.importorskip("astropy.io.fits")
    for dtype, blank in (("u2", -(2**15)), ("u4", -(2**31)), ("u1", 0)):
        unit = fits.PrimaryHDU(np.array([[0, 9], [1, 1]], dtype))
        unit.header["BLANK"] = blank  # A stored number: 0 by then.
        unit.writeto(tmp_path / f"{dtype}.fits")
        refused("1 pixels are blank", tmp_path / f"{dtype}.fits")


def test_the_newest_classic_netcdf_is_named(tmp_path):
    path = tmp_path / "a.nc"
    path.write_bytes(b"CDF\5" + bytes(40))
    refused("64-bit data format, .* nccopy -k nc4", path)


# DICOM.


def test_rescaling_of_enhanced_dicom_files(tmp_path):
    pydicom = pytest.importorskip("pydicom")

    def groups(*slopes):
        found = []
        for slope in slopes:
            step, group = pydicom.Dataset(), pydicom.Dataset()
            step.RescaleSlope, step.RescaleIntercept = slope, 1
            group.PixelValueTransformationSequence = [step]
            found.append(group)
        return found

    frames = np.arange(12, dtype="u2").reshape(2, 2, 3)
    each = write_dicom(
        tmp_path / "a.dcm",
        frames,
        12,
        NumberOfFrames=2,
        PerFrameFunctionalGroupsSequence=groups(1, 3),
    )
    expected = frames * np.reshape([1, 3], (2, 1, 1)) + 1
    found = read_files(each, max_level=100).select("x", np.arange(2))
    np.testing.assert_allclose(found.array[..., 0], expected / 100, rtol=1e-6)
    both = write_dicom(
        tmp_path / "b.dcm",
        frames,
        12,
        NumberOfFrames=2,
        SharedFunctionalGroupsSequence=groups(2),
    )
    found = read_files(both, max_level=100).select("x", np.arange(2))
    np.testing.assert_allclose(
        found.array[..., 0], (2 * frames + 1) / 100, rtol=1e-6
    )


def test_levels_of_more_than_16_bits_are_kept(tmp_path):
    pixels = np.array([[0, 2**31, 2**32 - 1]], "u4")
    path = write_dicom(tmp_path / "a.dcm", pixels, 32)
    np.testing.assert_allclose(read(path).values.ravel(), [0, 0.5, 1])
    path = write_dicom(tmp_path / "b.dcm", pixels // 2**8, 32)
    found = read_files(path, max_level=2**24).select("x", np.arange(1))
    np.testing.assert_allclose(found.array.ravel(), [0, 0.5, 1], rtol=1e-6)
    path = write_dicom(tmp_path / "c.dcm", pixels, 32, DoseGridScaling="2e-10")
    np.testing.assert_allclose(
        read(path).values.ravel(), pixels[0] * 2e-10, rtol=1e-6
    )


def test_a_table_of_values_of_dicom_is_refused(tmp_path):
    pydicom = pytest.importorskip("pydicom")
    table = pydicom.Dataset()
    table.ModalityLUTType = "US"
    path = write_dicom(tmp_path / "a.dcm", GRAY, 8, ModalityLUTSequence=[table])
    refused("table of values .*apply_modality_lut", path)


# Images.


def tiff(pixels, num_bands=1, photometric=1, **tags):
    """A TIFF file of one page; tags are named t and their number."""
    entries = {
        256: pixels.shape[1],
        257: pixels.shape[0],
        258: [8] * num_bands,
        259: 1,
        262: photometric,
        273: 0,
        277: num_bands,
        278: pixels.shape[0],
        279: pixels.size,
        **{int(name[1:]): value for name, value in tags.items()},
    }
    body = pixels.tobytes()
    start = 8 + len(body)
    beyond = start + 2 + 12 * len(entries) + 4
    directory, rest = struct.pack("<H", len(entries)), b""
    for tag, value in sorted(entries.items()):
        if isinstance(value, bytes):
            kind, count, stored = 2, len(value), value
        else:
            numbers = np.ravel(8 if tag == 273 else value).tolist()
            kind, count = 3, len(numbers)
            stored = struct.pack(f"<{count}H", *numbers)
        if len(stored) > 4:
            rest += stored
            stored = struct.pack("<I", beyond + len(rest) - len(stored))
        directory += struct.pack("<HHI", tag, kind, count)
        directory += stored.ljust(4, b"\0")
    return (
        b"II*\0" + struct.pack("<I", start) + body + directory + bytes(4) + rest
    )


BANDS = np.dstack([GRAY, GRAY + 1, GRAY + 2, GRAY + 3])


def test_the_helper_writes_images():
    image = decode_image(tiff(GRAY), "a.tif")
    np.testing.assert_array_equal(image[..., 0], GRAY)


@pytest.mark.parametrize(
    ("encoded", "message"),
    [
        (tiff(GRAY, t270=b"ImageJ=1\nimages=3\n\0"), "a stack of images in"),
        (
            tiff(GRAY, t270=b'{"shape": [2, 3], "truncated": true}\0'),
            "a stack of images in one",
        ),
        (tiff(GRAY, t32997=16), "a stack of images in one"),
        (tiff(GRAY, t339=2), "has signed levels"),
        (
            tiff(BANDS[..., :2], 2, t338=0),
            # Pillow before 13 does not open it.
            "(has 2 bands, of which some are|other numbers of bands)",
        ),
        (tiff(BANDS, 4, 2, t338=0), "has 4 bands, of which some are neither"),
        (tiff(GRAY, t42113=b"20\0"), r"1 pixels are missing \(GDAL_NODATA 20"),
        (b"P5 4 3 255\n" + GRAY.tobytes() + b"P5 4 3 255\n", "several images"),
        (b"P4 4 3\n\1\2\3P4 4 3\n\1\2\3", "several images"),
        (
            b"\xff\xd8\xff\xc1\0\x0b\x0c\0\3\0\4\1\1\x11\0",
            "a kind that is not read: of 12 bits",
        ),
        (
            b"\xff\xd8\xff\xc3\0\x0b\x08\0\3\0\4\1\1\x11\0",
            "a kind that is not read: .* lossless",
        ),
    ],
)
def test_images_that_decoders_would_read_in_part(encoded, message):
    with pytest.raises(ValueError, match=f"a.tif.*{message}"):
        decode_image(encoded, "a.tif")


def test_what_says_nothing_is_passed_over():
    for tags in ({"t270": b"images=1\n\0"}, {"t42113": b"21\0"}, {"t339": 1}):
        image = decode_image(tiff(GRAY, **tags), "a.tif")
        np.testing.assert_array_equal(image[..., 0], GRAY)
    raster = b"P5 4 3 255\n" + GRAY.tobytes()
    image = decode_image(raster + b"\n\0\0", "a.pgm")
    np.testing.assert_array_equal(image[..., 0], GRAY)
    image = decode_image(
        b"P5 4 3 65535\n" + GRAY.astype(">u2").tobytes(), "a.pgm"
    )
    np.testing.assert_array_equal(image[..., 0], GRAY)


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("a.csv.zip", "unpack it"),
        ("a.sav", "write it as CSV or Parquet"),
        ("a.nrrd", "write it as NIfTI"),
        ("a.array_record-00000-of-00001", "name a set of tensorflow-data"),
        ("a.parquet-00000", "name a set of tensorflow-data"),
        ("a.parquet-00000-of-00001", "name a set .*, and its folder as data_d"),
    ],
)
def test_files_of_other_kinds_have_a_remedy(tmp_path, name, hint):
    (tmp_path / name).write_bytes(b"hello")
    refused(f"expected a folder of images or .*; {hint}", tmp_path / name)


def test_texts_of_octave_are_named(tmp_path):
    (tmp_path / "a.mat").write_text("# Created by Octave 8.4\n# name: x\n")
    refused("is a text of Octave; save it by save -v7", tmp_path / "a.mat")


def test_arrays_in_a_folder_are_named_by_themselves(tmp_path):
    (tmp_path / "slices").mkdir()
    (tmp_path / "slices" / "a.dcm").write_bytes(b"")
    with pytest.raises(ValueError, match=r"in training by '.*slices/\*\.dcm'"):
        read_files(tmp_path / "slices")


@pytest.mark.parametrize("shape", [(4, 5), (0, 5, 1), (4.5, 5, 1)])
def test_shapes_of_images_are_three_integers(tmp_path, shape):
    np.save(tmp_path / "a.npy", GRAY[None])
    with pytest.raises(ValueError, match="integers >= 1, received"):
        read_files(tmp_path / "a.npy", image_shape=shape)


# What is no file.


@pytest.mark.parametrize("name", ["a.csv", "a.h5", "a.npy", "a.png"])
def test_pipes_are_refused_at_once(tmp_path, name):
    os.mkfifo(tmp_path / name)
    path = str(tmp_path if name == "a.png" else tmp_path / name)
    message = f"{name} is a pipe or a device, not a file"
    with pytest.raises(ValueError, match=message):
        read_files(path)
    with pytest.raises(ValueError, match=message):
        open_stream(path, (3, 4, 1), 2)


def test_links_that_lead_nowhere(tmp_path):
    for name in ("b.csv", "photos/b.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).symlink_to("missing")
    with pytest.raises(FileNotFoundError, match="is a link to a file"):
        read_files(tmp_path / "photos")
    with pytest.raises(FileNotFoundError, match="is a link to a file"):
        read_files(f"{tmp_path}/*.csv")


@pytest.mark.parametrize("dtype", ["bfloat16", "float8_e4m3fn"])
def test_types_that_numpy_does_not_name_are_refused_by_theirs(tmp_path, dtype):
    ml_dtypes = pytest.importorskip("ml_dtypes")
    values = np.ones([3, 2]).astype(getattr(ml_dtypes, dtype))
    np.save(tmp_path / "a.npy", values)
    np.savez(tmp_path / "a.npz", values)
    for name in ("a.npy", "a.npz"):
        with pytest.raises(ValueError, match=r"V[12]; if these were bfloat16"):
            read(tmp_path / name)
