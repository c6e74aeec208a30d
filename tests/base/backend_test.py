"""Keras with another backend or another order of axes."""

import json
import os
import subprocess
import sys

import keras
import numpy as np
import pytest
from tiny_runs import ROOT

from nae_tf.networks import Conv28Decoder, Conv28Encoder, Conv32Encoder

SENTENCE = "ImportError: nae_tf needs Keras on TensorFlow, and found the "


def python(*arguments, **environment):
    return subprocess.run(
        [sys.executable, *arguments],
        env=os.environ | {"PYTHONPATH": str(ROOT)} | environment,
        capture_output=True,
        text=True,
    )


@pytest.fixture
def foreign_home(tmp_path):
    config = {"backend": "jax", "image_data_format": "channels_first"}
    (tmp_path / "keras.json").write_text(json.dumps(config))
    return str(tmp_path)


def test_another_backend_is_one_sentence_at_import(foreign_home):
    for environment in (
        {"KERAS_BACKEND": "jax"},
        {"KERAS_BACKEND": "torch"},
        {"KERAS_HOME": foreign_home},
    ):
        run = python("-c", "import nae_tf", **environment)
        last = run.stderr.strip().splitlines()[-1]
        assert last.startswith(SENTENCE), run.stderr
        assert "set KERAS_BACKEND=tensorflow in the environment" in last


def test_a_command_works_with_another_backend(tmp_path):
    command = ["-m", "nae_tf.score", f"--model={tmp_path}", "--input=x.npy"]
    run = python(*command, KERAS_BACKEND="torch")
    assert "holds no saved_model.pb" in run.stderr.splitlines()[-1], run.stderr


@pytest.fixture
def channels_first():
    before = keras.config.image_data_format()
    keras.config.set_image_data_format("channels_first")
    yield
    keras.config.set_image_data_format(before)


def values(network, x):
    weights = np.random.default_rng(0)
    network.set_weights(
        [weights.normal(size=w.shape) / 10 for w in network.get_weights()]
    )
    return keras.ops.convert_to_numpy(network(x))


def test_the_order_of_axes_is_that_of_the_paper_s_networks(request):
    x = np.random.default_rng(1).random((2, 28, 28, 1), np.float32)
    y = np.random.default_rng(2).random((2, 32, 32, 3), np.float32)
    z = np.random.default_rng(3).random((2, 16), np.float32)

    def outputs():
        return [
            values(Conv28Encoder(latent_dim=16), x),
            values(Conv28Decoder(latent_dim=16), z),
            values(Conv32Encoder(latent_dim=16), y),
        ]

    expected = outputs()
    request.getfixturevalue("channels_first")
    for one, other in zip(outputs(), expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-6)
