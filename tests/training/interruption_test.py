"""Training that is interrupted ends as if it had not been."""

import json
import os
import shutil
import signal
import subprocess
import sys
import types

import keras
import pytest
from methods import KINDS_FIRST, experiment
from run_ends import assert_same_end, final_state, rows, send_once
from tensorboard.backend.event_processing.event_file_loader import (
    EventFileLoader,
)
from tiny_runs import ROOT, train_autoencoder

from nae_tf import train
from nae_tf.data.examples import Examples
from nae_tf.runs import run_directory
from nae_tf.runs.checkpoints import CheckpointDirectory, verified
from nae_tf.training import interruption
from nae_tf.training.experiment import Phase
from nae_tf.training.phase_checkpoints import PhaseCheckpoints
from nae_tf.training.phase_training import PhaseTraining


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    path = tmp_path_factory.mktemp("runs") / "uninterrupted"
    train_autoencoder(path)
    return path


# Both have one handler: SIGINT comes at one instant, and at all if slowly.
@pytest.mark.parametrize(
    ("number", "instant"),
    [
        *((signal.SIGTERM, at) for at in [(0, 1), (1, 4), (2, 0), (4, 0)]),
        (signal.SIGINT, (1, 4)),
        *(
            pytest.param(signal.SIGINT, at, marks=pytest.mark.slow)
            for at in [(0, 1), (2, 0), (4, 0)]
        ),
    ],
)
def test_a_signal_saves_and_exits_with_75(
    instant, number, uninterrupted, tmp_path, monkeypatch, capsys
):
    send_once(monkeypatch, lambda *at: at == instant, number)
    with pytest.raises(SystemExit) as stop:
        train_autoencoder(tmp_path / "run")
    assert stop.value.code == 75
    assert f"{number.name}: the progress is saved" in capsys.readouterr().err
    progress, _ = final_state(tmp_path / "run")
    assert (progress.epoch, progress.step) == instant
    train_autoencoder(tmp_path / "run", resume=True)
    assert_same_end(tmp_path / "run", uninterrupted)
    # The handlers of the time before are back.
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL


def test_a_training_that_standardises_is_resumed(tmp_path, monkeypatch):
    standardize = "Experiment.standardize=True"
    train_autoencoder(tmp_path / "alone", standardize)
    send_once(monkeypatch, lambda *at: at == (1, 4))
    with pytest.raises(SystemExit):
        train_autoencoder(tmp_path / "run", standardize)
    train_autoencoder(tmp_path / "run", standardize, resume=True)
    assert_same_end(tmp_path / "run", tmp_path / "alone")
    _, state = final_state(tmp_path / "run")
    held = [name for name in state if "standardization" in name]
    assert len(held) == 2


def test_a_signal_after_the_last_step_comes_before_the_evaluation(
    tmp_path, monkeypatch
):
    train_phase = PhaseTraining.train

    def train(self):
        train_phase(self)
        os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(PhaseTraining, "train", train)
    with pytest.raises(SystemExit) as stop:
        train_autoencoder(tmp_path / "run", "training/Phase.epochs=0")
    assert stop.value.code == 75
    assert not (tmp_path / "run" / "results.json").exists()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_evaluation_at_once(
    number, tmp_path, monkeypatch, capsys
):
    monkeypatch.setattr(
        train, "evaluate", lambda *unused: os.kill(os.getpid(), number)
    )
    with pytest.raises(SystemExit) as stop:
        train_autoencoder(tmp_path / "run", "training/Phase.epochs=0")
    assert stop.value.code == 75
    assert f"{number.name}: the training is saved" in capsys.readouterr().err
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL


def test_a_second_ctrl_c_ends_at_once():
    with interruption.Interruption() as watched:
        signal.raise_signal(signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
        watched.agree()
        assert watched.signal == signal.SIGINT


def test_early_stopping_remembers_how_long_it_waited(tmp_path, monkeypatch):
    bindings = [
        "training/Adam.learning_rate=0.0",  # Nothing ever improves.
        "training/Phase.patience=3",
        "training/Phase.epochs=9",
    ]
    train_autoencoder(tmp_path / "alone", *bindings)
    assert final_state(tmp_path / "alone")[0].epoch == 4
    send_once(monkeypatch, lambda *at: at == (2, 2))
    with pytest.raises(SystemExit):
        train_autoencoder(tmp_path / "run", *bindings)
    train_autoencoder(tmp_path / "run", *bindings, resume=True)
    assert_same_end(tmp_path / "run", tmp_path / "alone")


def test_what_was_written_after_the_checkpoint_is_cut_off(
    uninterrupted, tmp_path, monkeypatch
):
    send_once(monkeypatch, lambda *at: at == (2, 3))
    with pytest.raises(SystemExit):
        train_autoencoder(tmp_path / "run")
    with open(tmp_path / "run" / "metrics.csv", "a") as file:
        file.write("training,3,15,0.1,loss,0.5\ntraining,3,1")
    late = tmp_path / "run" / "tensorboard" / "training" / "events.late"
    late.write_text("written after the checkpoint")
    train_autoencoder(tmp_path / "run", resume=True)
    assert not late.exists()
    assert_same_end(tmp_path / "run", uninterrupted)


def test_after_damage_the_resume_names_the_checkpoint_that_it_uses(
    uninterrupted, tmp_path, monkeypatch, caplog
):
    often = [
        "CheckpointSchedule.interval_seconds=0.0",
        "CheckpointSchedule.max_share=1.0",
    ]
    send_once(monkeypatch, lambda *at: at == (2, 3))
    with pytest.raises(SystemExit):
        train_autoencoder(tmp_path / "run", *often)
    folder = tmp_path / "run" / "checkpoints" / "training"
    before, newest = sorted(folder.iterdir())
    [weights] = newest.glob("variables.data-*")
    weights.write_bytes(weights.read_bytes()[:-1])
    progress = verified(before).progress
    train_autoencoder(tmp_path / "run", *often, resume=True)
    [said] = [text for text in caplog.messages if "is damaged" in text]
    assert f"{str(weights)!r} is damaged" in said
    assert said.endswith(
        f"using {str(before)!r} instead, of epoch {progress.epoch}, step "
        f"{progress.step}."
    )
    assert_same_end(tmp_path / "run", uninterrupted)
    steps = [
        (event.step, value.tag)
        for file in (tmp_path / "run" / "tensorboard").rglob("events*")
        for event in EventFileLoader(str(file)).Load()
        for value in event.summary.value
    ]
    assert len(steps) == len(set(steps)) > 0


def test_seconds_go_on_whatever_the_time_of_day(tmp_path, monkeypatch):
    jumps = iter([1e9, 2e9, 0.0, 3e9] * 10_000)
    monkeypatch.setattr("time.time", lambda: next(jumps))
    send_once(monkeypatch, lambda *at: at == (2, 3))
    with pytest.raises(SystemExit):
        train_autoencoder(tmp_path / "run")
    train_autoencoder(tmp_path / "run", resume=True)
    seconds = [float(row["seconds"]) for row in rows(tmp_path / "run")]
    assert seconds == sorted(seconds)
    assert 0 < seconds[-1] < 600


def test_checkpoints_never_take_more_than_their_share():
    schedule = interruption.CheckpointSchedule(
        interval_seconds=10.0, max_share=0.02
    )
    assert not schedule.is_due(9.9, cost=0.1)
    assert schedule.is_due(10.1, cost=0.1)
    assert not schedule.is_due(49.0, cost=1.0)
    assert schedule.is_due(51.0, cost=1.0)


def test_after_a_checkpoint_that_took_long_the_next_one_waits(monkeypatch):
    now = 0.0
    clock = types.SimpleNamespace(monotonic=lambda: now)
    monkeypatch.setattr(interruption, "time", clock)
    saved = []

    def save(epoch, step, finished):
        nonlocal now
        saved.append(now)
        now += 2.0

    schedule = interruption.CheckpointSchedule(
        interval_seconds=10.0, max_share=0.02
    )
    saving = interruption.SaveProgress(
        save, schedule, interruption.Interruption(), 1
    )
    saving.set_params({"steps": 1_000})
    for step in range(300):
        now += 1.0
        saving.on_train_batch_end(step)
    # Two seconds are two hundredths of a hundred.
    assert saved == [10.0, 112.0, 214.0]


@pytest.mark.parametrize("method", KINDS_FIRST)
def test_every_method_resumes_exactly(method, tmp_path, monkeypatch):
    def train_phase(name):
        configured = experiment(method)
        model = configured.build_model()
        model.compile(configured.training.optimizer())
        run = run_directory.RunDirectory(tmp_path / name)
        run.path.mkdir(exist_ok=True)
        run.config.write_text("")
        with interruption.Interruption() as watched:
            PhaseTraining(
                run,
                configured,
                "training",
                model,
                configured.training,
                watched,
            ).train()

    save = PhaseCheckpoints.save

    def save_and_copy(self, epoch, step, finished):
        progress = save(self, epoch, step, finished)
        if (epoch, step) == (1, 1):
            # What a kill leaves at this moment.
            shutil.copytree(tmp_path / "alone", tmp_path / "run")
        return progress

    with monkeypatch.context() as patch:
        patch.setattr(PhaseCheckpoints, "save", save_and_copy)
        schedule = interruption.CheckpointSchedule
        patch.setattr(schedule, "is_due", lambda *unused: True)
        train_phase("alone")
    progress, _ = final_state(tmp_path / "run")
    assert (progress.epoch, progress.step) == (1, 1)
    train_phase("run")
    assert_same_end(tmp_path / "run", tmp_path / "alone")


# --- A phase ------------------------------------------------------------------


def test_the_epoch_that_selection_data_like_best_is_kept(uninterrupted):
    metrics = [
        (float(row["value"]), int(row["epoch"]))
        for row in rows(uninterrupted)
        if row["metric"] == "selection_auroc"
    ]
    # A later epoch wins a tie.
    assert final_state(uninterrupted)[0].best_epoch == max(metrics)[1]


def test_a_phase_has_the_batches_that_it_asks_for(tmp_path, monkeypatch):
    asked = []
    training_batches = Examples.training_batches

    def record(self, batch_size, seed, **settings):
        asked.append({"batch_size": batch_size, "seed": seed, **settings})
        return training_batches(self, batch_size, seed, **settings)

    monkeypatch.setattr(Examples, "training_batches", record)
    train_autoencoder(
        tmp_path / "run",
        "seed=3",
        "training/Phase.batch_size=16",
        "training/Phase.dequantize=False",
        "training/Phase.flip=True",
        "training/Phase.epochs=1",
        "training/Phase.steps_per_epoch=1",
    )
    assert asked == [
        {
            "batch_size": 16,
            "seed": 3,
            "start_step": 0,
            "dequantize": False,
            "flip": True,
        }
    ]
    phase = Phase(optimizer=keras.optimizers.Adam, epochs=1)
    assert (phase.dequantize, phase.flip) == (True, False)


# --- The command --------------------------------------------------------------


def test_a_finished_run_is_evaluated_again(uninterrupted, tmp_path):
    shutil.copytree(uninterrupted, tmp_path / "run")
    results = (tmp_path / "run" / "results.json").read_text()
    train_autoencoder(tmp_path / "run", resume=True)
    assert (tmp_path / "run" / "results.json").read_text() == results
    assert_same_end(tmp_path / "run", uninterrupted)


def test_resuming_needs_the_same_configuration(uninterrupted, tmp_path):
    shutil.copytree(uninterrupted, tmp_path / "run")
    with pytest.raises(
        ValueError,
        match=r"training/Phase\.batch_size is 32, but the run in .* has 64",
    ):
        train_autoencoder(
            tmp_path / "run", "training/Phase.batch_size=32", resume=True
        )


def test_the_newest_damaged_checkpoint_is_passed_over(
    uninterrupted, tmp_path, caplog
):
    shutil.copytree(uninterrupted, tmp_path / "run")
    directory = CheckpointDirectory(
        run_directory.RunDirectory(tmp_path / "run").checkpoints("training")
    )
    index = directory.newest().path / "variables.index"
    index.write_bytes(index.read_bytes()[:-1])
    train_autoencoder(tmp_path / "run", resume=True)
    assert str(index) in caplog.text
    assert_same_end(tmp_path / "run", uninterrupted)


# --- The whole thing ----------------------------------------------------------


@pytest.mark.slow
def test_kills_change_nothing(tmp_path):
    count = 20
    finished = subprocess.run(
        [
            sys.executable,
            *(str(ROOT / "tools" / "soak.py"), "kills"),
            f"--kills={count}",
            f"--kills_json={tmp_path / 'kills.json'}",
        ],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert finished.returncode == 0, finished.stderr
    assert f"{count} kills of " in finished.stdout
    counts = json.loads((tmp_path / "kills.json").read_text())["kills"]
    assert sum(counts.values()) == count
