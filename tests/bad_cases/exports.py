"""Exported models: writing, loading, asking and serving them."""

import shutil

import numpy as np
import tensorflow as tf
from tiny_models import vector_networks

from bad_cases.weather import full_disk
from nae_tf import Autoencoder
from nae_tf.data.readers.stream import Batch, ExampleStream, open_stream
from nae_tf.evaluation.features import saved_model_features
from nae_tf.serving.calibration import Calibration
from nae_tf.serving.export import export_model
from nae_tf.serving.saved_model import ExportedModel
from nae_tf.serving.score_files import PartialFile
from nae_tf.serving.scoring import score_batches

CALIBRATION = Calibration(np.linspace(0, 2, 99), 0.1)
IMAGES = np.zeros((2, 12, 12, 1), np.float32)


def export(version, built=True):
    """Export a model twice as the same version."""

    def call(tmp_path):
        model = Autoencoder(*vector_networks(built=built))
        for _ in range(2):
            export_model(model, CALIBRATION, tmp_path, version=version)

    return call


def export_to_a_full_disk(largest_file):
    def call(tmp_path):
        model = Autoencoder(*vector_networks())
        with full_disk(largest_file):
            export_model(model, CALIBRATION, tmp_path)

    return call


# Name: a file of a SavedModel, and what is left of its bytes.
DAMAGE = {
    "a graph cut off": ("saved_model.pb", lambda data: data[:-100]),
    "an empty graph": ("saved_model.pb", lambda data: b""),
    "empty weights": ("variables/variables.data-00000*", lambda data: b""),
    "empty names of weights": ("variables/variables.index", lambda data: b""),
}


def load_damaged(load, name, damage):
    """Load a copy of the exported model, one file of which is damaged."""

    def call(exported_vectors, tmp_path):
        shutil.copytree(exported_vectors, tmp_path / "1")
        [file] = (tmp_path / "1").glob(name)
        file.write_bytes(damage(file.read_bytes()))
        load(tmp_path / "1")

    return call


def foreign(name="examples", outputs=("energy",), shape=(None, 4)):
    """Load somebody else's model whose signature is called `score`, too."""

    def call(tmp_path):
        spec = tf.TensorSpec(shape, tf.float32, name=name)
        function = tf.function(
            lambda x: {name: tf.reduce_sum(x) for name in outputs},
            input_signature=[spec],
        )
        score = function.get_concrete_function()
        tf.saved_model.save(
            tf.Module(), str(tmp_path / "1"), signatures={"score": score}
        )
        ExportedModel(tmp_path / "1")

    return call


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


def output_in_use(tmp_path):
    """Another command opens what the first still writes."""
    with PartialFile(tmp_path / "scores.csv") as first:
        first.write([("0", "0.5", "1.0", "0")])
        with PartialFile(tmp_path / "scores.csv"):
            pass


def output_that_was_finished_meanwhile(tmp_path):
    """Another command opens the file just before it gets its name."""
    second = PartialFile(tmp_path / "scores.csv")
    with PartialFile(tmp_path / "scores.csv") as first:
        first.finish()
    with second:
        pass


def rows_of_something_else(tmp_path):
    (tmp_path / "scores.csv.partial").write_text(
        "id,energy,p_value,is_outlier\n0,0.5,1.0,0\n7\n"
    )
    with PartialFile(tmp_path / "scores.csv"):
        pass


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


CASES = {
    # --- Writing and loading ---
    "a version that exists": (
        export(9),
        "choose another --version",
        FileExistsError,
    ),
    "version 0": (export(0), "version in 1 .*received 0"),
    "no weights": (export(1, built=False), "no weights to export yet"),
    **{
        f"a disk full at {size} bytes": (
            export_to_a_full_disk(size),
            "cannot export into .*: .*File too large.* Free disk space or fix "
            "the permissions of the directory, then export again",
            OSError,
        )
        for size in (100, 8_000)  # While weights, and the graph, are written.
    },
    **{
        f"{name}{suffix}": (load_damaged(load, *damage), "/1' is damaged")
        for name, damage in DAMAGE.items()
        for suffix, load in [
            ("", ExportedModel),
            (" of features", lambda path: saved_model_features(path, (4,))),
        ]
    },
    "a foreign model of other inputs": (
        foreign(name="x", outputs=("energy", "p_value", "is_outlier")),
        r"'score' of \['x'\] to .*, expected \['examples'\].*nae_tf\.export",
    ),
    "a foreign model of other outputs": (
        foreign(),
        r"to \['energy'\], expected .*'is_outlier', 'p_value'\]",
    ),
    "a foreign model of any shape": (
        foreign(
            outputs=("energy", "p_value", "is_outlier"), shape=(None, None, 4)
        ),
        r"shape \(None, None, 4\), expected one known shape",
    ),
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
            "example 6: .*NaN or infinity",
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
    "an output in use": (
        output_in_use,
        "is being written by another process; wait",
        BlockingIOError,
    ),
    "an output that was finished meanwhile": (
        output_that_was_finished_meanwhile,
        "exists already",
        FileExistsError,
    ),
    "rows of something else": (
        rows_of_something_else,
        r"\.partial', line 3: this is not an unfinished output",
    ),
    # --- Serving ---
    "served low images": (
        request("score", examples=lambda: IMAGES[:, :5]),
        "expected examples of shape",
    ),
    "served one image": (
        request("encode", examples=lambda: IMAGES[0]),
        "expected examples of shape",
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
