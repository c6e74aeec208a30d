#!/usr/bin/env bash
# TensorFlow: a Python number before a float64 tensor.
#
# Guess: tf.maximum(1.0, x) of a float64 tensor x converts the number alike in
# eager mode and in a tf.function, so that code tried eagerly compiles.
#
# Seen with TensorFlow 2.21.0 (NumPy 2.4.6, Python 3.11): the eager call takes the
# number as float64 and is right. In a tf.function the same call converts the
# first argument alone, to float32, and raises a TypeError; x before the number
# works in both. A float32 tensor hides the difference. A schedule of step sizes
# that is computed in double precision therefore passes an eager test and fails
# in Model.fit. Output at the end of this file.
#
# Ends with 0 if the behaviour is the same, else with 1.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet "tensorflow==2.21.0"
cat >"$folder/try.py" <<'PYTHON'
import sys

import tensorflow as tf


def number_first(x):
    return tf.maximum(1.0, x)


def tensor_first(x):
    return tf.maximum(x, 1.0)


def outcome(function, x):
    try:
        return function(x).dtype.name
    except TypeError:
        return "TypeError"


found = {}
for dtype in (tf.float32, tf.float64):
    x = tf.constant(3, dtype)
    for function in (number_first, tensor_first):
        key = f"{function.__name__}, {dtype.name}"
        found[key] = outcome(function, x), outcome(tf.function(function), x)
        print(f"{key}: eager {found[key][0]}, graph {found[key][1]}")
expected = {
    "number_first, float32": ("float32", "float32"),
    "tensor_first, float32": ("float32", "float32"),
    "number_first, float64": ("float64", "TypeError"),
    "tensor_first, float64": ("float64", "float64"),
}
print(f"TensorFlow {tf.__version__}")
sys.exit(found != expected)
PYTHON
TF_CPP_MIN_LOG_LEVEL=3 "$folder/venv/bin/python" "$folder/try.py" 2>/dev/null

# number_first, float32: eager float32, graph float32
# tensor_first, float32: eager float32, graph float32
# number_first, float64: eager float64, graph TypeError
# tensor_first, float64: eager float64, graph float64
# TensorFlow 2.21.0
