"""Images as files: what a server refuses, and what it does to their batch."""

import struct
import zlib

import numpy as np
import pytest
import tensorflow as tf
from data_files import write_png
from tiny_models import image_networks

from nae_tf import Autoencoder, Calibration, ExportedModel, export_model
from nae_tf.data import Schema, user_data
from nae_tf.data.readers.stream import open_stream
from nae_tf.serving.encoded_images import decode_images, decode_images_apart


def claimed_png(height, width):
    """The beginning of a PNG file that claims a size."""
    return b"\x89PNG\r\n\x1a\n" + struct.pack(
        ">I4sII", 13, b"IHDR", width, height
    )


def claimed_jpeg(height, width):
    """A small JPEG file that claims another size."""
    data = tf.io.encode_jpeg(np.zeros((20, 20, 1), np.uint8)).numpy()
    size = data.index(b"\xff\xc0") + 5
    return data[:size] + struct.pack(">HH", height, width) + data[size + 4 :]


@pytest.mark.parametrize(
    ("claimed", "height", "width"),
    [
        (claimed_jpeg, 4097, 4096),
        (claimed_png, 4097, 4096),
        (claimed_png, 1, 2**24 + 1),
        (claimed_png, 257, 2**16),
        (claimed_png, 0, 5),
    ],
)
def test_an_image_is_refused_for_the_size_that_its_header_claims(
    claimed, height, width
):
    with pytest.raises(
        tf.errors.InvalidArgumentError,
        match=rf"height and width\W+{height}\W+{width}\b",
    ):
        decode_images(tf.constant([claimed(height, width)]), (4, 4, 1))


def half_a_jpeg():
    data = tf.io.encode_jpeg(np.zeros((20, 20, 1), np.uint8)).numpy()
    return data[: len(data) // 2]


def png(*shape):
    return tf.io.encode_png(np.full(shape, 51, np.uint8)).numpy()


def hidden_bomb():
    """An image of 20 million pixels; a chunk before its header says one."""
    data = png(5000, 4000, 1)
    body = b"teSt" + struct.pack(">II", 1, 1)
    chunk = struct.pack(">I", 8) + body + struct.pack(">I", zlib.crc32(body))
    return data[:8] + chunk + data[8:]


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (half_a_jpeg, "Invalid JPEG data"),
        (lambda: b"GIF89a" + bytes(40), "not a PNG or JPEG image"),
        (lambda: png(5000, 4000, 1), r"1 \.\.\. 16777216 pixels"),
        (hidden_bomb, "not a PNG or JPEG image"),
        (lambda: png(9, 9, 3), "1 channels, received"),
        (lambda: png(9, 9, 1)[:-20], "PNG"),
        (bytes, "not a PNG or JPEG image"),
    ],
)
def test_a_bad_file_does_not_spoil_the_files_joined_with_it(bad, message):
    shape = (4, 5, 1)
    files = tf.constant([png(*shape), bad(), png(*shape)])
    with pytest.raises(tf.errors.InvalidArgumentError, match=message):
        decode_images(files, shape)
    images, is_image = decode_images_apart(files, shape)
    assert is_image.numpy().tolist() == [True, False, True]
    np.testing.assert_allclose(images[::2], np.full((2, *shape), 0.2))


def test_the_largest_image_is_decoded():
    data = tf.io.encode_png(np.full((4096, 4096, 1), 7, np.uint8))
    image = decode_images(data[None], (1, 1, 1))
    assert image.numpy().ravel() == [np.float32(7 / 255)]


def test_an_export_knows_the_white_of_its_training_images(tmp_path):
    """Images of 12 bits, in training, from the command and from the server."""
    folder = tmp_path / "good"
    levels = np.random.default_rng(0).integers(0, 4_096, (10, 12, 12, 1))
    for number, image in enumerate(levels.astype(np.uint16)):
        write_png(folder / f"{number}.png", image)
    task = user_data(str(folder), max_level=4_095)
    model = Autoencoder(*image_networks())
    path = export_model(
        model,
        Calibration(np.linspace(0, 1, 20)),
        tmp_path / "export",
        schema=Schema.of_task(task),
    )
    exported = ExportedModel(path)
    stream = open_stream(
        str(folder), (12, 12, 1), 16, max_level=exported.schema.max_level
    )
    [batch] = stream.batches
    served = tf.saved_model.load(str(path)).signatures["score_encoded_image"]
    files = [(folder / f"{number}.png").read_bytes() for number in range(10)]
    expected = model.predict_outlier_score((levels / 4_095).astype(np.float32))
    for outputs in (
        exported.score(batch.load()),
        served(image_bytes=tf.constant(files)),
    ):
        np.testing.assert_allclose(outputs["energy"], expected, rtol=1e-4)


def test_levels_that_are_no_files_say_nothing_about_files():
    assert Schema((8, 8, 1), num_levels=17).max_level is None
    for num_levels, white in ((17, 16), (256, None), (65_536, None)):
        schema = Schema((8, 8, 1), num_levels, files={"photos": 3})
        assert schema.max_level == white
