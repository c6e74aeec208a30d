#!/usr/bin/env bash
# Keras 3: what the NumPy backend needs.
#
# Guess: KERAS_BACKEND=numpy needs Keras and NumPy, so it is the light way to read
# the config of a .keras file, or to build documentation, without a framework.
#
# Seen with Keras 3.15.1 (NumPy 2.4.6, SciPy 1.17.1, Python 3.11): `import keras`
# ends with ModuleNotFoundError, first for scipy and, with SciPy there, for jax.
# The backend imports the FFT of the JAX backend. The wheel declares neither, so
# pip says nothing. Output at the end of this file.
#
# Ends with 0 if the behaviour is the same, else with 1.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
cat >"$folder/try.py" <<'PYTHON'
import importlib.metadata
import sys

expected = sys.argv[1]
declared = importlib.metadata.requires("keras") or []
try:
    import keras

    missing = None
except ModuleNotFoundError as error:
    missing = error.name
named = any(text.startswith(expected) for text in declared)
print(f"keras {importlib.metadata.version('keras')}: missing {missing}, "
      f"declared {named}")
sys.exit(missing != expected or named)
PYTHON
export KERAS_BACKEND=numpy
"$folder/venv/bin/pip" install --quiet "keras==3.15.1" "numpy==2.4.6"
"$folder/venv/bin/python" "$folder/try.py" scipy
"$folder/venv/bin/pip" install --quiet "scipy==1.17.1"
"$folder/venv/bin/python" "$folder/try.py" jax

# keras 3.15.1: missing scipy, declared False
# keras 3.15.1: missing jax, declared False
