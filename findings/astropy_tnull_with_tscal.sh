#!/usr/bin/env bash
# astropy: missing values of a scaled integer column in FITS.
#
# Guess: TNULL is the stored integer that stands for a missing value, as the FITS
# standard says, so Table.read masks the rows that store it, scaled or not.
#
# Seen with astropy 8.0.2 (NumPy 2.4.6, Python 3.11): without TSCAL and TZERO that
# is so. With them TNULL is compared with the scaled values. The row that stores
# the null becomes an ordinary number, and a good row whose scaled value equals
# TNULL is masked. No warning. A reader has to find the null in the stored
# integers by itself. Output at the end of this file.
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
from astropy.table import Table

warnings.simplefilter("error")
stored = np.array([1, 2, -99, 4, -218], np.int16)


def read(**keywords):
    """The column as Table.read gives it, None where it is masked."""
    column = fits.Column(name="x", format="I", array=stored)
    table = fits.BinTableHDU.from_columns([column])
    table.header.update(keywords)
    file = io.BytesIO()
    fits.HDUList([fits.PrimaryHDU(), table]).writeto(file)
    data = io.BytesIO(file.getvalue())
    return Table.read(data, format="fits", hdu=1)["x"].tolist()


found = read(TNULL1=-99), read(TNULL1=-99, TSCAL1=0.5, TZERO1=10.0)
print("stored:", stored.tolist())
print("TNULL -99:", found[0])
print("TNULL -99, TSCAL 0.5, TZERO 10:", found[1])
print("astropy", astropy.__version__)
expected = [1, 2, None, 4, -218], [10.5, 11.0, -39.5, 12.0, None]
sys.exit(found != expected)
PYTHON
"$folder/venv/bin/python" "$folder/try.py"

# stored: [1, 2, -99, 4, -218]
# TNULL -99: [1, 2, None, 4, -218]
# TNULL -99, TSCAL 0.5, TZERO 10: [10.5, 11.0, -39.5, 12.0, None]
# astropy 8.0.2
