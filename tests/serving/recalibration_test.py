"""Thresholds that change: rates on request, and new versions of an export."""

import numpy as np
import pytest
import tensorflow as tf
from tiny_models import image_networks, vector_nae

from nae_tf import Autoencoder
from nae_tf.data.schema import Schema
from nae_tf.serving import (
    Calibration,
    ExportedModel,
    export_model,
    recalibrate,
)
from nae_tf.serving.signatures import decisions

X = np.random.default_rng(0).normal(size=(40, 4)).astype(np.float32)
OLD = Calibration(np.linspace(0, 2, 99), 0.1)


def contents(folder):
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {file: file.read_bytes() for file in files}


@pytest.mark.parametrize("rate", [0.01, 0.05, 0.29, 0.5, 0.999])
def test_a_chosen_rate_decides_as_a_calibration_of_that_rate(rate):
    energies = np.concatenate([OLD.scores, OLD.scores + 0.01, [-1.0, 5.0]])
    served = decisions(
        OLD,
        tf.constant(energies),
        tf.zeros(len(energies), tf.int32),
        tf.fill([len(energies)], np.float32(rate)),
    )
    expected = Calibration(OLD.scores, rate).is_outlier(energies)
    np.testing.assert_array_equal(served["is_outlier"], expected)
    np.testing.assert_allclose(served["p_value"], OLD.p_values(energies))


def test_every_example_has_a_rate_of_its_own_and_a_wrong_one_is_told():
    rates = [0.5, 0.01, 0.0, 1.0, np.nan]
    served = decisions(
        OLD, tf.fill([5], 1.5), tf.zeros(5, tf.int32), tf.constant(rates)
    )
    assert served["is_outlier"].numpy().tolist() == [True, False] + [True] * 3
    assert served["status"].numpy().tolist() == [0, 0, 4, 4, 4]
    assert np.isnan(served["p_value"]).tolist() == [False] * 2 + [True] * 3


def test_an_export_takes_a_rate_and_old_requests_stay_as_they_were(
    exported_vectors,
):
    exported = ExportedModel(exported_vectors)
    scores = exported.score(X)
    for rate in (0.02, 0.5):
        chosen = exported.score(X, false_alarm_rate=rate)
        np.testing.assert_array_equal(chosen["p_value"], scores["p_value"])
        np.testing.assert_array_equal(
            chosen["is_outlier"], scores["p_value"] <= np.float32(rate)
        )
    loaded = tf.saved_model.load(str(exported_vectors))
    inputs = loaded.signatures["score"].structured_input_signature[1]
    assert list(inputs) == ["examples"]
    for rate in (0.0, 1.0, float("nan")):
        with pytest.raises(ValueError, match="false_alarm_rate"):
            exported.score(X, false_alarm_rate=rate)


def test_a_new_version_has_the_same_weights_and_another_calibration(tmp_path):
    schema = Schema((4,), names=("a", "b", "c", "d"))
    old_path = export_model(
        vector_nae(), OLD, tmp_path, 3, config="x = 1\n", schema=schema
    )
    before = contents(old_path)
    old = ExportedModel(old_path).score(X)
    new = Calibration(old["energy"][:30], 0.2, 0.05)
    paths = [recalibrate(old_path, new)]
    # A version of a version is no other, and does not grow by tables.
    paths.append(recalibrate(paths[0], new))
    assert contents(old_path) == before
    assert [path.name for path in paths] == ["4", "5"]
    for path in paths:
        scores = ExportedModel(path).score(X)
        np.testing.assert_array_equal(scores["energy"], old["energy"])
        np.testing.assert_allclose(
            scores["p_value"], new.p_values(old["energy"]), rtol=1e-6
        )
        np.testing.assert_allclose(
            scores["conditional_p_value"],
            new.conditional_p_values(old["energy"]),
            rtol=1e-5,
        )
        np.testing.assert_array_equal(
            scores["is_outlier"], new.is_outlier(old["energy"])
        )
        np.testing.assert_array_equal(
            ExportedModel(path).score(X, 0.5)["is_outlier"],
            scores["p_value"] <= 0.5,
        )
        extra = path / "assets.extra"
        assert (extra / "config.gin").read_text() == "x = 1\n"
        assert ExportedModel(path).schema.names == schema.names
        text = (extra / "calibration.json").read_text()
        assert Calibration.from_json(text).scores.tolist() == sorted(
            old["energy"][:30].tolist()
        )
        assert (extra / "tf_serving_warmup_requests").stat().st_size
    loaded = [tf.saved_model.load(str(path)) for path in (old_path, *paths)]
    assert loaded[1].signatures.keys() == loaded[0].signatures.keys()
    for name in ("reconstruct", "encode"):
        answers = [one.signatures[name](examples=X) for one in loaded]
        for output, value in answers[0].items():
            for answer in answers[1:]:
                np.testing.assert_array_equal(answer[output], value)
    first, *others = [
        sorted(weight.numpy().tobytes() for weight in one.weights)
        for one in loaded
    ]
    assert all(other == first for other in others)
    with pytest.raises(FileExistsError, match="choose another --version"):
        recalibrate(old_path, new, version=4)


def test_files_of_images_are_decided_by_the_new_calibration(tmp_path):
    model = Autoencoder(*image_networks())
    old_path = export_model(model, OLD, tmp_path)
    shape = ExportedModel(old_path).example_shape
    image = np.random.default_rng(1).integers(0, 256, shape, np.uint8)
    file = tf.io.encode_png(image).numpy()
    given = tf.constant([file, b"no image"])

    def score(path):
        loaded = tf.saved_model.load(str(path))
        return loaded.signatures["score_encoded_image"](image_bytes=given)

    old = score(old_path)
    energy = float(old["energy"][0])
    new = Calibration(energy + np.arange(-5.0, 4.0))
    found = score(recalibrate(old_path, new))
    assert found["energy"][0] == old["energy"][0]
    assert found["p_value"][0].numpy() == pytest.approx(0.5)
    assert found["status"].numpy().tolist() == [0, 3]
    assert bool(found["is_outlier"][1]) and np.isnan(found["p_value"][1])


def test_what_fails_leaves_nothing(tmp_path, monkeypatch):
    path = export_model(vector_nae(), OLD, tmp_path)
    before = contents(tmp_path)

    def fail(*arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("nae_tf.serving.export.flush_tree_to_disk", fail)
    with pytest.raises(OSError, match="No space left"):
        recalibrate(path, OLD)
    assert contents(tmp_path) == before
    assert [folder.name for folder in tmp_path.iterdir()] == ["1"]
    with pytest.raises(FileNotFoundError):
        recalibrate(tmp_path / "9", OLD)
