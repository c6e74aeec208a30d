#!/usr/bin/env bash
# TensorFlow: tf.io.decode_image of BMP files with a palette.
#
# Guess: decode_image looks the colours up in the palette, as it does for PNG and
# GIF files; or it refuses a BMP file with a palette.
#
# Seen with TensorFlow 2.21.0 (Pillow 13.0.0, Python 3.11): of a BMP file of 8
# bits the indices into the palette come back as grey levels, and with channels=3
# as three equal channels. Red, green and blue are 0, 1 and 2: a black image, and
# a valid one by dtype and shape. Pillow reads the colours. Output at the end of
# this file.
#
# Ends with 0 if the behaviour is the same, else with 1.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet "pillow==13.0.0" "tensorflow==2.21.0"
cat >"$folder/try.py" <<'PYTHON'
import io
import sys

import numpy as np
import PIL
import tensorflow as tf
from PIL import Image

colors = [[255, 0, 0], [0, 255, 0], [0, 0, 255]]
image = Image.new("P", (3, 1))
image.putpalette(np.ravel(colors).tolist())
image.putdata([0, 1, 2])
found = {}
for kind in ("PNG", "GIF", "BMP"):
    file = io.BytesIO()
    image.save(file, kind)
    with Image.open(file) as read:
        found[kind, "Pillow"] = np.asarray(read.convert("RGB"))[0].tolist()
    for channels in (0, 3):
        decoded = tf.io.decode_image(
            file.getvalue(), channels=channels, expand_animations=False
        )
        found[kind, channels] = decoded.numpy()[0].tolist()
for (kind, reader), pixels in found.items():
    name = reader if reader == "Pillow" else f"decode_image, channels={reader}"
    print(f"{kind}, {name}: {pixels}")
print(f"TensorFlow {tf.__version__}, Pillow {PIL.__version__}")
expected = dict.fromkeys(found, colors) | {
    ("BMP", 0): [[0], [1], [2]],
    ("BMP", 3): [[0, 0, 0], [1, 1, 1], [2, 2, 2]],
}
sys.exit(found != expected)
PYTHON
TF_CPP_MIN_LOG_LEVEL=3 "$folder/venv/bin/python" "$folder/try.py" 2>/dev/null

# PNG, Pillow: [[255, 0, 0], [0, 255, 0], [0, 0, 255]]
# PNG, decode_image, channels=0: [[255, 0, 0], [0, 255, 0], [0, 0, 255]]
# PNG, decode_image, channels=3: [[255, 0, 0], [0, 255, 0], [0, 0, 255]]
# GIF, Pillow: [[255, 0, 0], [0, 255, 0], [0, 0, 255]]
# GIF, decode_image, channels=0: [[255, 0, 0], [0, 255, 0], [0, 0, 255]]
# GIF, decode_image, channels=3: [[255, 0, 0], [0, 255, 0], [0, 0, 255]]
# BMP, Pillow: [[255, 0, 0], [0, 255, 0], [0, 0, 255]]
# BMP, decode_image, channels=0: [[0], [1], [2]]
# BMP, decode_image, channels=3: [[0, 0, 0], [1, 1, 1], [2, 2, 2]]
# TensorFlow 2.21.0, Pillow 13.0.0
