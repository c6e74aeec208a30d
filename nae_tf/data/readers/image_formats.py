"""Size and channels of image files, by their headers."""

import pathlib
from collections.abc import Sequence
from typing import NamedTuple

import PIL.Image

from nae_tf.data.image_headers import ORIENTATION_TAG
from nae_tf.data.readers.images import read_image

_GREY = ("1", "L", "LA", "F", "I")
_COLOUR = ("RGB", "RGBA", "CMYK", "YCbCr")


class ImageFormat(NamedTuple):
    """What an image is before it is resized.

    Attributes:
        height: number of rows, upright.
        width: number of columns, upright.
        channels: 1 for grey, 3 for colours.
    """

    height: int
    width: int
    channels: int


def image_format(path: pathlib.Path) -> ImageFormat:
    """Return size and channels of an image, by its header where that tells.

    Args:
        path: path of the image.

    Raises:
        ValueError: if it is damaged, as `read_image` says.
    """
    try:
        with PIL.Image.open(path) as image:
            mode, (width, height) = image.mode, image.size
            orientation = image.getexif().get(ORIENTATION_TAG, 1)
    except Exception:  # Whatever it is, the reader says it in one line.
        mode = ""
    mode = "I" if mode.startswith("I;") else mode  # 16 bits.
    if mode not in (*_GREY, *_COLOUR):  # As palettes.
        return ImageFormat(*read_image(path).shape)
    if orientation in (5, 6, 7, 8):
        height, width = width, height
    return ImageFormat(height, width, 1 if mode in _GREY else 3)


def sizes_text(formats: Sequence[ImageFormat]) -> str:
    """Say the sizes of images, such as "900x900" or "60x80 to 600x800".

    Args:
        formats: formats of one image or more.
    """
    ordered = sorted(
        {some[:2] for some in formats}, key=lambda size: size[0] * size[1]
    )
    ends = dict.fromkeys([ordered[0], ordered[-1]])
    return " to ".join(f"{height}x{width}" for height, width in ends)
