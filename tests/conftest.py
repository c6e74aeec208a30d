"""Fixtures that several test modules share."""

import dataclasses
import functools
import gc

import gin
import keras
import numpy as np
import pytest
import tensorflow as tf
from image_set_stand_in import write_set
from tiny_models import vector_nae
from tiny_runs import (
    DIGITS,
    GAUSSIANS,
    TINY_DIGITS,
    TINY_GAUSSIANS,
    untrained_run,
)

from nae_tf.base.pipelines import untuned
from nae_tf.data import tfds_images
from nae_tf.serving.calibration import Calibration
from nae_tf.serving.export import export_model

# Tracing makes many objects that live long. Looking for garbage among them
# after every seven hundred takes a tenth of the time of the tests; graphs that
# wait too long take most of a minute at once. What is imported stays.
gc.freeze()
gc.set_threshold(100_000, 20, 10)

# Iterators that Keras makes of arrays end at once, as ours do. With as many
# tests as cores the others took a fifth of the time of all.
iterate = tf.data.Dataset.__iter__
tf.data.Dataset.__iter__ = lambda dataset: iterate(untuned(dataset))


@pytest.fixture
def small_sets(tmp_path, monkeypatch):
    """Real builders whose files hold a few random images."""
    monkeypatch.setenv("NAE_TF_DATA_DIR", str(tmp_path))
    return functools.partial(write_set, tmp_path)


@pytest.fixture
def tiny_mnist(small_sets, monkeypatch):
    """MNIST of a few random images."""
    smaller = dataclasses.replace(
        tfds_images.IMAGE_SETS["mnist"], validation_size=20
    )
    monkeypatch.setitem(tfds_images.IMAGE_SETS, "mnist", smaller)
    rng = np.random.default_rng(0)

    def examples(count):
        images = rng.integers(0, 256, [count, 28, 28, 1]).astype(np.uint8)
        return [
            {"image": image, "label": index % 10}
            for index, image in enumerate(images)
        ]

    small_sets("mnist", train=examples(100), test=examples(40))


@pytest.fixture(scope="session")
def exported_vectors(tmp_path_factory):
    """The export of a model of vectors of four."""
    calibration = Calibration(np.linspace(0, 2, 99), 0.1)
    return export_model(
        vector_nae(), calibration, tmp_path_factory.mktemp("vectors")
    )


@pytest.fixture(scope="session")
def digits_runs(tmp_path_factory):
    """Untrained runs: latent dimension 4 without a 4, 16 without a 9."""
    folder = tmp_path_factory.mktemp("runs")
    return [
        untrained_run(
            folder / f"out{digit}",
            DIGITS,
            [
                *TINY_DIGITS,
                "pretraining/Phase.epochs=0",
                f"holdout_class={digit}",
                f"latent_dim={size}",
            ],
        )
        for digit, size in [(4, 4), (9, 16)]
    ]


@pytest.fixture(scope="session")
def plane_run(tmp_path_factory):
    """An untrained run on the plane with a circle of latents."""
    path = tmp_path_factory.mktemp("runs") / "plane"
    return untrained_run(path, GAUSSIANS, TINY_GAUSSIANS)


@pytest.fixture(scope="session")
def exported_images(tmp_path_factory):
    """A model of images and its export; see `served_model.Exported`."""
    pytest.importorskip("grpc")
    pytest.importorskip("tensorflow_serving")
    import served_model

    return served_model.export(tmp_path_factory.mktemp("served"))


@pytest.fixture(scope="session")
def served(exported_images):
    """A model of images behind a server; see `served_model.Served`."""
    import served_model

    with served_model.serve(exported_images) as served:
        yield served


@pytest.fixture(autouse=True)
def no_configuration():
    """What one test configures, the next one does not see."""
    gin.clear_config()
    policy = keras.config.dtype_policy()
    yield
    # A budget's precision is Keras's global policy.
    keras.config.set_dtype_policy(policy)
