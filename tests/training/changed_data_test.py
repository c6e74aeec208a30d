"""Commands on a run whose data file has changed since the training.

The table has names, so that its columns may stand in another order.
"""

import shutil

import numpy as np
import pandas
import pytest
from sklearn.preprocessing import StandardScaler
from tiny_runs import run_module

from nae_tf import Calibration, ExportedModel, export_model, train
from nae_tf.data import Schema
from nae_tf.data.readers.stream import open_stream
from nae_tf.evaluation.evaluate import evaluate
from nae_tf.runs import configuration
from nae_tf.runs.checkpoints import restore
from nae_tf.runs.run_directory import RunDirectory
from nae_tf.serving.scoring import score_batches, stream_in_order
from nae_tf.training import phase_training
from nae_tf.training.experiment import Experiment

NUM_ROWS = 300
NAMES = ["mass", "energy", "charge"]
TINY = [
    "num_features=3",
    "latent_dim=2",
    "Experiment.pretraining=None",
    "FCRes2Encoder.units=8",
    "FCRes2Encoder.hidden_units=8",
    "FCRes2Decoder.units=8",
    "FCRes2Decoder.hidden_units=8",
    "latent/LangevinChain.num_steps=2",
    "visible/LangevinChain.num_steps=2",
    "training/Phase.epochs=0",
]


def table(rows=NUM_ROWS):
    return np.random.default_rng(0).normal(size=(rows, 3)).astype(np.float32)


def write(path, values, order=(0, 1, 2)):
    header = ",".join(NAMES[index] for index in order)
    np.savetxt(
        path,
        values[:, order],
        delimiter=",",
        header=header,
        comments="",
        fmt="%.9g",
    )


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A folder with a table, outliers and a run on them."""
    folder = tmp_path_factory.mktemp("trained")
    write(folder / "outliers.csv", table(20) + 5, [1, 2, 0])
    write(folder / "inliers.csv", table())
    train.train(RunDirectory(folder / "run"), experiment(folder))
    return folder


def experiment(folder, bindings=()):
    paths = [
        f"user_data.inliers='{folder}/inliers.csv'",
        f"user_data.outliers={{'far': '{folder}/outliers.csv'}}",
    ]
    configuration.parse_config(["vectors.gin"], [*TINY, *paths, *bindings])
    return Experiment.from_config()


def test_a_collapse_is_judged_by_standardised_features(tmp_path, monkeypatch):
    seen = []
    monkeypatch.setattr(
        phase_training,
        "warn_of_collapse",
        lambda name, model, x: seen.append((model(x), x)),
    )
    # One feature outweighs all others, in its units.
    write(tmp_path / "inliers.csv", table() * [1, 1, 1e6] + [0, 0, 1e7])
    write(tmp_path / "outliers.csv", table(20))
    pretraining = [
        "Experiment.pretraining=@pretraining/Phase()",
        "pretraining/Phase.epochs=1",
    ]
    train.train(
        RunDirectory(tmp_path / "run"), experiment(tmp_path, pretraining)
    )
    [(reconstructed, x)] = seen
    np.testing.assert_allclose(np.std(x, axis=0), 1, atol=0.4)
    assert np.abs(reconstructed).max() < 10


@pytest.fixture
def grown(trained):
    """The folder after one row was put in front of the table."""
    values = np.concatenate([np.ones((1, 3)), table()])
    # The order of its columns is no change.
    write(trained / "inliers.csv", values, [2, 0, 1])
    yield trained
    write(trained / "inliers.csv", table())


def test_a_training_is_not_resumed(grown):
    with pytest.raises(ValueError, match="301 inliers, 300 then, 1 new"):
        train.train(RunDirectory(grown / "run"), experiment(grown), resume=True)


def test_a_training_on_the_same_data_is_resumed(trained):
    run = RunDirectory(trained / "run")
    write(trained / "inliers.csv", table(), [1, 2, 0])
    results = train.train(run, experiment(trained), resume=True)
    assert results["inliers"]["count"] == 60


def test_an_evaluation_leaves_out_what_was_trained_on(grown):
    run = RunDirectory(grown / "run")
    with pytest.raises(ValueError, match="--changed_data=accept"):
        evaluate(run, experiment(grown))
    results = evaluate(run, experiment(grown), accept_changes=True)
    # All test inliers of the training, and perhaps the new row.
    assert results["inliers"]["count"] in (60, 61)
    assert results["outliers"]["far"]["count"] == 20


def test_an_export_is_calibrated_without_what_was_trained_on(grown):
    run = f"--run_dir={grown / 'run'}"
    refused = run_module("export", run)
    assert refused.returncode == 1
    last = refused.stderr.splitlines()[-1]
    assert last.startswith("error: the data of ")
    assert "1 new and 0 missing examples" in last
    accepted = run_module("export", run, "--changed_data=accept")
    assert accepted.returncode == 0, accepted.stderr
    schema = ExportedModel(grown / "run" / "export" / "1").schema
    assert schema == Schema.from_json(
        RunDirectory(grown / "run").schema.read_text()
    )
    assert schema.sets["train"].num_examples == 210
    assert schema.names == tuple(NAMES)
    number = accepted.stdout.split(" by ")[1].split()[0]
    assert number in ("30", "31")


def test_features_stay_standardised_by_what_was_trained_on(grown):
    run = RunDirectory(grown / "run")
    write(grown / "inliers.csv", table())
    scaler = StandardScaler().fit(experiment(grown).task.train.array)
    write(grown / "inliers.csv", 1e3 * table())  # Nothing of it was seen.
    model = experiment(grown).build_model()
    restore(model, run.checkpoints("training"))
    mean, scale = (
        getattr(model.standardization, name) for name in ("mean", "scale")
    )
    np.testing.assert_allclose(mean, scaler.mean_, atol=1e-6)
    np.testing.assert_allclose(scale, scaler.scale_, rtol=1e-6)


def test_an_export_of_another_shape_is_refused(trained, tmp_path):
    model = experiment(trained).build_model()
    calibration = Calibration([1.0, 2.0])
    with pytest.raises(ValueError, match="3 features instead of 4 features"):
        export_model(model, calibration, tmp_path, schema=Schema((4,)))
    path = export_model(model, calibration, tmp_path / "a")
    assert ExportedModel(path).schema is None
    path = export_model(model, calibration, tmp_path / "b", schema=Schema((3,)))
    file = path / "assets.extra" / "schema.json"
    file.write_text(Schema((4,)).to_json())
    with pytest.raises(ValueError, match=r"schema\.json.* of another model"):
        ExportedModel(path)
    shutil.copy(path / "saved_model.pb", file)
    with pytest.raises(ValueError, match=r"schema\.json.* cannot be read"):
        ExportedModel(path)


def test_columns_are_scored_by_their_names(trained, tmp_path):
    model = experiment(trained).build_model()
    path = export_model(
        model,
        Calibration([1.0, 2.0]),
        tmp_path,
        schema=Schema((3,), names=tuple(NAMES)),
    )
    expected = model.predict_outlier_score(table(20))
    for order in ([0, 1, 2], [2, 0, 1]):
        write(tmp_path / "x.csv", table(20), order)
        scores = score(path, tmp_path / "x.csv")
        np.testing.assert_allclose(scores, expected, rtol=1e-5)
    frame = pandas.DataFrame(table(20), columns=NAMES)[
        ["charge", "mass", "energy"]
    ]
    energies = ExportedModel(path).score(frame)["energy"]
    np.testing.assert_allclose(energies, expected, rtol=1e-6)
    with pytest.raises(ValueError, match=r"lacks the columns \['mass'\]"):
        ExportedModel(path).score(frame.rename(columns={"mass": "m"}))


def score(path, file):
    model = ExportedModel(path)
    stream = open_stream(str(file), (3,), 7)
    ordered = stream_in_order(model.schema, str(file), stream)
    return [
        float(row[1])
        for rows in score_batches(model, ordered, [])
        for row in rows
    ]
