"""Images as files: what is refused for its size before it is decoded."""

import struct

import numpy as np
import pytest
import tensorflow as tf

from nae_tf.serving.encoded_images import decode_images


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


def test_the_largest_image_is_decoded():
    data = tf.io.encode_png(np.full((4096, 4096, 1), 7, np.uint8))
    image = decode_images(data[None], (1, 1, 1))
    assert image.numpy().ravel() == [np.float32(7 / 255)]
