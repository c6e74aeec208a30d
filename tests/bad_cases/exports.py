"""Exported models: writing, loading, asking and serving them."""

import shutil

import numpy as np
import tensorflow as tf
from tiny_models import vector_networks

from nae_tf import Autoencoder
from nae_tf.calibration import Calibration
from nae_tf.example_stream import Batch, ExampleStream, open_stream
from nae_tf.export import export_model
from nae_tf.exported_model import ExportedModel
from nae_tf.score import score_batches
from nae_tf.score_files import PartialFile

CALIBRATION = Calibration(np.linspace(0, 2, 99), 0.1)
IMAGES = np.zeros((2, 12, 12, 1), np.float32)


def export(version, built=True):
    """Export a model twice as the same version."""

    def call(tmp_path):
        model = Autoencoder(*vector_networks(built=built))
        for _ in range(2):
            export_model(model, CALIBRATION, tmp_path, version=version)

    return call


def cut_off(exported_vectors, tmp_path):
    shutil.copytree(exported_vectors, tmp_path / "1")
    graph = tmp_path / "1" / "saved_model.pb"
    graph.write_bytes(graph.read_bytes()[:-100])
    ExportedModel(tmp_path / "1")


def score(x):
    """Score an array, as `nae_tf.score` does."""

    def call(exported_vectors):
        ExportedModel(exported_vectors).score(x)

    return call


def score_batch_with(value):
    """Score two batches of four, with a value among those of the second."""

    def call(exported_vectors):
        x = np.zeros((8, 4), np.float32)
        x[6] = value
        first = Batch(["0", "1", "2", "3"], lambda: x[:4])
        second = Batch(["4", "5", "6", "7"], lambda: x[4:])
        stream = ExampleStream(8, iter([first, second]))
        list(score_batches(ExportedModel(exported_vectors), stream, []))

    return call


def score_nothing(exported_vectors):
    model = ExportedModel(exported_vectors)
    list(score_batches(model, ExampleStream(0, iter(())), []))


def pickled(tmp_path):
    np.save(tmp_path / "x.npy", np.array([{}], object), allow_pickle=True)
    open_stream(str(tmp_path / "x.npy"), (4,), 8)


def output_that_exists(tmp_path):
    (tmp_path / "scores.csv").write_text("")
    PartialFile(tmp_path / "scores.csv")


def request(signature, **inputs):
    """Ask the server; the next request has to be answered nonetheless."""

    def call(served):
        try:
            served.client.grpc(
                signature,
                **{name: make() for name, make in inputs.items()},
            )
        except served.client.Refusal as refusal:
            answered = served.client.grpc(examples=IMAGES[:1])
            assert answered["energy"].shape == (1,)
            raise ValueError(served.client.reason(refusal)) from refusal

    return call


def image_file(encode, *shape):
    return lambda: np.array([encode(np.zeros(shape, np.uint8)).numpy()])


def half_a_jpeg():
    data = tf.io.encode_jpeg(np.zeros((20, 20, 1), np.uint8)).numpy()
    return np.array([data[: len(data) // 2]])


CASES = {
    # --- Writing and loading ---
    "a version that exists": (
        export(9),
        "choose another --version",
        FileExistsError,
    ),
    "version 0": (export(0), "version >= 1, received 0"),
    "no weights": (export(1, built=False), "no weights to export yet"),
    "a graph cut off": (cut_off, "is damaged"),
    "a folder without a model": (
        lambda tmp_path: ExportedModel(tmp_path),
        r"no saved_model\.pb",
        FileNotFoundError,
    ),
    # --- Scoring ---
    "too few features": (
        score(np.zeros((2, 3))),
        r"shape \[4\], received \[3\]",
    ),
    **{
        f"{value} to score": (
            score_batch_with(value),
            "examples 4 to 7: .*NaN or infinity",
        )
        for value in (np.nan, np.inf)
    },
    "nothing to score": (score_nothing, "no examples"),
    "no file": (
        lambda tmp_path: open_stream(str(tmp_path / "none.csv"), (4,), 8),
        "no file or folder",
        FileNotFoundError,
    ),
    "a folder for a model of vectors": (
        lambda tmp_path: open_stream(str(tmp_path), (4,), 8),
        "folder of images, but the model",
    ),
    "pickled objects": (pickled, r"not a \.npy file of numbers"),
    "another kind of output": (
        lambda tmp_path: PartialFile(tmp_path / "scores.txt"),
        r"\.csv, \.npz, \.parquet",
    ),
    "an output that exists": (
        output_that_exists,
        "exists already",
        FileExistsError,
    ),
    # --- Serving ---
    **{
        f"served {name}": (request("score_encoded_image", image_bytes=data), m)
        for name, data, m in [
            ("half a JPEG", half_a_jpeg, "Invalid JPEG data"),
            (
                "GIF",
                lambda: np.array([b"GIF89a" + bytes(40)]),
                "no PNG or JPEG image",
            ),
            (
                "bomb",
                image_file(tf.io.encode_png, 5000, 4000, 1),
                r"1 \.\.\. 16777216 pixels",
            ),
            (
                "colours",
                image_file(tf.io.encode_png, 9, 9, 3),
                "1 channels, received",
            ),
        ]
    },
    "served low images": (
        request("score", examples=lambda: IMAGES[:, :5]),
        "expected examples of shape",
    ),
    "served one image": (
        request("encode", examples=lambda: IMAGES[0]),
        "expected examples of shape",
    ),
    "served NaN": (
        request("score", examples=lambda: IMAGES * np.float32(np.nan)),
        "NaN",
    ),
    "served bright images": (
        request("reconstruct", examples=lambda: IMAGES + 1.5),
        r"values in \[0, 1\]",
    ),
    **{
        f"served {count} samples": (
            request(
                "sample",
                count=lambda count=count: np.int32(count),
                seed=lambda: np.int32(0),
            ),
            r"expected a count in 1 \.\.\. 256",
        )
        for count in (0, -1, 2**31 - 1)
    },
}
