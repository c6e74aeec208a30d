"""nae-tf distil, on the run of an autoencoder."""

import json

import keras
import numpy as np
import pytest
from tiny_runs import run_module, train_autoencoder

from nae_tf.data import digits_holdout
from nae_tf.metrics import auroc
from nae_tf.serving import ExportedModel

COMMAND = "evaluation.distil_command"


@pytest.fixture(scope="module")
def run_dir(tmp_path_factory):
    path = tmp_path_factory.mktemp("run") / "digits"
    train_autoencoder(path)
    return path


def arrays(examples):
    return np.concatenate(list(examples.batches(256).as_numpy_iterator()))


def test_a_student_stands_for_itself(run_dir):
    done = run_module(
        COMMAND,
        f"--run_dir={run_dir}",
        "--gin_bindings=Distillation.steps=60",
        "--gin_bindings=Distillation.hidden_units=(8,)",
    )
    assert done.returncode == 0, done.stderr
    path = run_dir / "distilled" / "1"
    results = json.loads((path / "results.json").read_text())
    # 8x8 values to 8 units and to one.
    assert results["student"]["num_weights"] == 64 * 8 + 8 + 8 + 1
    assert results["settings"]["steps"] == 60
    assert results["num_calibration_scores"] == 162
    task = digits_holdout(9)
    test, nines = arrays(task.test), arrays(task.outliers["digit 9"])
    student = keras.saving.load_model(path / "student.keras")
    scores = [student.predict(x, verbose=0)[:, 0] for x in (test, nines)]
    values = results["methods"]["student"]["outliers"]["digit 9"]["metrics"]
    # The run's evaluation_limit: 32 examples of each set.
    assert abs(values["auroc"]["value"] - auroc(*scores)) < 0.25
    table, line = done.stdout.rstrip().split("\n\n")
    assert table.splitlines()[0].split() == [
        *("outliers", "(AUROC)", "Autoencoder", "student")
    ]
    assert f"{values['auroc']['value']:.3f}" in table
    assert line.startswith(f"{path}: 529 weights for ")
    answers = ExportedModel(path / "export" / "1").score(test)
    np.testing.assert_allclose(answers["energy"], scores[0], atol=1e-4)
    threshold = results["threshold"]
    clear = abs(scores[0] - threshold) > 1e-2
    assert np.array_equal(
        answers["is_outlier"][clear], scores[0][clear] > threshold
    )
    assert np.mean(answers["is_outlier"]) < 0.2
    assert (path / "export" / "1" / "assets.extra" / "schema.json").exists()


def test_an_unknown_setting_ends_in_one_line(run_dir):
    done = run_module(
        COMMAND, f"--run_dir={run_dir}", "--gin_bindings=Distillation.step=60"
    )
    assert done.returncode == 1
    *_, last = done.stderr.rstrip().splitlines()
    assert last.startswith("error: ") and "'step'" in last
    assert "Traceback" not in done.stderr
