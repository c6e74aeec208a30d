#!/usr/bin/env bash
# TensorFlow Datasets: the file formats of SequentialWriter.
#
# Guess: SequentialWriter writes each format of tfds's FileFormat, Parquet among
# them; or its constructor refuses the ones it cannot write.
#
# Seen with tensorflow-datasets 4.9.10 (TensorFlow 2.21.0, Python 3.11): the
# constructor and initialize_splits take "parquet" and "riegeli"; add_examples
# then raises a ValueError, when the first example has been made. "tfrecord" and
# "array_record" work. Output at the end of this file.
#
# Ends with 0 if the behaviour is the same, else with 1.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet \
  "numpy==2.4.6" "tensorflow==2.21.0" "tensorflow-datasets==4.9.10"
cat >"$folder/try.py" <<'PYTHON'
import pathlib
import sys

import numpy as np
import tensorflow_datasets as tfds


def write(folder, file_format):
    """The step that failed with its message, or the word "written"."""
    folder.mkdir()
    identity = tfds.core.DatasetIdentity(
        name="numbers",
        version=tfds.core.Version("1.0.0"),
        data_dir=str(folder),
        module_name="numbers",
    )
    features = tfds.features.FeaturesDict({"x": np.int64})
    info = tfds.core.DatasetInfo(builder=identity, features=features)
    step = "constructor"
    try:
        writer = tfds.core.SequentialWriter(
            info, max_examples_per_shard=10, file_format=file_format
        )
        step = "initialize_splits"
        writer.initialize_splits(["train"])
        step = "add_examples"
        writer.add_examples({"train": [{"x": 1}, {"x": 2}]})
        step = "close_all"
        writer.close_all()
    except ValueError as error:
        return f"{step}: {error}"
    return "written"


found = {
    name: write(pathlib.Path(sys.argv[1]) / name, name)
    for name in ("tfrecord", "array_record", "riegeli", "parquet")
}
for name, outcome in found.items():
    print(f"{name}: {outcome}")
print("tensorflow-datasets", tfds.__version__)
sys.exit(
    found
    != {
        "tfrecord": "written",
        "array_record": "written",
        "riegeli": "add_examples: Unknown file format FileFormat.RIEGELI",
        "parquet": "add_examples: Unknown file format FileFormat.PARQUET",
    }
)
PYTHON
mkdir "$folder/written"
TF_CPP_MIN_LOG_LEVEL=3 \
  "$folder/venv/bin/python" "$folder/try.py" "$folder/written" 2>/dev/null

# tfrecord: written
# array_record: written
# riegeli: add_examples: Unknown file format FileFormat.RIEGELI
# parquet: add_examples: Unknown file format FileFormat.PARQUET
# tensorflow-datasets 4.9.10
