#!/usr/bin/env bash
# TensorFlow: what a variable leaves behind when it is gone, by its name.
#
# Guess: nothing. A tf.Variable that nobody refers to is freed, whatever it was called,
# so a process that builds small models again and again stays flat as long as no graph
# is kept.
#
# Seen with TensorFlow 2.21.0 (Python 3.11, Linux, CPU): variables of one name leave
# nothing, but each name that was not there before leaves about 35 KiB for good, be the
# variable of one number or of a million. A name is an attribute of the operation that
# makes the handle, and the cache of eager kernels has an entry for each value of it;
# neither garbage collection nor keras.utils.clear_session empties it. Keras 3 numbers
# its layers, and so the names of weights and of the optimizer's state, through a
# process, so every model is of new names. Resetting the numbers, by clear_session before
# each model, keeps the process flat.
# Output at the end of this file.
#
# Ends with 0 if the behaviour is the same, else with 1.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/environment"
"$folder/environment/bin/pip" install --quiet "tensorflow==2.21.0" "keras==3.15.1"
cat >"$folder/try.py" <<'PYTHON'
import ctypes
import gc
import sys

import keras
import numpy as np
import tensorflow as tf

NUMBER = 400
trim = ctypes.CDLL("libc.so.6").malloc_trim


def resident():
    gc.collect()
    trim(0)
    pages = int(open("/proc/self/statm").read().split()[1])
    return pages * 4096


def left_by(make):
    """KiB that each of 400 calls leaves behind, after some others."""
    for index in range(20):
        make(f"first_{index}")
    before = resident()
    for index in range(NUMBER):
        make(f"{make.__name__}_{index}")
    return (resident() - before) / NUMBER / 1024


def same_name(name):
    tf.Variable(np.zeros(1), name="x")


def new_names(name):
    tf.Variable(np.zeros(1), name=name)


def new_names_large(name):
    tf.Variable(np.zeros(1_000_000, np.float32), name=name)


def keras_layer(name):
    keras.layers.Dense(1).build((None, 1))  # A kernel and a bias.


def keras_layer_after_clearing(name):
    keras.utils.clear_session(free_memory=False)
    keras_layer(name)


found = []
for make in (
    same_name,
    new_names,
    new_names_large,
    keras_layer,
    keras_layer_after_clearing,
):
    kib = left_by(make)
    found.append(kib)
    print(f"{make.__name__}: {round(kib, -1) + 0:.0f} KiB each")
same, new, large, layer, cleared = found
sys.exit(not (same < 5 and cleared < 5 and new > 20 and large > 20 and layer > 40))
PYTHON
TF_CPP_MIN_LOG_LEVEL=3 "$folder/environment/bin/python" "$folder/try.py" 2>/dev/null

# same_name: 0 KiB each
# new_names: 40 KiB each
# new_names_large: 40 KiB each
# keras_layer: 70 KiB each
# keras_layer_after_clearing: 0 KiB each
