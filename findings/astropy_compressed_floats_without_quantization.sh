#!/usr/bin/env bash
# astropy: a compressed float image without quantization.
#
# Guess: quantize_level=0 turns the lossy quantization of CompImageHDU off, so
# the pixels come back as they were; or, where the algorithm packs integers only,
# it refuses floats.
#
# Seen with astropy 8.0.2 (NumPy 2.4.6, Python 3.11): with the default algorithm
# (RICE_1) and with HCOMPRESS_1 the pixels are cut to whole numbers, so an image
# in [0, 1) comes back as zeros, of dtype float32 and without a warning. GZIP_1
# and GZIP_2 keep every bit. Output at the end of this file.
#
# Ends with 0 if the behaviour is the same, else with 1.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet "astropy==8.0.2" "numpy==2.4.6"
cat >"$folder/try.py" <<'PYTHON'
import io
import sys
import warnings

import astropy
import numpy as np
from astropy.io import fits

warnings.simplefilter("error")
image = np.random.default_rng(0).random((16, 16), np.float32)
image[0, 0] = 3.7


def returned(**settings):
    file = io.BytesIO()
    compressed = fits.CompImageHDU(image, quantize_level=0, **settings)
    fits.HDUList([fits.PrimaryHDU(), compressed]).writeto(file)
    with fits.open(io.BytesIO(file.getvalue())) as hdus:
        return np.array(hdus[1].data)


def outcome(pixels):
    if np.array_equal(pixels, image):
        return "the same"
    return "cut" if np.array_equal(pixels, np.trunc(image)) else "other"


found = {"the default": returned()} | {
    name: returned(compression_type=name)
    for name in ("RICE_1", "HCOMPRESS_1", "GZIP_1", "GZIP_2")
}
for name, pixels in found.items():
    print(f"{name}: {outcome(pixels)}, {pixels.dtype.name}, "
          f"{image[0, :3].round(2)} -> {pixels[0, :3].round(2)}")
print("astropy", astropy.__version__)
outcomes = [outcome(pixels) for pixels in found.values()]
sys.exit(outcomes != ["cut", "cut", "cut", "the same", "the same"])
PYTHON
"$folder/venv/bin/python" "$folder/try.py"

# the default: cut, float32, [3.7  0.64 0.51] -> [3. 0. 0.]
# RICE_1: cut, float32, [3.7  0.64 0.51] -> [3. 0. 0.]
# HCOMPRESS_1: cut, float32, [3.7  0.64 0.51] -> [3. 0. 0.]
# GZIP_1: the same, float32, [3.7  0.64 0.51] -> [3.7  0.64 0.51]
# GZIP_2: the same, float32, [3.7  0.64 0.51] -> [3.7  0.64 0.51]
# astropy 8.0.2
