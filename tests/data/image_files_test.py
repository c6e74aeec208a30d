"""One image, however it is stored, has the same values everywhere.

Expected values come from NumPy and Pillow, which are not asked by the readers
of PNG and JPEG files.
"""

import io
import itertools
import pathlib
import struct
import tempfile
import zlib

import h5py
import hypothesis
import numpy as np
import pytest
import tensorflow as tf
from data_files import write_tfrecord
from hypothesis import strategies as st
from PIL import Image, ImageOps

from nae_tf.data.image_headers import exif_orientation, read_header
from nae_tf.data.readers import paths
from nae_tf.data.readers.images import (
    decode_image,
    list_images,
    read_images,
    stream_images,
)
from nae_tf.data.readers.stream import open_stream
from nae_tf.serving.encoded_images import decode_images

RNG = np.random.default_rng(0)
GRAY = RNG.integers(0, 256, (5, 7), np.uint8)
COLOR = RNG.integers(0, 256, (5, 7, 3), np.uint8)
DEEP = RNG.integers(0, 65_536, (5, 7), np.uint16)
# Smooth, so that the losses of JPEG are small.
SMOOTH = np.add.outer(np.arange(24) * 3, np.arange(32) * 2).astype(np.uint8)


def encoded(image, kind, **options):
    """An image, written by Pillow."""
    if not isinstance(image, Image.Image):
        image = Image.fromarray(image)
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def exif(orientation):
    data = Image.Exif()
    data[0x0112] = orientation
    return data


LOSSLESS = {"webp": {"lossless": True}}


def trained_as(images):
    """Levels of 8 bits as training sees them."""
    return images.astype(np.float32) / np.float32(255)


def read(data, image_shape=None, max_level=None):
    return decode_image(data, "x.png", image_shape, max_level)


def served(data, image_shape, max_level=None):
    images = decode_images(tf.constant([data]), image_shape, max_level)
    return images[0].numpy()


def as_read(data, max_level=None):
    """Values in [0, 1], and those of the graphs if they read such files."""
    image = read(data, max_level=max_level)
    values = image
    if image.dtype != np.float32:
        white = max_level or np.iinfo(image.dtype).max
        values = image.astype(np.float32) / white
    if data.startswith((b"\x89PNG", b"\xff\xd8")):
        graph = served(data, image.shape, max_level)
        np.testing.assert_array_equal(graph, values)
    return values


# Formats.


def png(*chunks):
    """A PNG file of given chunks."""
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body))
        + name
        + body
        + struct.pack(">I", zlib.crc32(name + body))
        for name, body in chunks
    )


# By hand, as Pillow writes none: one pixel is one pass.
INTERLACED = png(
    (b"IHDR", struct.pack(">IIBBBBB", 1, 1, 8, 0, 0, 0, 1)),
    (b"IDAT", zlib.compress(b"\x00\x33")),
    (b"IEND", b""),
)
STORED = {
    "png": (encoded(GRAY, "PNG"), GRAY / 255),
    "png, interlaced": (INTERLACED, np.array([[0.2]])),
    "png, colours": (encoded(COLOR, "PNG"), COLOR / 255),
    "png, 1 bit": (encoded(GRAY > 99, "PNG"), GRAY > 99),
    "png, 2 bits of grey": (
        encoded(Image.fromarray(GRAY // 64 * 85), "PNG", bits=2),
        GRAY // 64 * 85 / 255,
    ),
    "png, 16 bits": (encoded(DEEP, "PNG"), DEEP / 65_535),
    "png, 16 bits of colours": (
        tf.io.encode_png(np.dstack([DEEP, DEEP // 2, DEEP // 3])).numpy(),
        np.dstack([DEEP, DEEP // 2, DEEP // 3]) / 65_535,
    ),
    "png, opaque alpha": (
        encoded(Image.fromarray(COLOR).convert("RGBA"), "PNG"),
        COLOR / 255,
    ),
    "png, grey and opaque alpha": (
        encoded(Image.fromarray(GRAY).convert("LA"), "PNG"),
        GRAY / 255,
    ),
    "tiff": (encoded(GRAY, "TIFF"), GRAY / 255),
    "tiff, colours": (
        encoded(COLOR, "TIFF", compression="tiff_lzw"),
        COLOR / 255,
    ),
    "tiff, 1 bit": (encoded(GRAY > 99, "TIFF"), GRAY > 99),
    "tiff, 16 bits": (encoded(DEEP, "TIFF"), DEEP / 65_535),
    "tiff, 16 bits, zero is white": (
        encoded(DEEP, "TIFF").replace(
            struct.pack("<HHIH", 262, 3, 1, 1),
            struct.pack("<HHIH", 262, 3, 1, 0),
        ),
        1 - DEEP / 65_535,
    ),
    "tiff, floats": (
        encoded((DEEP / 65_535).astype("f4"), "TIFF"),
        DEEP / 65_535,
    ),
    "bmp": (encoded(COLOR, "BMP"), COLOR / 255),
    "bmp, grey": (encoded(GRAY, "BMP"), GRAY / 255),
    "bmp, 1 bit": (encoded(GRAY > 99, "BMP"), GRAY > 99),
    "gif": (encoded(GRAY, "GIF"), GRAY / 255),
    "webp": (encoded(COLOR, "WEBP", lossless=True), COLOR / 255),
    "pgm": (encoded(GRAY, "PPM"), GRAY / 255),
    "pgm, 16 bits": (encoded(DEEP, "PPM"), DEEP / 65_535),
    "pgm, 12 bits": (
        b"P5 7 5 4095\n" + (DEEP // 16).astype(">u2").tobytes(),
        DEEP // 16 / 4_095,
    ),
}


@pytest.mark.parametrize("name", STORED)
def test_pixels_are_the_same_in_every_format(name):
    data, expected = STORED[name]
    if expected.ndim == 2:
        expected = expected[..., None]
    np.testing.assert_allclose(as_read(data), expected, atol=1e-5)


@pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF", "GIF"])
def test_palettes_are_looked_up(kind):
    image = Image.fromarray(COLOR).quantize(5)
    np.testing.assert_array_equal(
        read(encoded(image, kind)), np.asarray(image.convert("RGB"))
    )


@pytest.mark.parametrize("options", [{}, {"progressive": True}])
@pytest.mark.parametrize("image", [SMOOTH, np.dstack([SMOOTH] * 3)])
def test_jpeg_is_read_within_its_losses(image, options):
    data = encoded(image, "JPEG", quality=100, **options)
    values = as_read(data)
    expected = image.reshape(values.shape) / 255
    np.testing.assert_allclose(values, expected, atol=2.5 / 255)


def test_cmyk_is_converted_without_a_profile():
    image = Image.fromarray(np.dstack([SMOOTH] * 3)).convert("CMYK")
    data = encoded(image, "JPEG", quality=100)
    np.testing.assert_allclose(
        as_read(data) * 255, np.asarray(image.convert("RGB")), atol=4
    )


def test_a_name_may_be_wrong(tmp_path):
    (tmp_path / "a.png").write_bytes(encoded(SMOOTH, "JPEG", quality=100))
    (tmp_path / "B.JPG").write_bytes(encoded(SMOOTH, "BMP"))
    (tmp_path / "c.TIF").write_bytes(encoded(SMOOTH, "PNG"))
    images = read_images(list_images(tmp_path)[0]).values
    for image in images:
        np.testing.assert_allclose(image[..., 0], SMOOTH, atol=2)


# Depth.


def test_a_camera_of_12_bits_has_its_own_white():
    data = encoded(DEEP // 16, "PNG")
    expected = (DEEP // 16)[..., None] / 4_095
    np.testing.assert_allclose(as_read(data, 4_095), expected, rtol=1e-6)
    for call in (read, served):
        with pytest.raises(Exception, match=r"levels .*1000"):
            call(data, (5, 7, 1), 1_000)
        with pytest.raises(Exception, match=r"levels .*4095"):
            call(encoded(GRAY, "PNG"), (5, 7, 1), 4_095)


@pytest.mark.parametrize("white", [15, 4_095])
@pytest.mark.parametrize("mark", [b"P2", b"P5"])
def test_levels_stand_in_the_file_if_white_is_given(white, mark):
    """Dark ones, too, of which a larger white would not be noticed."""
    levels = DEEP % ((white + 1) // 16)
    stored = levels.astype("u1" if white < 256 else ">u2").tobytes()
    if mark == b"P2":
        stored = " ".join(map(str, levels.ravel().tolist())).encode()
    data = mark + b" 7 5 %d\n" % white + stored
    expected = levels[..., None] / white
    np.testing.assert_allclose(as_read(data), expected, atol=1e-5)
    np.testing.assert_array_equal(read(data, None, white)[..., 0], levels)
    np.testing.assert_allclose(as_read(data, white), expected, rtol=1e-6)


def test_both_depths_of_a_picture_score_alike():
    deep = encoded(GRAY.astype(np.uint16) * 257, "PNG")
    np.testing.assert_array_equal(as_read(deep), as_read(encoded(GRAY, "PNG")))


def test_arrays_of_any_depth_are_scaled_by_their_white(tmp_path):
    path = str(tmp_path / "x.npy")
    for values, max_level, expected in [
        (DEEP, None, DEEP / 65_535),
        (DEEP // 16, 4_095, DEEP // 16 / 4_095),
        (GRAY // 16, 15, GRAY // 16 / 15),
        (GRAY.astype(np.int64), 255, GRAY / 255),
        (GRAY > 99, 1, GRAY > 99),
        (GRAY.astype(np.float64), 255, GRAY / 255),
        (DEEP.astype(np.int32) * 2, 2**17, DEEP / 2**16),
        # One rounding above 1, as after a division in single precision.
        (
            np.full((2, 2), np.nextafter(np.float32(1), 2)),
            None,
            np.ones((2, 2)),
        ),
    ]:
        np.save(path, values[None])
        files = paths.read_files(path, max_level=max_level)
        [batch] = files.select("x", np.arange(1)).batches(1).as_numpy_iterator()
        np.testing.assert_allclose(batch[0, ..., 0], expected, rtol=1e-6)
        assert batch.max() <= 1.0
        shape = batch.shape[1:]
        [scored] = open_stream(path, shape, 1, max_level=max_level).batches
        np.testing.assert_array_equal(scored.load(), batch)


def test_levels_of_16_bits_get_noise_of_their_own_width(tmp_path):
    np.save(tmp_path / "x.npy", np.full((4, 2, 2), 4_095, np.uint16))
    files = paths.read_files(str(tmp_path / "x.npy"), max_level=4_095)
    examples = files.select("x", np.arange(4))
    assert examples.num_levels == 4_096
    noisy = next(iter(examples.training_batches(4, seed=0))).numpy()
    assert 4_095 / 4_096 - 1e-6 <= noisy.min() < noisy.max() <= 1.0


# Orientation.


@pytest.mark.parametrize(
    ("kind", "orientation"),
    itertools.product(["JPEG", "PNG", "TIFF", "WEBP"], range(1, 9)),
)
def test_images_are_turned_as_they_are_seen(kind, orientation):
    options = {"exif": exif(orientation), "quality": 100}
    if kind == "TIFF":
        options = {"tiffinfo": {0x0112: orientation}}
    data = encoded(SMOOTH, kind, **options)
    with Image.open(io.BytesIO(data)) as stored:
        expected = np.asarray(ImageOps.exif_transpose(stored).convert("L"))
    image = read(data)[..., :1]
    np.testing.assert_allclose(image[..., 0], expected, atol=2)
    if kind in ("JPEG", "PNG"):
        np.testing.assert_array_equal(
            served(data, image.shape), image / np.float32(255)
        )


def test_orientation_is_found_in_both_byte_orders_and_behind_other_entries():
    for order, mark in (("<", b"II"), (">", b"MM")):
        entries = [(0x010F, 2, 4, 0), (0x0112, 3, 1, 6)]
        directory = struct.pack(f"{order}H", 2)
        for tag, kind, count, value in entries:
            directory += struct.pack(
                f"{order}HHIHH", tag, kind, count, value, 0
            )
        data = mark + struct.pack(f"{order}HI", 42, 8) + directory
        assert exif_orientation(data) == 6
        assert exif_orientation(data[:-12]) == 1
        # The same within a file, read by the graph.
        segment = b"Exif\0\0" + data
        marker = b"\xff\xe1" + struct.pack(">H", 2 + len(segment)) + segment
        jpeg = encoded(SMOOTH, "JPEG", quality=100)
        jpeg = jpeg[:2] + marker + jpeg[2:]
        assert read_header(jpeg).orientation == 6
        image = served(jpeg, (32, 24, 1))[..., 0] * 255
        np.testing.assert_allclose(image, np.rot90(SMOOTH, -1), atol=2)


# What is refused, by the readers and in the graphs alike.

TRANSPARENT = np.dstack([COLOR, GRAY])
REFUSED = {
    "transparent in places": (encoded(TRANSPARENT, "PNG"), "transparent in pl"),
    "one transparent colour": (
        encoded(COLOR, "PNG", transparency=(1, 2, 3)),
        "transparent colour; lay",
    ),
    "an animation": (
        encoded(
            COLOR,
            "PNG",
            save_all=True,
            append_images=[Image.fromarray(COLOR[::-1])],
        ),
        "holds an animation; save the frame",
    ),
    "half a file": (encoded(COLOR, "PNG")[:80], "damaged|IDAT|PNG"),
    "half a JPEG": (encoded(COLOR, "JPEG")[:-90], "damaged|JPEG"),
    "text": (b"hello", "not an image|not a PNG or JPEG"),
    "nothing": (b"", "is empty|not a PNG or JPEG"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_both_decoders_refuse_what_has_no_one_reading(name):
    data, message = REFUSED[name]
    with pytest.raises(ValueError, match=f"x.png .*({message})"):
        read(data, (5, 7, 3))
    with pytest.raises(tf.errors.InvalidArgumentError, match=message):
        served(data, (5, 7, 3))


def palette_of_8_bits():
    """As some programs write it, with levels that TIFF has 257-fold."""
    image = Image.fromarray(GRAY).convert("P")
    data = encoded(image, "TIFF")
    with Image.open(io.BytesIO(data)) as stored:
        levels = stored.tag_v2[320]
    right = struct.pack(f"<{len(levels)}H", *levels)
    wrong = struct.pack(f"<{len(levels)}H", *(x >> 8 for x in levels))
    assert right in data
    return data.replace(right, wrong)


DEEP_COLORS_OF_PPM = b"P6 1 1 65535\n" + bytes(6)
ONLY_FROM_FILES = {
    "two pages": (
        encoded(
            GRAY, "TIFF", save_all=True, append_images=[Image.fromarray(GRAY)]
        ),
        "holds 2 images; save the one that counts",
    ),
    "an animated GIF": (
        encoded(
            GRAY,
            "GIF",
            save_all=True,
            append_images=[Image.fromarray(GRAY[::-1])],
        ),
        "holds 2 images",
    ),
    "colours of 16 bits that Pillow cuts": (
        DEEP_COLORS_OF_PPM,
        "colours of 16 bits; save it as a 16-bit PNG",
    ),
    "levels of 8 bits above their white": (
        b"P5 7 5 100\n" + GRAY.tobytes(),
        f"levels up to {GRAY.max()}, above its own white of 100; write its tru",
    ),
    "levels of 16 bits above their white": (
        b"P5 7 5 4095\n" + DEEP.astype(">u2").tobytes(),
        f"levels up to {DEEP.max()}, above its own white of 4095",
    ),
    "colours above their white": (
        b"P6 7 5 100\n" + COLOR.tobytes(),
        f"levels up to {COLOR.max()}, above its own white of 100",
    ),
    "two images in text": (
        b"P2 1 1 9\n# P2\n3\nP2 1 1 9\n4\n",
        "several images",
    ),
    "levels in text above their white": (
        b"P2 2 1 100\n99 101\n",
        "too large for this mode: 101",
    ),
    "integers of 32 bits": (
        encoded(DEEP.astype(np.int32), "TIFF"),
        "Pillow calls I; convert it",
    ),
    "inks": (
        encoded(Image.fromarray(COLOR).convert("CMYK"), "TIFF"),
        "Pillow calls CMYK; convert it",
    ),
    "a palette of 8 bits in TIFF": (
        palette_of_8_bits(),
        "palette of levels up to 255 of 65535, as if they were of 8 bits",
    ),
    "half a TIFF": (encoded(GRAY, "TIFF")[:60], "is damaged"),
    "floats beyond 1": (
        encoded(GRAY.astype(np.float32), "TIFF"),
        r"float images in \[0, 1\], received .*; scale them, or set max_level",
    ),
}


@pytest.mark.parametrize("name", ONLY_FROM_FILES)
def test_pillow_s_files_are_refused_where_pixels_would_be_lost(name):
    data, message = ONLY_FROM_FILES[name]
    with pytest.raises(ValueError, match=f"x.png.*{message}") as caught:
        read(data)
    assert "\n" not in str(caught.value)


# All formats at once.


@hypothesis.settings(
    derandomize=True, deadline=None, max_examples=3, database=None
)
@hypothesis.given(
    shape=st.tuples(
        st.integers(1, 9), st.integers(1, 9), st.sampled_from([1, 3])
    ),
    seed=st.integers(0, 99),
)
def test_random_pixels_are_the_same_in_training_and_scoring(shape, seed):
    rng = np.random.default_rng(seed)
    images = rng.integers(0, 256, (2, *shape), np.uint8)
    pictures = images[..., 0] if shape[-1] == 1 else images
    deep = images.astype(np.uint16) * 257
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        for kind in ("png", "tiff", "bmp", "webp"):
            (folder / kind).mkdir()
            for number, picture in enumerate(pictures):
                image = Image.fromarray(picture)
                if kind == "webp":
                    image = image.convert("RGB")
                data = encoded(image, kind, **LOSSLESS.get(kind, {}))
                (folder / kind / f"{number}.{kind}").write_bytes(data)
        (folder / "deep").mkdir()
        for number, image in enumerate(deep):
            data = tf.io.encode_png(image).numpy()
            (folder / "deep" / f"{number}.png").write_bytes(data)
        np.save(folder / "a.npy", images)
        np.save(folder / "deep.npy", deep)
        np.save(folder / "floats.npy", images / 255)
        with h5py.File(folder / "a.h5", "w") as file:
            file["x"] = images
        for title, values in (("a", images), ("deep", deep)):
            write_tfrecord(
                folder / f"{title}.tfrecord",
                [{"x": tf.io.encode_png(image).numpy()} for image in values],
            )
        for path in sorted(folder.iterdir()):
            if path.name == "webp" and shape[-1] == 1:
                continue
            files = paths.read_files(str(path))
            split = files.select("all", np.arange(2))
            [trained] = split.batches(2).as_numpy_iterator()
            np.testing.assert_allclose(
                trained, images / 255, atol=1e-6, err_msg=path.name
            )
            [batch] = open_stream(str(path), shape, 2).batches
            np.testing.assert_array_equal(batch.load(), trained, path.name)
        for name in ("png", "deep"):
            data = [f.read_bytes() for f in sorted((folder / name).iterdir())]
            np.testing.assert_array_equal(
                decode_images(tf.constant(data), shape), trained_as(images)
            )


# Folders.


def test_streams_read_what_the_memory_holds(tmp_path):
    (tmp_path / "a.jpg").write_bytes(
        encoded(SMOOTH, "JPEG", exif=exif(6), quality=90)
    )
    (tmp_path / "b.png").write_bytes(encoded(SMOOTH.T, "PNG"))
    (tmp_path / "c.tif").write_bytes(encoded(SMOOTH.T, "TIFF"))
    files, _ = list_images(tmp_path)
    shape, dtype, values = read_images(files, (8, 6, 1))
    streamed = list(stream_images(files, shape, dtype).as_numpy_iterator())
    np.testing.assert_array_equal(streamed, values)
    assert dtype == np.uint8


def test_files_of_desktops_are_no_data(tmp_path):
    (tmp_path / "a.png").write_bytes(encoded(GRAY, "PNG"))
    for name in ("Thumbs.db", "desktop.ini", ".DS_Store"):
        (tmp_path / name).write_bytes(b"x")
    (tmp_path / "__MACOSX").mkdir()
    (tmp_path / "__MACOSX" / "x.txt").write_bytes(b"x")
    assert [file.name for file in list_images(tmp_path)[0]] == ["a.png"]


@pytest.mark.parametrize(
    "mask", ["ground_truth/cut/000_mask.png", "good/000_mask.png"]
)
def test_masks_are_no_images(mask, tmp_path):
    for name in ("good/000.png", mask):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(encoded(GRAY, "PNG"))
    with pytest.raises(ValueError, match=r"000_mask\.png looks like a mask"):
        list_images(tmp_path)


def test_names_that_end_like_masks_may_be_images(tmp_path):
    for name in ("with_mask/000_mask.png", "without_mask/000.png", "_mask.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(encoded(GRAY, "PNG"))
    assert len(list_images(tmp_path)[0]) == 3


def test_dark_levels_are_warned_of(tmp_path):
    (tmp_path / "a.png").write_bytes(encoded(GRAY // 16, "PNG"))
    files, _ = list_images(tmp_path)
    with pytest.warns(UserWarning, match=r"level is 15 of 255.*set max_level"):
        read_images(files)
    assert read_images(files, max_level=15).values.max() == 15
