"""Kinds of files that are read, or refused, for a reason easily missed.

Each expectation is what the file means by its own format.
"""

import gzip
import io
import struct
import warnings

import h5py
import numpy as np
import pandas
import pyarrow
import pytest
from PIL import Image
from pyarrow import feather, parquet
from science_files import read, refused, write_dicom

from nae_tf.data.readers.images import decode_image
from nae_tf.data.readers.stream import open_stream

PACKED = np.array([[10, 25], [30, 45]], "i2")
GRAY = np.arange(12, dtype=np.uint8).reshape(3, 4) * 20


def write(path, text):
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


# --- Text ---------------------------------------------------------------------


@pytest.mark.parametrize("first", ["1,5,2,5", "0,0,0,0", "9,9,9,9"])
def test_equal_numbers_are_no_names_of_columns(tmp_path, first):
    rows = np.random.default_rng(0).normal(size=(30, 4)).round(3)
    lines = [first, *(",".join(map(str, row)) for row in rows)]
    found = read(write(tmp_path / "a.csv", "\n".join(lines)))
    expected = np.vstack([[float(x) for x in first.split(",")], rows])
    np.testing.assert_allclose(found.values, expected, rtol=1e-6)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a,b\n1.5,2\n9007199254740993,1\n", "'a' holds integers of 2"),
        ("a,b\n" + "1.5,1\n" * 1_500 + "9007199254740993,1\n", "'a' holds int"),
        ("Report\na,b\n1,2\n", "line 2: expected 1 fields, as in the first"),
        ("a,b\n1,2\n\x0c3,4\n", "line 3: expected numbers, received '.x0c3'"),
        (
            gzip.compress(b"a,b\n1,2\n", mtime=0),
            "compressed by gzip; rename it to",
        ),
        (b"PK\3\4" + bytes(9), "a workbook of Excel; unpack it, or save it as"),
        (b"PAR1" + bytes(9), "is a Parquet file; rename it to .*parquet"),
    ],
)
def test_what_is_no_table_of_numbers_has_its_reason(tmp_path, text, message):
    refused(message, write(tmp_path / "a.csv", text))


def test_large_numbers_are_numbers(tmp_path):
    # JavaScript writes 1.2345678901234568e+20 so.
    path = write(tmp_path / "a.csv", "a,b\n1.5,1\n123456789012345680000,2\n")
    np.testing.assert_allclose(read(path).values[1, 0], 1.2345678901234568e20)


@pytest.mark.parametrize("name", ["", "Unnamed: 0"])
def test_a_column_without_a_name_is_left_out_as_pandas_calls_it(tmp_path, name):
    frame = pandas.DataFrame({"a": [1.5, 3], "b": [-2, 0.25]})
    frame.to_csv(tmp_path / "a.csv")
    for settings in ({}, {"names": ("b", "a")}):
        found = read(tmp_path / "a.csv", drop=[name], **settings)
        order = list(found.names)
        np.testing.assert_array_equal(found.values, frame[order])
        refused("'Unnamed: 0'", tmp_path / "a.csv", **settings)


# --- Columns ------------------------------------------------------------------


@pytest.mark.parametrize("kinds", [[11, 13], [1.5, 3.0], ["e", "mu"]])
@pytest.mark.parametrize("suffix", ["parquet", "feather"])
def test_categories_of_numbers_are_no_numbers(tmp_path, kinds, suffix):
    """Parquet itself forgets them."""
    frame = pandas.DataFrame({"k": pandas.Categorical(kinds), "b": [1.0, 2.0]})
    path = tmp_path / f"a.{suffix}"
    getattr(frame, f"to_{suffix}")(path)
    refused("column 'k' holds dictionary.*expected numbers", path)
    np.testing.assert_array_equal(read(path, drop=["k"]).values, [[1], [2]])
    found = read(path, label_key="k")
    assert found.labels.tolist() == list(map(str, kinds))


@pytest.mark.parametrize(
    ("column", "is_refused"),
    [
        (pyarrow.array([2**53, 1]), True),
        (pyarrow.array([2**53 - 1, 1]), False),
        (pyarrow.array([2**60, 1]).cast(pyarrow.decimal128(38, 0)), True),
        (pyarrow.array([2.0**60, 1]), False),
    ],
)
def test_identifiers_of_arrow(tmp_path, column, is_refused):
    path = tmp_path / "a.parquet"
    parquet.write_table(pyarrow.table({"a": column}), path)
    feather.write_feather(pyarrow.table({"a": column}), tmp_path / "a.feather")
    for each in (path, tmp_path / "a.feather"):
        if is_refused:
            refused("column 'a' holds integers of 2", each)
        else:
            assert read(each).values.shape == (2, 1)


# --- HDF5 and netCDF ----------------------------------------------------------


def write_array(path, values, group=None, **attributes):
    with h5py.File(path, "w") as file:
        item = file.create_dataset("x", data=values)
        item.attrs.update(attributes)
        file.attrs.update(group or {})
    return path


@pytest.mark.parametrize("name", ["slope", "Slope", "intercept", "multiplier"])
def test_a_lone_number_that_packs_is_refused(tmp_path, name):
    path = write_array(tmp_path / "a.h5", PACKED, **{name: 0.5})
    refused(f"attribute {name.lower()} .0.5., which no convention", path)


@pytest.mark.parametrize(
    "name", ["gain", "scale", "bitVolts", "conversion_factor", "offset"]
)
@pytest.mark.parametrize("place", ["array", "group"])
def test_a_lone_number_that_may_pack_is_warned_of(tmp_path, name, place):
    settings = {"group": {name: 0.5}} if place == "group" else {name: 0.5}
    path = write_array(tmp_path / "a.h5", PACKED, **settings)
    with pytest.warns(match=r"\(0.5\), which no .* and which is not applied"):
        found = read(path)
    np.testing.assert_array_equal(found.values, PACKED)


def test_numbers_that_pack_nothing_are_passed_over(tmp_path):
    paths = [
        write_array(tmp_path / "a.h5", PACKED, gain=1.0, offset=0, scale="log"),
        write_array(tmp_path / "b.h5", PACKED / 10, gain=0.5, slope=0.5),
        write_array(tmp_path / "c.h5", PACKED, {"gain": 2}, scale_factor=1.0),
    ]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for path in paths:
            read(path)


@pytest.mark.parametrize("scale", [0.1, -0.1])
def test_a_valid_range_in_the_type_of_the_scale_is_one_of_values(
    tmp_path, scale
):
    settings = {"scale_factor": scale, "add_offset": 1.0}
    values = PACKED * scale + 1
    whole = np.sort([values.min(), values.max()])
    path = write_array(tmp_path / "a.h5", PACKED, valid_range=whole, **settings)
    np.testing.assert_allclose(read(path).values, values, rtol=1e-6)
    part = np.sort([values.min(), values.max() - 0.5])
    path = write_array(tmp_path / "b.h5", PACKED, valid_range=part, **settings)
    refused("1 values of 1 examples are missing", path)
    path = write_array(tmp_path / "c.h5", PACKED, valid_max=part[1], **settings)
    refused("1 values of 1 examples are missing", path)
    # Stored values, as netCDF's conventions say.
    ends = np.array([10, 40], "i2")
    path = write_array(tmp_path / "d.h5", PACKED, valid_range=ends, **settings)
    refused("1 values of 1 examples are missing", path)


# --- Other formats ------------------------------------------------------------


def test_arrays_of_an_rntuple_are_columns(tmp_path):
    uproot = pytest.importorskip("uproot", minversion="5.7")
    values = np.arange(6.0).reshape(3, 2)
    with uproot.recreate(tmp_path / "a.root") as file:
        file.mkrntuple("t", {"a": values, "b": values[:, 0]})
        file.mkrntuple("images", {"x": np.zeros((3, 4, 5))})
    found = read(tmp_path / "a.root", "t")
    assert found.names == ("a[0]", "a[1]", "b")
    np.testing.assert_array_equal(found.values, values[:, [0, 1, 0]])
    assert read(tmp_path / "a.root", "images").values.shape == (3, 4, 5, 1)


def test_values_in_units_of_dicom_are_not_inverted(tmp_path):
    stored = np.array([[0, 2]], "u2")
    path = write_dicom(
        tmp_path / "a.dcm",
        stored,
        12,
        "MONOCHROME1",
        RescaleSlope=0.25,
        RescaleIntercept=0.5,
    )
    np.testing.assert_allclose(read(path).values.ravel(), [0.5, 1.0])


# --- Images -------------------------------------------------------------------


def tiff(pixels, bits, *, order="<", mode="L", **tags):
    """A TIFF file of one band by its specification; tags are named t259 ..."""
    sizes = dict(zip((256, 257), pixels.shape[::-1], strict=True))
    body = pixels.tobytes()
    if bits == 12:
        flat = pixels.ravel().astype("u4")
        pairs = flat[::2] << 12 | flat[1::2]
        body = b"".join(int(pair).to_bytes(3, "big") for pair in pairs)
    entries = {
        **sizes,
        **{258: bits, 259: 1, 262: 1, 273: 8, 277: 1, 278: len(pixels)},
        279: len(body),
        **{int(name[1:]): value for name, value in tags.items()},
    }
    mark = b"II*\0" if order == "<" else b"MM\0*"
    directory = struct.pack(f"{order}H", len(entries)) + b"".join(
        struct.pack(f"{order}HHIHH", tag, 3, 1, value, 0)
        for tag, value in sorted(entries.items())
    )
    start = struct.pack(f"{order}I", 8 + len(body))
    return mark + start + body + directory + bytes(4)


def test_levels_of_12_bits_of_tiff_have_their_own_white():
    levels = np.array([[0, 4095, 1365, 2730]], "u2")
    encoded = tiff(levels, 12)
    expected = levels.astype(int) * 65_535 // 4_095
    np.testing.assert_array_equal(
        decode_image(encoded, "a.tif")[..., 0], expected
    )
    found = decode_image(encoded, "a.tif", max_level=4_095)
    np.testing.assert_array_equal(found[..., 0], levels)
    # Of 16 bits only the user knows that 4,095 is white.
    file = io.BytesIO()
    Image.fromarray(levels).save(file, "TIFF")
    found = decode_image(file.getvalue(), "a.tif")
    np.testing.assert_array_equal(found[..., 0], levels)


FLOATS = np.array([[0, 0.25, 0.5, 1]], "<f4")


@pytest.mark.parametrize(
    ("encoded", "message"),
    [
        (tiff(FLOATS, 32, t339=3, t262=0), "has 0 as white .*invert its val"),
        (
            tiff(FLOATS.astype(">f4"), 32, order=">", t339=3, t317=3),
            "big-endian order behind a predictor",
        ),
        (
            tiff(FLOATS * np.nan, 32, t339=3),
            "4 pixels are NaN or infinite; rep",
        ),
    ],
)
def test_floats_of_tiff_that_are_something_else(encoded, message):
    with pytest.raises(ValueError, match=f"a.tif.*{message}"):
        decode_image(encoded, "a.tif")


def test_floats_of_tiff_are_read_in_any_order():
    for order in "<>":
        pixels = FLOATS.astype(f"{order}f4")
        found = decode_image(tiff(pixels, 32, order=order, t339=3), "a.tif")
        np.testing.assert_array_equal(found[..., 0], FLOATS)


def test_one_colour_image_is_no_stack_to_score_either(tmp_path):
    np.save(tmp_path / "a.npy", np.zeros((9, 8, 3), np.uint8))
    with pytest.raises(ValueError, match=r"one image of colours; use image\["):
        open_stream(str(tmp_path / "a.npy"), (28, 28, 1), 4)
    np.save(tmp_path / "b.npy", np.zeros((7, 5, 30), np.uint8))
    np.save(tmp_path / "c.npy", np.zeros((7, 5, 30), np.uint8)[:5])
    with pytest.warns(match="if these are 30 images of 5 x 5"):
        open_stream(str(tmp_path / "c.npy"), (28, 28, 1), 4)
