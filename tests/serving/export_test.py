"""Exports: which models, what is written, and what is refused."""

import json
import os
import pathlib
import types

import keras
import numpy as np
import pytest
import scipy.stats
import tensorflow as tf
from bad_cases.weather import full_disk
from evaluation_stand_in import MeanDetector, examples
from tiny_models import (
    image_networks,
    short_sampler,
    vector_nae,
    vector_networks,
)
from tiny_runs import DIGITS, TINY_DIGITS, run_module

from nae_tf import NAE, Autoencoder, ContrastiveDivergence, LangevinChain
from nae_tf.base import graph_operations
from nae_tf.base.detector import OutlierDetector
from nae_tf.data.task import Task
from nae_tf.export import calibrate
from nae_tf.runs.checkpoints import restore
from nae_tf.runs.run_directory import RunDirectory
from nae_tf.serving.calibration import Calibration
from nae_tf.serving.export import export_model
from nae_tf.serving.saved_model import ExportedModel
from nae_tf.training.experiment import Experiment

CALIBRATION = Calibration(np.linspace(0, 2, 99), 0.1)


class Distance(OutlierDetector):
    """The smallest of detectors: distance from a trained centre."""

    def __init__(self):
        super().__init__()
        self.example_shape = (4,)
        self.centre = self.add_weight(name="centre", shape=(4,))
        self.built = True

    def outlier_score(self, x):
        return tf.norm(x - tf.convert_to_tensor(self.centre), axis=-1)


def vectors(count):
    return np.random.default_rng(0).normal(size=(count, 4)).astype(np.float32)


def images(count):
    values = np.random.default_rng(1).random((count, 12, 12, 1))
    return values.astype(np.float32)


def colour_autoencoder():
    encoder = keras.Sequential(
        [keras.Input((5, 6, 3)), keras.layers.Flatten(), keras.layers.Dense(3)]
    )
    decoder = keras.Sequential(
        [
            keras.Input((3,)),
            keras.layers.Dense(90),
            keras.layers.Reshape((5, 6, 3)),
        ]
    )
    return Autoencoder(encoder, decoder)


@pytest.mark.parametrize("count", [1, 7, 1000])
@pytest.mark.parametrize("kind", ["NAE", "Autoencoder", "images", "own"])
def test_exported_scores_are_outlier_scores(kind, count, tmp_path):
    model, data = {
        "NAE": lambda: (vector_nae(), vectors),
        "Autoencoder": lambda: (Autoencoder(*vector_networks()), vectors),
        "images": lambda: (
            NAE(*image_networks(), sampler=short_sampler((0.0, 1.0))),
            images,
        ),
        "own": lambda: (Distance(), vectors),
    }[kind]()
    path = export_model(model, CALIBRATION, tmp_path)
    x = data(count)
    outputs = ExportedModel(path).score(x)
    expected = model.predict_outlier_score(x)
    np.testing.assert_allclose(outputs["energy"], expected, atol=1e-5)
    np.testing.assert_allclose(
        outputs["p_value"], CALIBRATION.p_values(outputs["energy"]), rtol=1e-5
    )
    np.testing.assert_allclose(
        outputs["conditional_p_value"],
        CALIBRATION.conditional_p_values(outputs["energy"]),
        rtol=1e-5,
    )
    # Those beside the threshold are ties with it.
    clear = abs(outputs["energy"] / CALIBRATION.threshold - 1) > 2e-4
    np.testing.assert_array_equal(
        outputs["is_outlier"][clear],
        outputs["energy"][clear] > CALIBRATION.threshold,
    )


def test_exported_p_values_of_fresh_inliers_are_uniform(tmp_path):
    rng = np.random.default_rng(3)
    model = vector_nae()
    held_out, fresh = rng.normal(size=(2, 2000, 4)).astype(np.float32)
    rate = 0.05
    calibration = Calibration(model.predict_outlier_score(held_out), rate)
    outputs = ExportedModel(export_model(model, calibration, tmp_path)).score(
        fresh
    )
    # The p-values share one calibration set, whose own spread is as large as
    # that of the fresh sample.
    distance = scipy.stats.kstest(outputs["p_value"], "uniform").statistic
    assert distance < 2.2 * np.sqrt(2 / 2000)
    alarms = np.mean(outputs["is_outlier"])
    spread = np.sqrt(2 * rate * (1 - rate) / 2000)
    assert abs(alarms - rate) < 4 * spread


def signatures(model, folder):
    path = export_model(model, CALIBRATION, folder)
    return tf.saved_model.load(str(path)).signatures


def test_a_model_answers_what_it_can(tmp_path):
    always = {"serving_default", "score", "score_at"}
    autoencoders = always | {"reconstruct", "encode"}
    contrastive = NAE(
        *vector_networks(),
        sampler=ContrastiveDivergence(visible_chain=LangevinChain(2, 0.1)),
    )
    for name, model, expected in [
        ("own", Distance(), always),
        ("ae", Autoencoder(*vector_networks()), autoencoders),
        ("cd", contrastive, autoencoders),
        ("nae", vector_nae(), autoencoders | {"sample"}),
        ("rgb", colour_autoencoder(), autoencoders | {"score_encoded_image"}),
    ]:
        assert set(signatures(model, tmp_path / name)) == expected, name


def test_reconstruction_error_map_and_latent_belong_together(tmp_path):
    model = colour_autoencoder()
    served = signatures(model, tmp_path)
    x = np.random.default_rng(2).random((3, 5, 6, 3)).astype(np.float32)
    outputs = served["reconstruct"](examples=tf.constant(x))
    np.testing.assert_allclose(outputs["reconstruction"], model(x), atol=1e-6)
    squares = (x - outputs["reconstruction"].numpy()) ** 2
    np.testing.assert_allclose(
        outputs["error_map"], squares.mean(axis=-1), rtol=1e-5
    )
    latent = served["encode"](examples=tf.constant(x))["latent"]
    np.testing.assert_allclose(latent, model.encode(x), atol=1e-6)


@pytest.mark.parametrize("encode", [tf.io.encode_png, tf.io.encode_jpeg])
def test_encoded_images_are_resized_as_training_images_are(encode, tmp_path):
    model = colour_autoencoder()
    levels = np.random.default_rng(3).integers(0, 256, (11, 17, 3), np.uint8)
    data = encode(levels).numpy()
    decoded = tf.io.decode_image(data)
    resized = tf.round(tf.image.resize(decoded, (5, 6), antialias=True)) / 255
    served = signatures(model, tmp_path)["score_encoded_image"]
    np.testing.assert_allclose(
        served(image_bytes=tf.constant([data]))["energy"],
        model.predict_outlier_score(resized[None]),
        rtol=1e-5,
    )


def test_versions_count_up(tmp_path):
    model = Distance()
    # As docs/guides/serving.md says, a server's settings may stand there.
    (tmp_path / "batching.txt").touch()
    assert export_model(model, CALIBRATION, tmp_path).name == "1"
    assert export_model(model, CALIBRATION, tmp_path, version=9).name == "9"
    assert export_model(model, CALIBRATION, tmp_path).name == "10"


def test_warm_up_requests_are_in_the_range_of_the_model(tmp_path, monkeypatch):
    written = {}
    monkeypatch.setattr(
        "nae_tf.serving.export.write_warmup_requests",
        lambda path, requests: written.update(requests),
    )
    model = vector_nae(sampler=short_sampler((-0.5, 0.5)))
    served = signatures(model, tmp_path)
    assert set(written) == set(served)
    for name, inputs in written.items():
        answer = served[name](
            **{name: tf.constant(value) for name, value in inputs.items()}
        )
        assert all(len(value) == 1 for value in answer.values())


def test_the_calibration_is_by_the_validation_inliers():
    rng = np.random.default_rng(5)
    train, validation, test = (
        examples(name, rng.normal(size=(count, 3)))
        for name, count in [("train", 30), ("validation", 20), ("test", 10)]
    )
    task = Task("task", train, validation, test)
    experiment = types.SimpleNamespace(task=task)
    calibration = calibrate(experiment, MeanDetector(), 0.2)
    np.testing.assert_allclose(
        calibration.scores, np.sort(validation.array.mean(axis=1))
    )
    assert calibration.false_alarm_rate == 0.2


def test_a_failed_export_leaves_nothing(tmp_path, monkeypatch):
    def fail(*arguments):
        raise OSError("disk full")

    monkeypatch.setattr("nae_tf.serving.export.write_warmup_requests", fail)
    with pytest.raises(OSError, match="disk full"):
        export_model(Distance(), CALIBRATION, tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("largest_file", [100, 8_000])
def test_a_full_disk_leaves_nothing(largest_file, tmp_path):
    directory = tmp_path / "export"
    model = Autoencoder(*vector_networks())
    with (
        full_disk(largest_file),
        pytest.raises(OSError, match="Free disk space"),
    ):
        export_model(model, CALIBRATION, directory)
    assert not list(directory.iterdir())


@pytest.mark.skipif(
    not os.path.isdir("/proc/self/fd"), reason="needs Linux's /proc"
)
def test_a_version_gets_its_name_when_all_of_it_is_on_the_disk(
    tmp_path, monkeypatch
):
    flushed, renamed = set(), []
    fsync, rename = os.fsync, os.rename

    def record_fsync(descriptor):
        fsync(descriptor)
        flushed.add(os.readlink(f"/proc/self/fd/{descriptor}"))

    def check_rename(old, new, **arguments):
        if os.path.dirname(new) == str(tmp_path):
            files = {str(path) for path in pathlib.Path(old).rglob("*")}
            assert {str(old), *files} <= flushed
            assert len(files) >= 7  # Graph, weights, assets.extra and folders.
            flushed.clear()
            renamed.append(str(new))
        rename(old, new, **arguments)

    monkeypatch.setattr(os, "fsync", record_fsync)
    monkeypatch.setattr(os, "rename", check_rename)
    path = export_model(Distance(), CALIBRATION, tmp_path)
    assert renamed == [str(path)]
    assert flushed == {str(tmp_path)}


def test_an_export_that_will_be_refused_says_so(tmp_path, monkeypatch):
    allowed = graph_operations.ALLOWED
    assert "Sqrt" in allowed
    monkeypatch.setattr(graph_operations, "ALLOWED", allowed - {"Sqrt"})
    with pytest.warns(UserWarning, match="'Sqrt'.*--trust_model"):
        export_model(Distance(), CALIBRATION, tmp_path)


@pytest.mark.parametrize("operation", ["ReadFile", "PyFunc"])
def test_a_hostile_saved_model_is_refused_before_it_is_loaded(
    operation, tmp_path
):
    secret = tmp_path / "secret"
    secret.write_text("secret")

    def hostile(examples):
        if operation == "ReadFile":
            text = tf.io.read_file(str(secret))
        else:
            text = tf.numpy_function(lambda: b"called", [], tf.string)
        energy = examples[:, 0] + tf.cast(tf.strings.length(text), tf.float32)
        return {"energy": energy}

    module = tf.Module()
    spec = tf.TensorSpec((None, 4), tf.float32, name="examples")
    function = tf.function(hostile, input_signature=[spec])
    tf.saved_model.save(
        module,
        str(tmp_path / "model"),
        signatures={"score": function.get_concrete_function()},
    )
    with pytest.raises(ValueError, match=f"refused.*{operation!r}"):
        ExportedModel(tmp_path / "model")


def test_a_hostile_keras_file_does_not_run(tmp_path):
    marker = tmp_path / "was_run"
    code = f"lambda x: (open({str(marker)!r}, 'w').close(), x)[1]"
    # The lambda is stored as Python byte code.
    layer = keras.layers.Lambda(eval(code))
    keras.Sequential([keras.Input((4,)), layer]).save(tmp_path / "bad.keras")
    marker.unlink(missing_ok=True)
    with pytest.raises(ValueError, match="unsafe"):
        keras.saving.load_model(tmp_path / "bad.keras")
    assert not marker.exists()


def test_a_trained_run_is_exported_with_its_calibration(tmp_path):
    run_dir = tmp_path / "run"
    bindings = [f"--gin_bindings={binding}" for binding in TINY_DIGITS]
    trained = run_module(
        "train", f"--gin_file={DIGITS}", *bindings, f"--run_dir={run_dir}"
    )
    assert trained.returncode == 0, trained.stderr
    exported = run_module(
        "export", f"--run_dir={run_dir}", "--false_alarm_rate=0.2"
    )
    assert exported.returncode == 0, exported.stderr
    path = run_dir / "export" / "1"
    extra = path / "assets.extra"
    assert (extra / "config.gin").read_text() == (
        run_dir / "config.gin"
    ).read_text()
    calibration = json.loads((run_dir / "calibration.json").read_text())
    assert json.loads((extra / "calibration.json").read_text()) == calibration
    assert calibration["false_alarm_rate"] == 0.2
    # An export that comes to nothing leaves the calibration of the first.
    refused = run_module(
        "export",
        f"--run_dir={run_dir}",
        "--version=1",
        "--false_alarm_rate=0.3",
    )
    assert refused.returncode == 1 and "exists already" in refused.stderr
    assert json.loads((run_dir / "calibration.json").read_text()) == calibration
    model = ExportedModel(path)
    assert model.example_shape == (8, 8, 1)
    directory = RunDirectory(run_dir)
    directory.load_config()
    trained = Experiment.from_config().build_model()
    restore(trained, directory.checkpoints("training"))
    x = np.random.default_rng(0).random((5, 8, 8, 1)).astype(np.float32)
    np.testing.assert_allclose(
        model.score(x)["energy"], trained.predict_outlier_score(x), rtol=1e-5
    )
