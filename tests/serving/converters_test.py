"""Exports in the formats of other runtimes: TensorFlow's own converter."""

import numpy as np
import pytest
import tensorflow as tf
from tiny_models import vector_nae

from nae_tf import Calibration, export_model
from nae_tf.serving.scoring import ExportedModel


@pytest.mark.filterwarnings(r"ignore:\s*Warning. tf.lite.Interpreter")
def test_lite_answers_what_the_export_answers(tmp_path):
    model = vector_nae()
    x = np.random.default_rng(0).normal(size=(40, 4)).astype(np.float32)
    calibration = Calibration(model.predict_outlier_score(x[:20]), 0.2)
    path = export_model(model, calibration, tmp_path / "export")
    expected = ExportedModel(path).score(x)
    assert len(np.unique(expected["p_value"])) > 5
    assert 0 < np.sum(expected["is_outlier"]) < 40
    converter = tf.lite.TFLiteConverter.from_saved_model(
        str(path), signature_keys=["score"]
    )
    interpreter = tf.lite.Interpreter(model_content=converter.convert())
    score = interpreter.get_signature_runner("score")
    answers = score(examples=x)
    assert answers.keys() == expected.keys()
    for name, values in expected.items():
        np.testing.assert_allclose(
            answers[name], values, rtol=1e-5, err_msg=name
        )
    x[3, 1] = np.nan
    assert score(examples=x)["status"].tolist() == [0] * 3 + [1] + [0] * 36
