"""The command lines, as a user runs them, on tiny budgets."""

import csv
import json
import shutil

import numpy as np
import pytest
import tensorflow as tf
from sklearn.metrics import roc_auc_score
from tiny_runs import DIGITS, TINY_DIGITS, run_module, train_autoencoder

from nae_tf import train
from nae_tf.evaluation.results import aurocs
from nae_tf.runs import configuration, run_directory
from nae_tf.runs.checkpoints import CheckpointDirectory, restore
from nae_tf.training import callbacks
from nae_tf.training.experiment import Experiment
from nae_tf.training.interruption import Interruption


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A finished tiny run: its directory and what the command printed."""
    run_dir = tmp_path_factory.mktemp("runs") / "digits"
    finished = run_module(
        "train",
        "--gin_file=gin/digits.gin",
        *(f"--gin_bindings={binding}" for binding in TINY_DIGITS),
        f"--run_dir={run_dir}",
    )
    assert finished.returncode == 0, finished.stderr
    return run_dir, finished.stdout


def test_a_training_says_what_there_is_in_short_lines(tmp_path, capsys):
    train_autoencoder(tmp_path / "run")
    lines = capsys.readouterr().err.splitlines()
    counts = "1,132 training, 162 validation, 323 test inliers; 180 'digit 9'"
    assert lines[0] == counts
    assert lines[1].startswith("to choose an epoch by: ")
    assert lines[2] == "training: 4 epochs of 5 steps on digits without 9"
    assert lines[3] == "(error: mean squared error of reconstructions)"
    assert lines[4].startswith("training 1/4  loss ")
    assert max(map(len, lines)) < 100


def rows(run_dir):
    with open(run_dir / "metrics.csv", newline="") as file:
        return list(csv.DictReader(file))


def series(run_dir, phase, metric):
    return [
        float(row["value"])
        for row in rows(run_dir)
        if row["phase"] == phase and row["metric"] == metric
    ]


def load_experiment(run_dir):
    directory = run_directory.RunDirectory(run_dir)
    directory.load_config()
    return directory, Experiment.from_config()


def test_the_table_shows_both_methods_and_the_held_out_digit(run):
    run_dir, output = run
    scores = aurocs(json.loads((run_dir / "results.json").read_text()))
    assert set(scores) == {"AE", "NAE"}
    line = next(line for line in output.splitlines() if "digit 4" in line)
    assert line.split()[-2:] == [
        f"{scores[method]['digit 4']:.3f}" for method in ("AE", "NAE")
    ]


def test_evaluate_makes_the_same_files_from_the_directory_alone(run):
    run_dir, output = run
    files = [run_dir / "results.json", run_dir / "report.html"]
    before = [file.read_bytes() for file in files]
    for file in files:
        file.unlink()
    evaluated = run_module("evaluate", f"--run_dir={run_dir}")
    assert evaluated.returncode == 0, evaluated.stderr
    shown = evaluated.stdout.splitlines()
    assert shown[-1].startswith("verdict: failed: ")  # After a few steps.
    assert set(shown) <= set(output.splitlines())
    assert [file.read_bytes() for file in files] == before
    assert "evaluate:" not in evaluated.stderr  # No progress bar in a pipe.


def test_the_working_point_is_chosen_on_the_command_line(run, tmp_path):
    run_dir, _ = run
    copy = shutil.copytree(run_dir, tmp_path / "run")
    arguments = [f"--run_dir={copy}", "--signal_efficiency=0.5"]
    assert run_module("evaluate", *arguments).returncode == 0
    results = json.loads((copy / "results.json").read_text())
    assert results["signal_efficiency"] == 0.5
    assert "1/FPR at 50" in (copy / "report.html").read_text()
    arguments[1] = "--signal_efficiency=0"
    failed = run_module("evaluate", *arguments)
    assert failed.returncode == 1
    assert "signal_efficiency in (0, 1]" in failed.stderr.splitlines()[-1]


def test_the_reported_auroc_is_that_of_the_scores_on_test_data(run):
    run_dir, _ = run
    directory, experiment = load_experiment(run_dir)
    model = experiment.build_model()
    restore(model, directory.checkpoints("training"))
    inliers, outliers = (
        np.concatenate(list(examples.batches(64).as_numpy_iterator()))
        for examples in (
            experiment.task.test,
            experiment.task.outliers["digit 4"],
        )
    )
    errors = [
        np.mean((x - model(x).numpy()) ** 2, axis=(1, 2, 3))
        for x in (inliers, outliers)
    ]
    labels = np.repeat([0, 1], [len(inliers), len(outliers)])
    reported = aurocs(json.loads((run_dir / "results.json").read_text()))
    assert reported["NAE"]["digit 4"] == pytest.approx(
        roc_auc_score(labels, np.concatenate(errors)), abs=1e-6
    )


def test_the_metrics_file_holds_every_epoch_of_both_phases(run):
    run_dir, _ = run
    assert len(series(run_dir, "pretraining", "val_reconstruction_error")) == 3
    assert len(series(run_dir, "training", "selection_auroc")) == 2
    steps = [row["step"] for row in rows(run_dir) if row["metric"] == "loss"]
    per_epoch = -(-1131 // 128)  # 1,131 training digits that are not a 4
    pretraining = [str(per_epoch * epoch) for epoch in (1, 2, 3)]
    assert steps == [*pretraining, "3", "6"]


def test_tensorboard_holds_the_metrics_of_the_metrics_file(run):
    event_accumulator = pytest.importorskip(
        "tensorboard.backend.event_processing.event_accumulator"
    )
    run_dir, _ = run
    events = event_accumulator.EventAccumulator(
        str(run_dir / "tensorboard" / "training"), size_guidance={"tensors": 0}
    ).Reload()
    for tag, metric in [
        ("energy/positive", "positive_energy"),
        ("energy/negative", "negative_energy"),
        ("energy/gap", "energy_gap"),
        ("chain/latent/gradient_norm", "latent_gradient_norm"),
        ("chain/visible/fraction_at_bound", "visible_fraction_at_bound"),
        ("outliers/constant_gray/auroc", "outliers/constant_gray/auroc"),
    ]:
        logged = [
            float(tf.make_ndarray(event.tensor_proto))
            for event in events.Tensors(tag)
        ]
        assert logged == pytest.approx(series(run_dir, "training", metric))
    assert [event.step for event in events.Tensors("energy/gap")] == [3, 6]


def test_the_best_autoencoder_is_kept(run):
    run_dir, _ = run
    directory, experiment = load_experiment(run_dir)
    autoencoder = experiment.build_model().autoencoder()
    restore(autoencoder, directory.checkpoints("pretraining"))
    autoencoder.compile()
    validation = experiment.task.validation.batches(64)
    error = autoencoder.evaluate(validation, verbose=0, return_dict=True)
    errors = series(run_dir, "pretraining", "val_reconstruction_error")
    assert error["reconstruction_error"] == pytest.approx(min(errors), rel=1e-4)


def test_training_starts_from_the_best_autoencoder(tmp_path, monkeypatch):
    end_epoch = callbacks.KeepBest.on_epoch_end

    def first_is_best(self, epoch, logs=None):
        end_epoch(self, epoch, {self.monitor: float(epoch)})

    monkeypatch.setattr(callbacks.KeepBest, "on_epoch_end", first_is_best)
    bindings = [
        "pretraining/Phase.epochs=2",
        "pretraining/Phase.steps_per_epoch=2",
        "training/Phase.epochs=0",
    ]
    configuration.parse_config([DIGITS], [*TINY_DIGITS, *bindings])
    experiment = Experiment.from_config()
    run = run_directory.RunDirectory(tmp_path)
    with Interruption() as interruption:
        for phase in train.prepare(run, experiment, False, interruption):
            phase.train()
    pretraining = CheckpointDirectory(run.checkpoints("pretraining")).newest()
    assert pretraining.progress.epoch == 2
    assert pretraining.progress.best_epoch == 1
    weights = []
    for phase, model in [
        ("pretraining", experiment.build_model().autoencoder()),
        ("training", experiment.build_model()),
    ]:
        restore(model, run.checkpoints(phase))
        networks = (model.encoder, model.decoder)
        weights.append([w for net in networks for w in net.get_weights()])
    for best, first in zip(*weights, strict=True):
        np.testing.assert_array_equal(first, best)


@pytest.mark.parametrize("dead", [False, True])
def test_an_autoencoder_that_draws_all_examples_alike_is_told(
    dead, tmp_path, monkeypatch, capsys
):
    build_model = Experiment.build_model

    def build(experiment):
        model = build_model(experiment)
        if dead:
            model.decoder.set_weights(
                [np.zeros_like(w) for w in model.decoder.get_weights()]
            )
        return model

    monkeypatch.setattr(Experiment, "build_model", build)
    # Adam cannot move what has no gradient: at zero, all but the last bias.
    configuration.parse_config(
        [DIGITS], [*TINY_DIGITS, "training/Phase.epochs=0"]
    )
    directory = run_directory.RunDirectory(tmp_path / "run")
    train.train(directory, Experiment.from_config())
    told = "pretraining: warning: the autoencoder draws all examples alike"
    assert (told in capsys.readouterr().err) == dead


def test_the_checkpoint_brings_back_the_replay_buffer(run):
    run_dir, _ = run
    directory, experiment = load_experiment(run_dir)
    model = experiment.build_model()
    restore(model, directory.checkpoints("training"))
    # Epoch 2 of 2 unless epoch 1 was better: 3 or 6 steps of 128 chains.
    assert int(model.replay_buffer.size) in (3 * 128, 6 * 128)
    norms = np.linalg.norm(model.replay_buffer.states[: 3 * 128], axis=1)
    np.testing.assert_allclose(norms, 1.0, atol=1e-5)


def test_the_same_seed_gives_the_same_run(run, tmp_path):
    run_dir, _ = run
    configuration.parse_config([DIGITS], TINY_DIGITS)
    again = run_directory.RunDirectory(tmp_path / "again")
    train.train(again, Experiment.from_config())
    for metric in ("loss", "positive_energy", "negative_energy"):
        assert series(again.path, "training", metric) == pytest.approx(
            series(run_dir, "training", metric), rel=1e-5
        )


def test_a_mistake_ends_in_one_line_and_leaves_no_run(tmp_path):
    failed = run_module(
        "train",
        "--gin_file=gin/digits.gin",
        "--gin_bindings=NAE.sed=1",
        f"--run_dir={tmp_path / 'run'}",
    )
    assert failed.returncode == 1
    assert failed.stderr.splitlines()[-1].startswith("error: ")
    assert failed.stderr.endswith("Did you mean 'seed'?\n")
    assert "Traceback" not in failed.stderr
    assert not (tmp_path / "run").exists()
