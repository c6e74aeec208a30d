#!/usr/bin/env bash
# NumPy with ml_dtypes: the mean of scores in bfloat16.
#
# Guess: scores of a network in mixed precision come as bfloat16 arrays. np.mean adds
# up half-precision floats in float32, as its documentation says of float16, and sums
# are pairwise; so mean and deviation are right to two or three digits.
#
# Seen with numpy 2.4.6, ml_dtypes 0.6.0 (Python 3.11, Linux): bfloat16 numbers are
# added one after another in bfloat16, which cannot count beyond 256. A thousand ones have
# the sum 256; the mean of 100,000 times 1.01 is .0051 and the deviation of 100,000 normal
# numbers .21, without a warning. The mean in float16 is right, but its deviation is
# infinite, with a warning: float32 is used for the mean alone. Medians, of two numbers
# at most, are right. So scores are made float32 before anything is averaged. Output at
# the end of this file.
#
# Ends with 0 if the behaviour is the same, else with 1.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/environment"
"$folder/environment/bin/pip" install --quiet "numpy==2.4.6" "ml_dtypes==0.6.0"
cat >"$folder/try.py" <<'PYTHON'
import sys

import ml_dtypes
import numpy as np

found = {}
for dtype in (np.float16, ml_dtypes.bfloat16):
    name = np.dtype(dtype).name
    level = np.full(100_000, 1.01, np.float32).astype(dtype)
    normal = np.random.default_rng(0).normal(size=100_000).astype(dtype)
    found[name] = [
        round(float(value), 4)
        for value in (
            np.ones(1_000).astype(dtype).sum(),
            level.mean(),
            normal.std(),
            np.median(level),
        )
    ]
    print(name, "sum {}, mean {}, deviation {}, median {}".format(*found[name]))
expected = {
    "float16": [1000.0, 1.0098, float("inf"), 1.0098],
    "bfloat16": [256.0, 0.0051, 0.2051, 1.0078],
}
sys.exit(found != expected)
PYTHON
"$folder/environment/bin/python" -W ignore "$folder/try.py"

# float16 sum 1000.0, mean 1.0098, deviation inf, median 1.0098
# bfloat16 sum 256.0, mean 0.0051, deviation 0.2051, median 1.0078
