#!/usr/bin/env bash
# SciPy: loadmat(mat_dtype=True) and complex arrays.
#
# Guess: MATLAB stores an array of doubles that happen to be whole numbers as
# bytes, and mat_dtype=True "return[s] arrays in same dtype as would be loaded
# into MATLAB", so it is the right way to read every numeric array.
#
# Seen with SciPy 1.17.1 (NumPy 2.4.6, Python 3.11): without it such an array is
# uint8, in which arithmetic wraps around. With it the array is float64, but a
# complex array loses its imaginary part, with no more than a ComplexWarning from
# inside SciPy. Neither setting is right for both; a reader takes the default and
# looks at the class of the array, or reads twice. Output at the end of this file.
#
# Ends with 0 if the behaviour is the same, else with 1.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet "numpy==2.4.6" "scipy==1.17.1"
cat >"$folder/try.py" <<'PYTHON'
import io
import struct
import sys
import warnings

import numpy as np
import scipy.io

BYTES, LONGS, NUMBERS, DOUBLES, MATRIX = 2, 5, 6, 9, 14  # kinds of elements
NAME, DOUBLE_CLASS, COMPLEX = 1, 6, 0x0800


def element(kind, data):
    return struct.pack("<II", kind, len(data)) + data + b"\0" * (-len(data) % 8)


def file_of_doubles(kind, *parts):
    """A MAT-file of version 5 with x, 1 x 3, of MATLAB's class double."""
    flags = DOUBLE_CLASS | (COMPLEX if len(parts) == 2 else 0)
    body = (
        element(NUMBERS, struct.pack("<II", flags, 0))
        + element(LONGS, struct.pack("<ii", 1, 3))
        + element(NAME, b"x")
        + b"".join(element(kind, part) for part in parts)
    )
    head = b"MATLAB 5.0 MAT-file".ljust(124) + struct.pack("<H", 0x0100) + b"IM"
    return head + element(MATRIX, body)


saved = io.BytesIO()
scipy.io.savemat(saved, {"x": np.array([[1 + 4j, 2 + 5j, 3 + 6j]])})
one = struct.pack("<3d", 1, 2, 3)
other = struct.pack("<3d", 4, 5, 6)
files = {
    "doubles stored as bytes": file_of_doubles(BYTES, bytes([1, 2, 250])),
    "complex doubles": file_of_doubles(DOUBLES, one, other),
    "complex doubles of savemat": saved.getvalue(),
}
found = {}
for name, data in files.items():
    for mat_dtype in (False, True):
        with warnings.catch_warnings(record=True) as seen:
            warnings.simplefilter("always")
            x = scipy.io.loadmat(io.BytesIO(data), mat_dtype=mat_dtype)["x"]
        warned = ", ".join(warning.category.__name__ for warning in seen)
        found[name, mat_dtype] = x.dtype.name, x.ravel().tolist(), warned
        print(f"{name}, mat_dtype={mat_dtype}: {x.dtype.name} "
              f"{x.ravel().tolist()} {warned}".rstrip())
print("SciPy", scipy.__version__)
whole = "complex128", [1 + 4j, 2 + 5j, 3 + 6j], ""
half = "float64", [1, 2, 3], "ComplexWarning"
expected = {
    ("doubles stored as bytes", False): ("uint8", [1, 2, 250], ""),
    ("doubles stored as bytes", True): ("float64", [1, 2, 250], ""),
    ("complex doubles", False): whole,
    ("complex doubles", True): half,
    ("complex doubles of savemat", False): whole,
    ("complex doubles of savemat", True): half,
}
sys.exit(found != expected)
PYTHON
"$folder/venv/bin/python" "$folder/try.py"

# doubles stored as bytes, mat_dtype=False: uint8 [1, 2, 250]
# doubles stored as bytes, mat_dtype=True: float64 [1.0, 2.0, 250.0]
# complex doubles, mat_dtype=False: complex128 [(1+4j), (2+5j), (3+6j)]
# complex doubles, mat_dtype=True: float64 [1.0, 2.0, 3.0] ComplexWarning
# complex doubles of savemat, mat_dtype=False: complex128 [(1+4j), (2+5j), (3+6j)]
# complex doubles of savemat, mat_dtype=True: float64 [1.0, 2.0, 3.0] ComplexWarning
# SciPy 1.17.1
