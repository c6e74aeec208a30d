#!/usr/bin/env bash
# astropy: which blank pixels (BLANK) of a FITS image become NaN.
#
# Guess: pixels that equal BLANK, a stored integer, are read as NaN, whatever that
# integer is and whether or not BZERO makes the image unsigned; then looking for NaN
# finds every pixel without a value.
#
# Seen with astropy 8.0.2 and NumPy 2.3.5 (Python 3.11, Linux): a BLANK of 9 becomes
# NaN; one of 0 makes the image floats but stays 0.0; in images of unsigned 16 or 32
# bits it stays a number (0 for the BLANK of -32768 that many write), with no warning.
# The same in compressed images. Compare the integers as stored with BLANK
# (do_not_scale_image_data=True). Output at the end of this file.
#
# Ends with 0 if the behaviour is the same, else with 1.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/environment"
"$folder/environment/bin/pip" install --quiet "astropy==8.0.2" "numpy==2.3.5"
cat >"$folder/try.py" <<'PYTHON'
import io
import sys

import numpy as np
from astropy.io import fits


def read(kind, dtype, blank):
    unit = kind(np.array([[0, 9, 40]], dtype))
    unit.header["BLANK"] = blank
    file = io.BytesIO()
    fits.HDUList([fits.PrimaryHDU(), unit]).writeto(file)
    with fits.open(io.BytesIO(file.getvalue())) as units:
        return units[1].data.tolist()[0]


seen = []
for kind in (fits.ImageHDU, fits.CompImageHDU):
    for dtype, blank in [("i2", 9), ("i2", 0), ("u2", -32768), ("u2", -32759)]:
        values = read(kind, dtype, blank)
        seen.append(str(values))
        print(f"{kind.__name__}, {dtype}, BLANK {blank}: {values}")
expected = ["[0.0, nan, 40.0]", "[0.0, 9.0, 40.0]", "[0, 9, 40]", "[0, 9, 40]"]
sys.exit(seen != expected * 2)
PYTHON
"$folder/environment/bin/python" -W error "$folder/try.py"

# ImageHDU, i2, BLANK 9: [0.0, nan, 40.0]
# ImageHDU, i2, BLANK 0: [0.0, 9.0, 40.0]
# ImageHDU, u2, BLANK -32768: [0, 9, 40]
# ImageHDU, u2, BLANK -32759: [0, 9, 40]
# CompImageHDU, i2, BLANK 9: [0.0, nan, 40.0]
# CompImageHDU, i2, BLANK 0: [0.0, 9.0, 40.0]
# CompImageHDU, u2, BLANK -32768: [0, 9, 40]
# CompImageHDU, u2, BLANK -32759: [0, 9, 40]
