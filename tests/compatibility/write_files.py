"""How files_162f90b.tar.xz was made: what commit 162f90b writes.

    git worktree add ../nae_tf_162f90b 162f90b
    PYTHONPATH=../nae_tf_162f90b python tests/compatibility/write_files.py

It runs with the package of that commit alone. `compatibility_test.py` holds
later commits to the numbers in it. The parts of the archive:

    digits/         a run of NAE, pre-training included, with export/1
    interrupted/    the same run in the middle of the second phase
    vae/            a run of a baseline
    models/         a .keras file of every method
    detectors/      pickles of fitted `NAEDetector`s
    every_binding.gin, numbers.json, vectors.npy, images.npy, digits.npy

Networks are tiny, and precision is double wherever nothing else is the subject:
processors round differently, and 1e-6 has to hold on all of them, after steps
of training too. The archive was written with the oldest supported versions of
TensorFlow and scikit-learn, because later versions read it too.
"""

import importlib.metadata
import inspect
import json
import os
import pathlib
import pickle
import shutil
import subprocess
import sys
import tarfile
import tempfile

import gin
import keras
import numpy as np
import tensorflow as tf
from models_to_write import (
    fitted_detectors,
    make_low_precision_model,
    make_models,
)
from sklearn.datasets import load_digits

import nae_tf
from nae_tf import train  # noqa: F401  It registers all names.

CHECKOUT = pathlib.Path(nae_tf.__file__).parent.parent
ARCHIVE = pathlib.Path(__file__).parent / "files_162f90b.tar.xz"
TINY = [
    "latent_dim=4",
    "MLPEncoder.hidden_units=(12,)",
    "MLPDecoder.hidden_units=(12,)",
    "Experiment.evaluation_limit=50",
]
# Both phases stop early if they must, so that callbacks of every kind have a
# state, and the temperature has an optimizer of its own.
TINY_NAE = [
    *TINY,
    "Experiment.precision='float64'",
    "NAE.temperature=0.5",
    "NAE.temperature_learning_rate=0.01",
    "OnManifold.replay_capacity=200",
    "latent/LangevinChain.num_steps=3",
    "visible/LangevinChain.num_steps=4",
    "pretraining/Phase.epochs=8",
    "pretraining/Adam.learning_rate=0.01",
    "training/Phase.epochs=4",
    "training/Phase.steps_per_epoch=6",
    "training/Phase.patience=9",
]
TINY_VAE = [
    *TINY,
    "baseline/Phase.epochs=8",
    "baseline/Phase.steps_per_epoch=10",
    "baseline/Adam.learning_rate=0.01",
]
# A training that SIGTERM interrupts in the third epoch of its second phase.
INTERRUPTED = """
import os, runpy, signal
from nae_tf import NAE, resume

save_if_due = resume.SaveProgress._save_if_due

def send_and_save(self, epoch, step, finished=False):
    if isinstance(self.model, NAE) and (epoch, step) == (2, 2):
        os.kill(os.getpid(), signal.SIGTERM)
    save_if_due(self, epoch, step, finished)

resume.SaveProgress._save_if_due = send_and_save
runpy.run_module("nae_tf.train", run_name="__main__")
"""


def run(*arguments, status=0):
    result = subprocess.run(
        [sys.executable, *arguments],
        cwd=CHECKOUT,
        env=os.environ | {"PYTHONPATH": str(CHECKOUT)},
        check=False,
    )
    assert result.returncode == status, result


def train_flags(path, files, bindings):
    return [
        f"--run_dir={path}",
        *(f"--gin_file=gin/{name}.gin" for name in files),
        *(f"--gin_bindings={binding}" for binding in bindings),
    ]


def write_runs(folder):
    flags = train_flags(folder / "digits", ["digits"], TINY_NAE)
    run("-c", INTERRUPTED, *flags, status=75)
    shutil.copytree(folder / "digits", folder / "interrupted")
    run("-m", "nae_tf.train", *flags, "--resume")
    run("-m", "nae_tf.export", f"--run_dir={folder / 'digits'}")
    files = ["digits", "methods/vae"]
    run("-m", "nae_tf.train", *train_flags(folder / "vae", files, TINY_VAE))
    for name in ("digits", "interrupted", "vae"):
        prune(folder / name)


def prune(path):
    """Leave out pictures and pages, and all checkpoints but the newest."""
    shutil.rmtree(path / "tensorboard")
    (path / ".lock").unlink()
    (path / "report.html").unlink(missing_ok=True)
    for phase in (path / "checkpoints").iterdir():
        for old in sorted(phase.iterdir())[:-1]:
            shutil.rmtree(old)


def write_models(folder, vectors, images):
    folder.mkdir()
    numbers = {}
    models_of_vectors, models_of_images = make_models()
    for models, x in [(models_of_vectors, vectors), (models_of_images, images)]:
        for name, model in models.items():
            model.compile(keras.optimizers.Adam(0.01))
            model.fit(x, batch_size=8, epochs=2, shuffle=False, verbose=0)
            numbers[name] = save(folder, name, model, x)
    model = make_low_precision_model(vectors)
    numbers["low_precision"] = save(folder, "low_precision", model, vectors)
    return numbers


def save(folder, name, model, x):
    model.save(folder / f"{name}.keras")
    temperature = getattr(model, "temperature", None)
    return {
        "scores": model.predict_outlier_score(x).tolist(),
        "temperature": None if temperature is None else float(temperature),
    }


def write_detectors(folder, vectors):
    """Pickles, of protocol 4, which every supported Python writes."""
    folder.mkdir()
    scores = {}
    for name, detector in fitted_detectors(vectors).items():
        scores[name] = {
            "score_samples": detector.score_samples(vectors).tolist(),
            "predict": detector.predict(vectors).tolist(),
        }
        data = pickle.dumps(detector, protocol=4)
        (folder / f"{name}.pickle").write_bytes(data)
    return scores


def every_binding():
    """A line for every parameter of the package that gin knows.

    What Keras calls its parameters is not ours: two stand for its classes.
    """
    lines = []
    for selector, configurable in sorted(gin.config._REGISTRY.items()):
        names = inspect.signature(configurable.wrapped).parameters
        if selector.startswith("keras.optimizers."):
            names = {"learning_rate", "initial_learning_rate"} & names.keys()
        elif not selector.startswith("nae_tf."):
            continue
        lines += [f"{selector}.{name} = None\n" for name in names]
    return "".join(lines)


def main():
    versions = ["keras", "numpy", "scikit-learn", "tensorflow"]
    rng = np.random.default_rng(0)
    # Four binary digits; `make_low_precision_model` tells why.
    vectors = np.clip(np.round(4 * rng.normal(size=(40, 4))) / 4, -3, 3)
    images = rng.uniform(size=(16, 28, 28, 1)).round(3)
    images *= np.linspace(0, 1, 16).reshape(-1, 1, 1, 1)
    digits = load_digits().images[::60, ..., None] / 16
    with tempfile.TemporaryDirectory() as temporary:
        folder = pathlib.Path(temporary) / "files"
        folder.mkdir()
        for name, x in [
            ("vectors", vectors),
            ("images", images),
            ("digits", digits),
        ]:
            np.save(folder / f"{name}.npy", x)
        write_runs(folder)
        exported = tf.saved_model.load(str(folder / "digits" / "export" / "1"))
        numbers = {
            "versions": {
                name: importlib.metadata.version(name) for name in versions
            },
            "keras_names": sorted(
                name
                for name in keras.saving.get_custom_objects()
                if name.startswith("nae_tf>")
            ),
            "models": write_models(folder / "models", vectors, images),
            "detectors": write_detectors(folder / "detectors", vectors),
            "export": {
                name: value.numpy().tolist()
                for name, value in exported.signatures["score"](
                    tf.constant(digits)
                ).items()
            },
        }
        (folder / "every_binding.gin").write_text(every_binding())
        (folder / "numbers.json").write_text(json.dumps(numbers, indent=1))
        with tarfile.open(ARCHIVE, "w:xz", preset=9) as archive:
            for path in sorted(folder.rglob("*")):
                member = archive.gettarinfo(path, str(path.relative_to(folder)))
                member.mtime = member.uid = member.gid = 0
                member.uname = member.gname = ""
                if member.isreg():
                    with open(path, "rb") as file:
                        archive.addfile(member, file)
                else:
                    archive.addfile(member)


if __name__ == "__main__":
    main()
