"""Read what `write_files.py` wrote, and print its numbers as JSON.

    python tests/compatibility/read_files.py FOLDER

A process of its own, because it imports what a user would, and nothing else of
the package: a class that no `import nae_tf` registers cannot be loaded. What
cannot be read is printed as a string, the error.
"""

import importlib
import json
import pathlib
import pickle
import sys

import gin
import keras
import numpy as np
import tensorflow as tf

import nae_tf  # noqa: F401  It registers the classes.


def read_model(path, x):
    model = keras.saving.load_model(path)
    temperature = getattr(model, "temperature", None)
    return {
        "scores": model.predict_outlier_score(x).tolist(),
        "temperature": None if temperature is None else float(temperature),
        "config": keras.saving.serialize_keras_object(model),
    }


def read_detector(path, x):
    detector = pickle.loads(path.read_bytes())
    return {
        "score_samples": detector.score_samples(x).tolist(),
        "predict": detector.predict(x).tolist(),
    }


def read_export(path, x):
    score = tf.saved_model.load(str(path)).signatures["score"]
    return {
        name: value.numpy().tolist()
        for name, value in score(tf.constant(x)).items()
    }


def keras_names():
    return sorted(keras.saving.get_custom_objects())


def refused_bindings(path):
    """Lines of a gin file that gin refuses."""
    refused = []
    for line in path.read_text().splitlines():
        try:
            gin.parse_config(line)
        except ValueError as error:
            refused.append(f"{line}: {error}")
    return refused


def attempt(read, *arguments):
    try:
        return read(*arguments)
    except Exception as error:
        return f"{type(error).__name__}: {error}"


def main():
    folder = pathlib.Path(sys.argv[1])
    x = {path.stem: np.load(path) for path in folder.glob("*.npy")}
    numbers = {
        "keras_names": keras_names(),
        "models": {
            path.stem: attempt(
                read_model,
                path,
                x["images" if path.stem == "images" else "vectors"],
            )
            for path in (folder / "models").iterdir()
        },
        "detectors": {
            path.stem: attempt(read_detector, path, x["vectors"])
            for path in (folder / "detectors").iterdir()
        },
        "export": attempt(read_export, folder / "digits/export/1", x["digits"]),
    }
    # A training registers what no model needs that is loaded.
    importlib.import_module("nae_tf.train")
    numbers["keras_names_of_training"] = keras_names()
    numbers["refused_bindings"] = refused_bindings(folder / "every_binding.gin")
    print(json.dumps(numbers))


if __name__ == "__main__":
    main()
