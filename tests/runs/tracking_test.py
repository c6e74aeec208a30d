"""The snippets of the guide on other tools, where these are installed."""

import keras
import numpy as np
import pytest
from guides import snippet, with_epochs
from tiny_models import vector_nae

from nae_tf import NAEDetector

RNG = np.random.default_rng(0)


@pytest.fixture
def data():
    return {
        "x_train": RNG.normal(size=(64, 4)).astype(np.float32),
        "x_validation": RNG.normal(size=(32, 4)).astype(np.float32),
        "x_outliers": 5 + RNG.normal(size=(32, 4)).astype(np.float32),
        "x_test": RNG.normal(size=(16, 4)).astype(np.float32),
    }


@pytest.fixture
def mlflow(tmp_path, monkeypatch):
    mlflow = pytest.importorskip("mlflow")
    monkeypatch.chdir(tmp_path)
    mlflow.set_tracking_uri(f"sqlite:///{tmp_path}/runs.db")
    yield mlflow
    mlflow.tensorflow.autolog(disable=True)


def test_mlflow_logs_both_trainings(mlflow, data):
    model = vector_nae()
    pretraining = model.autoencoder()
    pretraining.compile(keras.optimizers.Adam(1e-2))
    code = with_epochs(snippet("tracking.md", "autolog("), 2)
    exec(code, data | {"model": model, "pretraining": pretraining})
    runs = mlflow.search_runs(order_by=["start_time"])
    assert sorted(runs["tags.mlflow.runName"]) == ["NAE", "pre-training"]
    for name, metric in (("pre-training", "loss"), ("NAE", "loss")):
        [run] = runs[runs["tags.mlflow.runName"] == name].run_id
        client = mlflow.MlflowClient()
        history = client.get_metric_history(run, metric)
        assert len(history) == 2, name
        assert all(np.isfinite(value.value) for value in history)
        assert client.get_run(run).data.params["epochs"] == "2"


@pytest.mark.slow  # MLflow asks another process what the model needs.
def test_mlflow_serves_scores(mlflow, data):
    model = vector_nae()
    names = data | {"model": model, "mlflow": mlflow}
    exec(snippet("tracking.md", "score_model()"), names)
    served = names["served"].predict(data["x_test"])
    np.testing.assert_allclose(
        np.ravel(served),
        model.predict_outlier_score(data["x_test"]),
        rtol=1e-5,
    )


@pytest.mark.slow
def test_mlflow_gives_a_detector_back(mlflow, data):
    detector = NAEDetector(
        networks="MLP", pretraining_steps=2, steps=1, random_state=0
    ).fit(data["x_train"])
    code = snippet("tracking.md", "mlflow.sklearn.log_model")
    lines = code.rstrip().splitlines()
    assert lines[-1].startswith("mlflow.sklearn.load_model")
    lines[-1] = f"scores = {lines[-1]}"
    names = data | {"detector": detector, "mlflow": mlflow}
    exec("\n".join(lines), names)
    np.testing.assert_allclose(
        names["scores"], detector.score_samples(data["x_test"]), rtol=1e-6
    )


def test_keras_tuner_finds_a_model(data, tmp_path, monkeypatch):
    pytest.importorskip("keras_tuner")
    monkeypatch.chdir(tmp_path)
    code = with_epochs(snippet("tracking.md", "HyperModel"), 2)
    code = code.replace("max_trials=10", "max_trials=2")
    names = dict(data)
    exec(code, names)
    best = names["tuner"].oracle.get_best_trials()[0]
    assert len(names["tuner"].oracle.trials) == 2
    assert 0 <= best.score <= 1
    scores = names["model"].predict_outlier_score(data["x_test"])
    assert scores.shape == (16,) and np.isfinite(scores).all()
