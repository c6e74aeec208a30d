#!/usr/bin/env bash
# npy, npz, HDF5, safetensors: features in bfloat16, stored and read again.
#
# Guess: the type is known to NumPy once ml_dtypes is imported, as TensorFlow does. A
# file of such an array gives it back, or writing it is refused.
#
# Seen with numpy 2.4.6, ml_dtypes 0.6.0, h5py 3.16.0, safetensors 0.8.0, scipy 1.17.1,
# joblib 1.6.0 (Python 3.11, Linux): np.save, np.savez and h5py write it without a word
# and give back two bytes of no type, |V2, from which .astype(float) fails; with
# .view(ml_dtypes.bfloat16) they are right again. safetensors writes the type by its
# name: load_file gives it back, load of the same bytes fails with KeyError 'BF16'. SciPy
# makes float64 of it, and pickles keep it. So a reader of arrays has to tell what |V2
# may have been.
#
# Ends with 0 if the behaviour is the same, else with 1.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/environment"
"$folder/environment/bin/pip" install --quiet "numpy==2.4.6" "ml_dtypes==0.6.0" \
  "h5py==3.16.0" "safetensors==0.8.0" "scipy==1.17.1" "joblib==1.6.0"
cat >"$folder/try.py" <<'PYTHON'
import os
import sys

import h5py
import joblib
import ml_dtypes
import numpy as np
import safetensors.numpy
import scipy.io

os.chdir(sys.argv[1])
x = np.array([[1, 2.5], [-3, 0.125]]).astype(ml_dtypes.bfloat16)


def npy():
    np.save("a.npy", x)
    return np.load("a.npy")


def npz():
    np.savez("a.npz", x=x)
    return np.load("a.npz")["x"]


def hdf5():
    with h5py.File("a.h5", "w") as file:
        file["x"] = x
    with h5py.File("a.h5") as file:
        return file["x"][()]


def tensors_of_file():
    safetensors.numpy.save_file({"x": x}, "a.safetensors")
    return safetensors.numpy.load_file("a.safetensors")["x"]


def tensors_of_bytes():
    return safetensors.numpy.load(safetensors.numpy.save({"x": x}))["x"]


def matlab():
    scipy.io.savemat("a.mat", {"x": x})
    return scipy.io.loadmat("a.mat")["x"]


def pickled():
    joblib.dump(x, "a.joblib")
    return joblib.load("a.joblib")


found = {}
readers = (npy, npz, hdf5, tensors_of_file, tensors_of_bytes, matlab, pickled)
for read in readers:
    try:
        found[read.__name__] = str(read().dtype)
    except KeyError as error:
        found[read.__name__] = f"KeyError {error}"
    print(read.__name__, found[read.__name__])
assert (npy().view(ml_dtypes.bfloat16) == x).all()
expected = {
    "npy": "|V2",
    "npz": "|V2",
    "hdf5": "|V2",
    "tensors_of_file": "bfloat16",
    "tensors_of_bytes": "KeyError 'BF16'",
    "matlab": "float64",
    "pickled": "bfloat16",
}
sys.exit(found != expected)
PYTHON
"$folder/environment/bin/python" "$folder/try.py" "$folder"

# npy |V2
# npz |V2
# hdf5 |V2
# tensors_of_file bfloat16
# tensors_of_bytes KeyError 'BF16'
# matlab float64
# pickled bfloat16
