"""Models for LiteRT, ONNX and OpenVINO against the SavedModel."""

import json
import sys
import zipfile

import keras
import numpy as np
import pytest
import tensorflow as tf
from tiny_models import vector_nae, vector_networks

from nae_tf import (
    NAE,
    Autoencoder,
    Calibration,
    ContrastiveDivergence,
    ExportedModel,
    LangevinChain,
    export_model,
)
from nae_tf.data.schema import Schema
from nae_tf.networks import Conv28Decoder, Conv28Encoder
from nae_tf.serving import export_for_device
from nae_tf.serving.device_formats import FORMATS
from nae_tf.serving.recalibration import recalibrate
from nae_tf.serving.watched import read_calibration

RANDOM = np.random.default_rng(0)
VECTORS = RANDOM.normal([5.0, 0.0, -3.0, 2.0], size=(40, 4)).astype(np.float32)
IMAGES = RANDOM.uniform(size=(12, 28, 28, 1)).astype(np.float32)


def table_nae():
    """A model that standardises, with names of features."""
    return vector_nae().standardize(VECTORS), VECTORS


def image_nae():
    keras.utils.set_random_seed(0)
    return NAE(
        Conv28Encoder(latent_dim=3, width=4, hidden_units=8),
        Conv28Decoder(latent_dim=3, width=4),
        sampler=ContrastiveDivergence(
            visible_chain=LangevinChain(2, 0.1, 0.05, bounds=(0.0, 1.0))
        ),
    ), IMAGES


def tied():
    """An autoencoder whose decoder is of no known layers."""

    class Doubled(keras.Model):
        def __init__(self):
            super().__init__()
            self.dense = keras.layers.Dense(4)

        def call(self, z):
            return 2.0 * self.dense(z)

    encoder, _ = vector_networks()
    return Autoencoder(encoder, Doubled()), VECTORS


def needs(name):
    for module in FORMATS[name].modules:
        pytest.importorskip(module)
    return FORMATS[name]


@pytest.fixture(scope="module", params=[table_nae, image_nae, tied])
def scored(request, tmp_path_factory):
    """A model, its examples, and what its SavedModel answers."""
    model, x = request.param()
    half = len(x) // 2
    calibration = Calibration(model.predict_outlier_score(x[:half]), 0.2)
    folder = tmp_path_factory.mktemp("export")
    exported = ExportedModel(export_model(model, calibration, folder))
    expected = {
        "score": exported.score(x),
        "reconstruct": {
            name: value.numpy()
            for name, value in exported.loaded.signatures["reconstruct"](
                examples=tf.constant(x)
            ).items()
        },
    }
    assert len(np.unique(expected["score"]["p_value"])) > 5
    return model, calibration, x, expected


@pytest.mark.parametrize("format", FORMATS)
def test_another_runtime_answers_what_the_saved_model_answers(
    format, scored, tmp_path
):
    chosen = needs(format)
    model, calibration, x, expected = scored
    path, num_checked, difference = export_for_device(
        model, calibration, tmp_path, format, examples=x[:7]
    )
    assert path == tmp_path / "1" and num_checked == 7
    assert difference < 1e-5 * np.max(expected["score"]["energy"])
    for name, outputs in expected.items():
        run = chosen.load(path / f"{name}{chosen.suffix}", name)
        for count in (len(x), 1):
            answers = run(x[:count])
            assert answers.keys() == outputs.keys()
            for key, values in outputs.items():
                np.testing.assert_allclose(
                    answers[key], values[:count], 1e-5, 1e-5, err_msg=key
                )
    bad = x.copy()
    bad[3] = np.nan
    run = chosen.load(path / f"score{chosen.suffix}", "score")
    answers = run(bad)
    assert np.flatnonzero(answers["status"]).tolist() == [3]
    assert np.isnan(answers["energy"][3]) and answers["is_outlier"][3]
    np.testing.assert_allclose(
        np.delete(answers["energy"], 3),
        np.delete(expected["score"]["energy"], 3),
        rtol=1e-5,
    )


def embedded(format, path):
    """Metadata in a file itself, read without this package."""
    if format == "litert":
        with zipfile.ZipFile(path / "score.tflite") as archive:
            return json.loads(archive.read("nae_tf.json"))
    if format == "onnx":
        import onnx

        properties = onnx.load(path / "score.onnx").metadata_props
        return {entry.key: entry.value for entry in properties}
    import openvino

    model = openvino.Core().read_model(path / "score.xml")
    return {
        name: value.value
        for name, value in model.get_rt_info()["nae_tf"].items()
    }


@pytest.mark.parametrize("format", FORMATS)
def test_names_and_threshold_travel_in_the_file(format, tmp_path):
    needs(format)
    names = ("mass", 'π "T" <x>', "charge", "z")
    model, _ = table_nae()
    calibration = Calibration(np.linspace(0, 2, 99), 0.1)
    path, *_ = export_for_device(
        model,
        calibration,
        tmp_path,
        format,
        version=3,
        config="NAE.seed = 1\n",
        schema=Schema((4,), names=names, units={"mass": "GeV"}),
    )
    facts = embedded(format, path)
    assert json.loads(facts["feature_names"]) == list(names)
    assert json.loads(facts["units"]) == {"mass": "GeV"}
    assert json.loads(facts["example_shape"]) == [4]
    # 99 scores: a rate of 0.1 allows ten of a hundred above the 90th.
    assert float(facts["threshold"]) == pytest.approx(2 * 89 / 98)
    assert float(facts["false_alarm_rate"]) == 0.1
    beside = json.loads((path / "metadata.json").read_text())
    assert beside["feature_names"] == list(names)
    assert beside["format"] == format
    assert Schema.from_json((path / "schema.json").read_text()).names == names
    assert (path / "config.gin").read_text() == "NAE.seed = 1\n"
    kept = Calibration.from_json((path / "calibration.json").read_text())
    assert kept.threshold == pytest.approx(2 * 89 / 98)


# --- What is refused --------------------------------------------------------


CALIBRATION = Calibration(np.linspace(0, 2, 99), 0.1)


def refusal(format, model, folder):
    with pytest.raises((ValueError, ImportError)) as caught:
        export_for_device(model, CALIBRATION, folder, format)
    # Nothing is left.
    assert not folder.exists() or not list(folder.iterdir())
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_an_unknown_format_is_refused(tmp_path):
    message = refusal("tensorrt", vector_nae(), tmp_path)
    assert "'litert', 'onnx' or 'openvino', received 'tensorrt'" in message


@pytest.mark.parametrize("format", FORMATS)
def test_a_missing_converter_is_named_with_its_extra(
    format, tmp_path, monkeypatch
):
    for module in FORMATS[format].modules:
        monkeypatch.setitem(sys.modules, module, None)
    message = refusal(format, vector_nae(), tmp_path)
    assert f"pip install 'nae-tf[{format}]'" in message
    assert f"{FORMATS[format].title} files need " in message


def test_a_model_without_weights_is_refused(tmp_path):
    model = Autoencoder(*vector_networks(built=False))
    assert "no weights to export yet" in refusal("onnx", model, tmp_path)


class Determinant(Autoencoder):
    """A score with an operation that no other runtime has."""

    def outlier_score(self, x):
        square = tf.eye(4)[None] + x[:, :, None] * x[:, None]
        return tf.linalg.logdet(square) + tf.linalg.svd(square)[0][:, 0]


@pytest.mark.parametrize("format", FORMATS)
def test_what_cannot_be_converted_is_refused_with_a_way_out(format, tmp_path):
    needs(format)
    message = refusal(format, Determinant(*vector_networks()), tmp_path)
    title = FORMATS[format].title
    assert message.startswith(
        f"Determinant cannot be converted to {title}: it has the operation "
        "Cholesky"
    )
    assert "Choose --format=saved_model" in message


def test_energies_that_differ_are_refused(tmp_path, monkeypatch):
    needs("onnx")
    model = vector_nae()
    scores = model.predict_outlier_score(VECTORS)
    monkeypatch.setattr(model, "predict_outlier_score", lambda x: scores[:32])
    message = refusal("onnx", model, tmp_path)
    assert "nothing was written" in message


@pytest.mark.parametrize(
    "use",
    [
        ExportedModel,
        read_calibration,
        lambda path: recalibrate(path, CALIBRATION),
    ],
)
def test_a_model_for_another_runtime_is_not_taken_for_a_saved_model(
    use, tmp_path
):
    (tmp_path / "metadata.json").write_text("{}")
    with pytest.raises(ValueError, match="for another runtime than TensorFlow"):
        use(tmp_path)
