#!/usr/bin/env bash
# Pillow: colours of 16 bits in TIFF and PPM files, and TIFF files whose zero is
# white.
#
# Guess: a library that reads grey images of 16 bits at full depth either does so
# for colours, or refuses them; and a TIFF file of 16 bits with WhiteIsZero is
# inverted as one of 8 bits is.
#
# Seen with Pillow 13.0.0 (Python 3.11): 16-bit colours of TIFF, PPM and PNG open
# as RGB of 8 bits, the lower bits cut off, without a word. Of two TIFF files with
# WhiteIsZero, the one of 8 bits is inverted and the one of 16 bits is not. Depth
# has to be looked up in the file (tag 258, the arguments of the PPM tile), and
# the inversion done by hand. Output at the end of this file.
#
# Ends with 0 if the behaviour is the same, else with 1.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet "pillow==13.0.0"
cat >"$folder/try.py" <<'PYTHON'
import io
import struct
import sys

import PIL
from PIL import Image


def tiff(bits, samples, photometric, pixels):
    """A TIFF file of one row, by hand."""
    width = len(pixels) * 8 // bits // samples
    start = 8 + 2 + 10 * 12 + 4
    sizes = struct.pack("<" + "H" * samples, *[bits] * samples)
    values = {
        256: (4, 1, width),
        257: (4, 1, 1),
        258: (3, samples, start if samples > 2 else bits),
        259: (3, 1, 1),
        262: (3, 1, photometric),
        273: (4, 1, start + len(sizes)),
        277: (3, 1, samples),
        278: (4, 1, 1),
        279: (4, 1, len(pixels)),
        284: (3, 1, 1),
    }
    entries = b"".join(
        struct.pack("<HHII", tag, *value) for tag, value in values.items()
    )
    head = b"II*\0" + struct.pack("<IH", 8, len(values))
    return head + entries + struct.pack("<I", 0) + sizes + pixels


def opened(data):
    image = Image.open(io.BytesIO(data))
    return image.mode, image.getpixel((0, 0))


color = struct.pack("<HHH", 0x1234, 0x5678, 0x9ABC)
ppm = b"P6 1 1 65535\n" + struct.pack(">HHH", 0x1234, 0x5678, 0x9ABC)
found = {
    "TIFF, colours of 16 bits": opened(tiff(16, 3, 2, color)),
    "PPM, colours of 16 bits": opened(ppm),
    "TIFF, grey of 8 bits, zero is white": opened(tiff(8, 1, 0, b"\x01")),
    "TIFF, grey of 16 bits, zero is white": opened(tiff(16, 1, 0, b"\x01\0")),
}
for name, outcome in found.items():
    print(f"{name}: {outcome[0]} {outcome[1]}")
print(f"Pillow {PIL.__version__}")
expected = {
    "TIFF, colours of 16 bits": ("RGB", (18, 86, 154)),
    "PPM, colours of 16 bits": ("RGB", (18, 86, 154)),
    "TIFF, grey of 8 bits, zero is white": ("L", 254),
    "TIFF, grey of 16 bits, zero is white": ("I;16", 1),
}
sys.exit(found != expected)
PYTHON
"$folder/venv/bin/python" "$folder/try.py"

# TIFF, colours of 16 bits: RGB (18, 86, 154)
# PPM, colours of 16 bits: RGB (18, 86, 154)
# TIFF, grey of 8 bits, zero is white: L 254
# TIFF, grey of 16 bits, zero is white: I;16 1
# Pillow 13.0.0
