"""What the first bytes of a PNG or JPEG file say about its image.

Reading them is cheap, so that no file is decoded to find out how to decode it.
`serving.encoded_images` reads the same fields inside a graph.
"""

import struct
from collections.abc import Iterator
from typing import NamedTuple

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
JPEG_SIGNATURE = b"\xff\xd8\xff"
EXIF_SIGNATURE = b"Exif\x00\x00"
EXIF_SEGMENT = 0xE1
START_OF_SCAN = 0xDA
# Beginnings of a frame, but for tables (C4, CC) and an extension (C8).
START_OF_FRAME = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
# Baseline, extended and progressive, by Huffman's code or an arithmetic one.
DECODED_FRAMES = (0xC0, 0xC1, 0xC2, 0xC9, 0xCA)
ORIENTATION_TAG = 0x0112
SHORT = 3
# Types of PNG images whose transparency, if any, is one colour.
OPAQUE_PNG_TYPES = (0, 2)

ANIMATED = "holds an animation; save the frame that counts as an image"
UNUSUAL_JPEG = (
    "is a JPEG file of a kind that is not read: of 12 bits, lossless or "
    "hierarchical; save it as PNG"
)
TRANSPARENT_COLOR = "has a transparent colour; lay the image on a background"


class ImageHeader(NamedTuple):
    """What is known of an image before it is decoded.

    Attributes:
        height: number of rows as stored, before it is turned upright.
        width: number of columns as stored.
        depth: bits of a channel as decoded, 8 or 16.
        orientation: 1 ... 8 of EXIF; 1 if the file says nothing.
        fault: why the image is not read, or None.
    """

    height: int
    width: int
    depth: int
    orientation: int = 1
    fault: str | None = None


def read_header(encoded: bytes) -> ImageHeader | None:
    """Read the header of a PNG or JPEG file.

    Args:
        encoded: contents of the file.

    Returns:
        Its header, or None if the file is of another kind or damaged.
    """
    try:
        if encoded.startswith(PNG_SIGNATURE):
            return _png_header(encoded)
        if encoded.startswith(JPEG_SIGNATURE):
            return _jpeg_header(encoded)
    except struct.error:  # The file ends within its header.
        pass
    return None


def _png_header(encoded):
    chunks = _png_chunks(encoded)
    name, start, _ = next(chunks, (b"", 0, 0))
    if name != b"IHDR":
        return None
    width, height, depth, kind = struct.unpack_from(">IIBB", encoded, start)
    exif, fault = None, None
    for name, start, length in chunks:
        if name == b"eXIf" and exif is None:
            exif = encoded[start : start + length]
        elif name == b"acTL":
            fault = ANIMATED
        elif name == b"tRNS" and kind in OPAQUE_PNG_TYPES:
            fault = TRANSPARENT_COLOR
    bits = 16 if depth == 16 else 8
    return ImageHeader(
        height, width, bits, exif_orientation(exif or b""), fault
    )


def _png_chunks(encoded) -> Iterator[tuple[bytes, int, int]]:
    """Yield name, start and length of the contents of all chunks."""
    start = len(PNG_SIGNATURE)
    while start + 8 <= len(encoded):
        length, name = struct.unpack_from(">I4s", encoded, start)
        yield name, start + 8, length
        start += 12 + length


def _jpeg_header(encoded):
    exif = None
    start = 2
    while start + 4 <= len(encoded) and encoded[start] == 0xFF:
        kind = encoded[start + 1]
        if kind == 0xFF:  # Markers may be filled up.
            start += 1
            continue
        (length,) = struct.unpack_from(">H", encoded, start + 2)
        content = start + 4
        if kind in START_OF_FRAME:
            bits, height, width = struct.unpack_from(">BHH", encoded, content)
            fault = None
            if bits != 8 or kind not in DECODED_FRAMES:
                fault = UNUSUAL_JPEG
            return ImageHeader(
                height, width, 8, exif_orientation(exif or b""), fault
            )
        if kind == START_OF_SCAN:
            return None
        is_exif = encoded.startswith(EXIF_SIGNATURE, content)
        if kind == EXIF_SEGMENT and is_exif and exif is None:
            exif = encoded[content + len(EXIF_SIGNATURE) : start + 2 + length]
        start += 2 + length
    return None


def exif_orientation(exif: bytes) -> int:
    """Read the orientation of an image from its EXIF data.

    Args:
        exif: a TIFF header and its directories.

    Returns:
        1 ... 8, as in the standard: 1 is upright, 6 has to be turned clockwise
        by a quarter. 1 also where nothing valid is said.
    """
    order = {b"II": "<", b"MM": ">"}.get(exif[:2])
    if order is None:
        return 1
    try:
        (start,) = struct.unpack_from(f"{order}I", exif, 4)
        (count,) = struct.unpack_from(f"{order}H", exif, start)
        for number in range(count):
            tag, kind, _, value = struct.unpack_from(
                f"{order}HHIH", exif, start + 2 + 12 * number
            )
            if tag == ORIENTATION_TAG:
                return value if kind == SHORT and 1 <= value <= 8 else 1
    except struct.error:  # The directory leads out of the data.
        pass
    return 1
