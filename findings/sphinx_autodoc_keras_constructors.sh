#!/usr/bin/env bash
# Sphinx autodoc and Keras 3: the arguments of a model's constructor.
#
# Guess: autodoc shows the signature that inspect.signature gives, so a subclass
# of keras.Model or keras.layers.Layer is documented with the arguments of its
# __init__, as any class is.
#
# Seen with Sphinx 9.0.4 and Keras 3.15.1 (TensorFlow 2.21.0, Python 3.11):
# inspect.signature is right for layer and model, but both pages show
# (*args, **kwargs). autodoc asks __new__ before __init__, and Keras's Operation
# defines a __new__ that takes anything. A handler of autodoc-process-signature
# that reads __init__ puts it right. Output at the end of this file.
#
# Ends with 0 if the behaviour is the same, else with 1.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet \
  "keras==3.15.1" "sphinx==9.0.4" "tensorflow==2.21.0"
mkdir "$folder/docs"
cat >"$folder/docs/models.py" <<'PYTHON'
import keras


class Plain:
    """A class of Python alone."""

    def __init__(self, width, depth=2):
        pass


class Layer(keras.layers.Layer):
    """A layer."""

    def __init__(self, width, depth=2):
        super().__init__()


class Model(keras.Model):
    """A model."""

    def __init__(self, width, depth=2):
        super().__init__()
PYTHON
cat >"$folder/docs/conf.py" <<'PYTHON'
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent))
extensions = ["sphinx.ext.autodoc"]
PYTHON
for name in Plain Layer Model; do
  printf '.. autoclass:: models.%s\n\n' "$name"
done >"$folder/docs/index.rst"
cat >"$folder/try.py" <<'PYTHON'
import importlib.metadata
import inspect
import pathlib
import re
import sys

folder = pathlib.Path(sys.argv[1])
sys.path.insert(0, str(folder / "docs"))
import models

page = (folder / "text" / "index.txt").read_text()
shown = dict(re.findall(r"class models\.(\w+)(\(.*\))", page))
found = {}
for name in ("Plain", "Layer", "Model"):
    asked = str(inspect.signature(getattr(models, name)))
    found[name] = asked, shown[name].replace("*", "").replace("\\", "")
    print(f"{name}: inspect.signature {asked}, page {shown[name]}")
for package in ("sphinx", "keras"):
    print(package, importlib.metadata.version(package))
right = "(width, depth=2)"
sys.exit(
    found
    != {
        "Plain": (right, right),
        "Layer": (right, "(args, kwargs)"),
        "Model": (right, "(args, kwargs)"),
    }
)
PYTHON
export TF_CPP_MIN_LOG_LEVEL=3
"$folder/venv/bin/python" -m sphinx -q -b text "$folder/docs" "$folder/text" 2>/dev/null
"$folder/venv/bin/python" "$folder/try.py" "$folder" 2>/dev/null

# Plain: inspect.signature (width, depth=2), page (width, depth=2)
# Layer: inspect.signature (width, depth=2), page (*args, **kwargs)
# Model: inspect.signature (width, depth=2), page (*args, **kwargs)
# sphinx 9.0.4
# keras 3.15.1
