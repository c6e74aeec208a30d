"""Tests of nae_tf/training/run_data.py: what a run knows of its data."""

import json

import keras
import numpy as np
import pytest

from nae_tf.data import user_data
from nae_tf.runs.run_directory import RunDirectory
from nae_tf.training import run_data
from nae_tf.training.experiment import Experiment, Phase

NUM_ROWS = 600


def table(seed=0, rows=NUM_ROWS):
    return np.random.default_rng(seed).normal(size=(rows, 3))


def experiment_on(path, limit=None, **settings):
    phase = Phase(keras.optimizers.Adam, epochs=1)
    task = user_data(str(path), **settings)
    # No model is made here.
    return Experiment(task, dict, phase, evaluation_limit=limit, guard=None)


@pytest.fixture
def run(tmp_path):
    """A run that was trained on a table of 600 rows."""
    run = RunDirectory(tmp_path / "run")
    run.path.mkdir()
    np.save(tmp_path / "a.npy", table())
    run_data.record_data(run, experiment_on(tmp_path / "a.npy").task)
    return run


def rows_of(examples):
    stored = np.stack(list(examples.stored().as_numpy_iterator()))
    return {row.tobytes() for row in stored.astype(np.float32)}


def trained_on(tmp_path):
    return rows_of(experiment_on(tmp_path / "a.npy").task.train)


def put_in_front(tmp_path, rows):
    np.save(tmp_path / "a.npy", np.concatenate([rows, table()]))


def test_the_same_data_are_taken(run, tmp_path):
    experiment = experiment_on(tmp_path / "a.npy")
    for resuming in (False, True):
        task = run_data.with_data_of_run(run, experiment, resuming).task
        for name in ("train", "validation", "test"):
            assert getattr(task, name) is getattr(experiment.task, name)


@pytest.mark.parametrize("resuming", [False, True])
def test_one_row_in_front_is_refused(resuming, run, tmp_path):
    put_in_front(tmp_path, np.ones((1, 3)))
    experiment = experiment_on(tmp_path / "a.npy")
    with pytest.raises(ValueError) as caught:
        run_data.with_data_of_run(run, experiment, resuming)
    message = str(caught.value)
    assert "601 inliers, 600 then, 1 new and 0 missing examples" in message
    assert "a.npy has 601 examples, had 600" in message
    assert ("--changed_data=accept" in message) != resuming
    assert "\n" not in message


def test_a_resumed_training_never_accepts_other_data(run, tmp_path):
    put_in_front(tmp_path, np.ones((1, 3)))
    experiment = experiment_on(tmp_path / "a.npy")
    with pytest.raises(ValueError, match="train in another --run_dir"):
        run_data.with_data_of_run(run, experiment, True, accept_changes=True)


def test_accepted_data_hold_out_nothing_that_was_trained_on(run, tmp_path):
    """One row in front changes the split, but not who was trained on."""
    trained = trained_on(tmp_path)
    before = experiment_on(tmp_path / "a.npy").task
    held_out = rows_of(before.validation), rows_of(before.test)
    put_in_front(tmp_path, np.ones((1, 3)))
    naive = experiment_on(tmp_path / "a.npy")
    # Seventy of a hundred, if membership is independent.
    assert len(rows_of(naive.task.validation) & trained) > 30
    task = run_data.with_data_of_run(run, naive, accept_changes=True).task
    assert not rows_of(task.validation) & trained
    assert not rows_of(task.test) & trained
    # What was held out is still there, and where it was.
    assert rows_of(task.validation) >= held_out[0]
    assert rows_of(task.test) >= held_out[1]
    everything = rows_of(task.validation) | rows_of(task.test)
    assert len(everything - held_out[0] - held_out[1]) <= 1


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (table()[:500], "500 inliers, 600 then, 0 new and 100 missing"),
        (table()[::-1], "the same examples in another order"),
        (table(seed=1), "600 new and 600 missing examples"),
        (table()[:, :2], "examples of 2 features instead of 3 features"),
    ],
    ids=["shorter", "reversed", "others", "narrower"],
)
def test_what_has_changed_is_said(values, message, run, tmp_path):
    np.save(tmp_path / "a.npy", values)
    with pytest.raises(ValueError, match=message):
        run_data.with_data_of_run(run, experiment_on(tmp_path / "a.npy"))


def test_another_file_of_the_same_examples_is_taken(run, tmp_path):
    np.savez(tmp_path / "b.npz", x=table())
    experiment = experiment_on(tmp_path / "b.npz")
    assert run_data.with_data_of_run(run, experiment).task.train.size == 420


def test_a_run_without_a_schema_says_so(tmp_path, capsys):
    np.save(tmp_path / "a.npy", table())
    experiment = experiment_on(tmp_path / "a.npy", limit=5)
    run = RunDirectory(tmp_path / "old")
    assert run_data.with_data_of_run(run, experiment) is experiment
    [line] = capsys.readouterr().err.splitlines()
    assert "carries no schema" in line


def test_what_was_trained_on_is_not_guessed(run, tmp_path):
    put_in_front(tmp_path, np.ones((1, 3)))
    run.fingerprints.write_bytes(b"")
    with pytest.raises(ValueError, match=r"fingerprints\.npz.* damaged"):
        run_data.with_data_of_run(
            run, experiment_on(tmp_path / "a.npy"), accept_changes=True
        )


def test_a_damaged_schema_is_named(run, tmp_path):
    run.schema.write_text(run.schema.read_text()[:-20])
    with pytest.raises(ValueError, match=r"schema\.json' cannot be read"):
        run_data.with_data_of_run(run, experiment_on(tmp_path / "a.npy"))


def test_outliers_of_model_selection_are_part_of_a_training(tmp_path):
    run = RunDirectory(tmp_path / "run")
    run.path.mkdir()
    np.save(tmp_path / "a.npy", table())
    np.save(tmp_path / "b.npy", table(1, 20))
    selection = {"b": str(tmp_path / "b.npy")}
    experiment = experiment_on(tmp_path / "a.npy", selection=selection)
    run_data.record_data(run, experiment.task)
    np.save(tmp_path / "b.npy", table(2, 20))
    other = experiment_on(tmp_path / "a.npy", selection=selection)
    with pytest.raises(ValueError, match="selection/b"):
        run_data.with_data_of_run(run, other, resuming=True)
    # They have no part in an evaluation.
    assert run_data.with_data_of_run(run, other)


def test_sets_are_cut_to_the_limit_at_random(run, tmp_path):
    experiment = experiment_on(tmp_path / "a.npy", limit=20)
    task = run_data.with_data_of_run(run, experiment).task
    assert (task.train.size, task.validation.size) == (420, 20)
    whole = np.stack(list(experiment.task.test.stored().as_numpy_iterator()))
    drawn = rows_of(task.test)
    assert len(drawn) == 20
    assert drawn != {row.tobytes() for row in whole[:20].astype(np.float32)}
    assert drawn < {row.tobytes() for row in whole.astype(np.float32)}


def test_the_schema_is_written_with_the_run(run):
    schema = json.loads(run.schema.read_text())
    assert schema["shape"] == [3]
    sizes = [part["num_examples"] for part in schema["sets"].values()]
    assert list(schema["sets"]) == ["train", "validation", "test"]
    assert sizes == [420, 60, 120]
    [(path, count)] = schema["files"].items()
    assert path.endswith("a.npy") and count == NUM_ROWS
    low, high = schema["value_range"]
    assert table().min() <= low + 1e-6 and high <= table().max() + 1e-6
