#!/usr/bin/env bash
# Pillow: TIFF files with bands beside the colours, such as near infrared.
#
# Guess: Pillow has no mode for red, green, blue and infrared, so Image.open
# refuses such a file, or it gives all bands, as it does with alpha.
#
# Seen with Pillow 13.0.0 (NumPy 2.4.6, Python 3.11): bands that ExtraSamples calls
# unspecified are left out without a warning. Four to six bands become RGB, two
# become L. Nothing but the tag SamplesPerPixel tells that there were more. Three
# bands of grey are refused. Output at the end of this file.
#
# Ends with 0 if the behaviour is the same, else with 1.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet "pillow==13.0.0" "numpy==2.4.6"
cat >"$folder/try.py" <<'PYTHON'
import io
import struct
import sys
import warnings

import numpy as np
import PIL
from PIL import Image

warnings.simplefilter("error")
GREY, RGB = 1, 2
UNSPECIFIED, ALPHA = 0, 2


def tiff(pixels, photometric, extra):
    """An uncompressed TIFF file of 8 bits, [height, width, bands]."""
    height, width, bands = pixels.shape
    tags = [
        (256, [width]),
        (257, [height]),
        (258, [8] * bands),
        (259, [1]),
        (262, [photometric]),
        (273, [8]),  # Pixels come right after the header.
        (277, [bands]),
        (278, [height]),
        (279, [pixels.size]),
        (338, extra),
    ]
    start = 8 + pixels.size
    beyond = start + 2 + 12 * len(tags) + 4
    directory, rest = struct.pack("<H", len(tags)), b""
    for tag, values in tags:
        stored = struct.pack(f"<{len(values)}H", *values)
        if len(stored) > 4:
            rest += stored
            stored = struct.pack("<I", beyond + len(rest) - len(stored))
        directory += struct.pack("<HHI", tag, 3, len(values))
        directory += stored.ljust(4, b"\0")
    header = b"II*\0" + struct.pack("<I", start)
    return header + pixels.tobytes() + directory + bytes(4) + rest


def opened(bands, photometric, extra):
    pixels = np.arange(4 * bands, dtype=np.uint8).reshape(2, 2, bands)
    try:
        image = Image.open(io.BytesIO(tiff(pixels, photometric, extra)))
    except PIL.UnidentifiedImageError:
        return "refused"
    first = np.ravel(np.asarray(image)[0, 0]).tolist()
    return f"{image.mode}, first pixel {first} of {pixels[0, 0].tolist()}"


cases = {
    "RGB and alpha": (4, RGB, [ALPHA]),
    "RGB and one more": (4, RGB, [UNSPECIFIED]),
    "RGB and three more": (6, RGB, [UNSPECIFIED] * 3),
    "grey and alpha": (2, GREY, [ALPHA]),
    "grey and one more": (2, GREY, [UNSPECIFIED]),
    "grey and two more": (3, GREY, [UNSPECIFIED] * 2),
}
found = {name: opened(*case) for name, case in cases.items()}
for name, what in found.items():
    print(f"{name}: {what}")
print(f"Pillow {PIL.__version__}, NumPy {np.__version__}")
expected = [
    "RGBA, first pixel [0, 1, 2, 3] of [0, 1, 2, 3]",
    "RGB, first pixel [0, 1, 2] of [0, 1, 2, 3]",
    "RGB, first pixel [0, 1, 2] of [0, 1, 2, 3, 4, 5]",
    "LA, first pixel [0, 1] of [0, 1]",
    "L, first pixel [0] of [0, 1]",
    "refused",
]
sys.exit(list(found.values()) != expected)
PYTHON
"$folder/venv/bin/python" "$folder/try.py"

# RGB and alpha: RGBA, first pixel [0, 1, 2, 3] of [0, 1, 2, 3]
# RGB and one more: RGB, first pixel [0, 1, 2] of [0, 1, 2, 3]
# RGB and three more: RGB, first pixel [0, 1, 2] of [0, 1, 2, 3, 4, 5]
# grey and alpha: LA, first pixel [0, 1] of [0, 1]
# grey and one more: L, first pixel [0] of [0, 1]
# grey and two more: refused
# Pillow 13.0.0, NumPy 2.4.6
