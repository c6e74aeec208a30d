"""One exported model gives the same scores, however the examples are stored.

Expected scores are those of arrays that no file has held. Files are written by
third parties alone, and scored as `nae-tf score` does.
"""

import io
import pathlib
import tempfile
import types

import h5py
import numpy as np
import pytest
import tensorflow as tf
from data_files import write_tfrecord
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image
from table_writers import UNNAMED_WRITERS, WRITERS
from tiny_models import image_networks, vector_nae

from nae_tf import Autoencoder
from nae_tf.data.schema import Schema
from nae_tf.serving.calibration import Calibration
from nae_tf.serving.export import export_model
from nae_tf.serving.input_flags import open_input
from nae_tf.serving.saved_model import ExportedModel
from nae_tf.serving.scoring import score_batches

CALIBRATION = Calibration(np.linspace(0, 2, 99), 0.1)
NAMES = ("pt [GeV]", "η", "φ(0)", "400.5")
WHITE = 4_095


@pytest.fixture(scope="module")
def vector_model(tmp_path_factory):
    schema = Schema((4,), names=NAMES)
    path = tmp_path_factory.mktemp("vectors")
    export_model(vector_nae(), CALIBRATION, path, schema=schema)
    return ExportedModel(path / "1")


@pytest.fixture(scope="module")
def image_model(tmp_path_factory):
    path = tmp_path_factory.mktemp("images")
    export_model(Autoencoder(*image_networks()), CALIBRATION, path)
    return ExportedModel(path / "1")


def scored(model, path, **options):
    """Energies of a file or folder, as the command computes them."""
    defaults = {
        **{"batch_size": 5, "key": None, "drop": (), "header": "auto"},
        **{"linked_files": False, "max_level": None},
    }
    flags = types.SimpleNamespace(**{"input": str(path)} | defaults | options)
    rows = score_batches(model, open_input(model, flags), [])
    return np.array([float(row[1]) for batch in rows for row in batch])


def expected(model, values):
    return model.score(np.asarray(values, np.float32))["energy"]


# --- Tables -------------------------------------------------------------------

# Float32 holds the smallest of them in its normal range.
NUMBERS = st.floats(-4.0, 4.0).map(lambda x: x if abs(x) > 1e-30 else 0.0)
TABLES = st.tuples(st.integers(1, 12), st.sampled_from(["<f8", ">f8"])).flatmap(
    lambda table: arrays(table[1], (table[0], 4), elements=NUMBERS)
)


def check_table(model, name, write, values, order, **options):
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / name
        keeps_bytes = name.endswith((".npy", ".npz", ".h5", ".nc", ".mat"))
        stored = values[:, order]
        if not keeps_bytes:
            stored = stored.astype(float)
        write(path, stored, [NAMES[index] for index in order])
        energies = scored(model, path, **options)
    np.testing.assert_allclose(
        energies, expected(model, values), rtol=1e-6, atol=1e-6
    )


@pytest.mark.parametrize("name", WRITERS)
@settings(deadline=None, max_examples=6, derandomize=True, database=None)
@given(values=TABLES, order=st.permutations(range(4)))
def test_columns_in_any_order_have_the_same_scores(
    name, vector_model, values, order
):
    check_table(vector_model, name, WRITERS[name], values, order)


@pytest.mark.parametrize("name", UNNAMED_WRITERS)
@settings(deadline=None, max_examples=6, derandomize=True, database=None)
@given(values=TABLES)
def test_columns_without_names_have_the_same_scores(name, vector_model, values):
    header = "no" if name.endswith(".csv") else "auto"
    write = UNNAMED_WRITERS[name]
    check_table(vector_model, name, write, values, range(4), header=header)


def test_another_order_would_be_seen(vector_model):
    values = np.random.default_rng(0).normal(size=(20, 4))
    energies = expected(vector_model, values)
    for order in ([1, 0, 2, 3], [0, 1, 3, 2], [3, 2, 1, 0]):
        others = expected(vector_model, values[:, order])
        assert (abs(energies - others) > 1e-3).mean() > 0.9


# --- Images -------------------------------------------------------------------


def write_images(folder, kind, images, **options):
    """A folder of images by Pillow."""
    folder.mkdir()
    for number, image in enumerate(images):
        file = io.BytesIO()
        Image.fromarray(image).save(file, kind, **options)
        (folder / f"{number}.{kind.lower()}").write_bytes(file.getvalue())
    return folder


def write_hdf5(path, images):
    with h5py.File(path, "w") as file:
        file["x"] = images
    return path


def write_records(path, images):
    images = [tf.io.encode_png(image[..., None]) for image in images]
    return write_tfrecord(path, [{"x": image.numpy()} for image in images])


def saved(path, images):
    np.save(path, images)
    return path


IMAGES = {
    "png": (np.uint8, lambda p, x: write_images(p, "PNG", x)),
    "png, 16 bits": (np.uint16, lambda p, x: write_images(p, "PNG", x)),
    "tiff": (np.uint8, lambda p, x: write_images(p, "TIFF", x)),
    "tiff, 16 bits": (np.uint16, lambda p, x: write_images(p, "TIFF", x)),
    "bmp": (np.uint8, lambda p, x: write_images(p, "BMP", x)),
    "npy": (np.uint8, lambda p, x: saved(f"{p}.npy", x)),
    "npy, 16 bits": (np.dtype(">u2"), lambda p, x: saved(f"{p}.npy", x)),
    "npy, by column": (
        np.uint8,
        lambda p, x: saved(f"{p}.npy", np.asfortranarray(x)),
    ),
    "hdf5": (np.uint8, lambda p, x: write_hdf5(f"{p}.h5", x)),
    "hdf5, 16 bits": (np.dtype(">u2"), lambda p, x: write_hdf5(f"{p}.h5", x)),
    "tfrecord": (np.uint8, lambda p, x: write_records(f"{p}.tfrecord", x)),
    "tfrecord, 16 bits": (
        np.uint16,
        lambda p, x: write_records(f"{p}.tfrecord", x),
    ),
}


def random_images(seed, dtype, white=None):
    white = white or np.iinfo(dtype).max
    images = np.random.default_rng(seed).integers(0, white + 1, (3, 12, 12))
    return images.astype(dtype)


@pytest.mark.parametrize("name", IMAGES)
@pytest.mark.parametrize("seed", range(3))
def test_pixels_have_the_same_scores(name, seed, image_model, tmp_path):
    dtype, write = IMAGES[name]
    images = random_images(seed, dtype)
    path = tmp_path / "x"
    path = write(path, images) or f"{path}.tfrecord"
    values = images[..., None] / np.iinfo(dtype).max
    np.testing.assert_allclose(
        scored(image_model, path), expected(image_model, values), rtol=1e-6
    )


@pytest.mark.parametrize("name", [name for name in IMAGES if "16" in name])
def test_a_camera_of_12_bits_has_its_own_scores(name, image_model, tmp_path):
    dtype, write = IMAGES[name]
    images = random_images(0, dtype, WHITE)
    path = tmp_path / "x"
    path = write(path, images) or f"{path}.tfrecord"
    np.testing.assert_allclose(
        scored(image_model, path, max_level=WHITE),
        expected(image_model, images[..., None] / WHITE),
        rtol=1e-6,
    )


@pytest.mark.parametrize("progressive", [False, True])
def test_jpeg_has_nearly_the_same_scores(progressive, image_model, tmp_path):
    steps = np.add.outer(np.arange(12) * 6, np.arange(12) * 9)
    images = np.stack([steps, 255 - steps, 60 + steps // 2]).astype(np.uint8)
    options = {"quality": 95, "progressive": progressive}
    path = write_images(tmp_path / "x", "JPEG", images, **options)
    exact = expected(image_model, images[..., None] / 255)
    assert np.ptp(exact) > 0.03
    # TensorFlow's fast inverse transform is off by up to four levels here.
    np.testing.assert_allclose(scored(image_model, path), exact, rtol=0.06)
