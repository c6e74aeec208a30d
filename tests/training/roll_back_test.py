"""Trainings that diverge: they stop with advice, or roll back and go on."""

import keras
import pytest
from run_ends import assert_same_end, final_state, rows, send_once
from tiny_runs import train_autoencoder

from nae_tf.base.detector import OutlierDetector
from nae_tf.training import interruption, records
from nae_tf.training.divergence import DivergenceError, WatchDivergence
from nae_tf.training.roll_back import scaled_rate

# The weights explode within an epoch.
EXPLODING = [
    "training/Adam.learning_rate=5000.0",
    "DivergenceGuard.weights_every=1",
]
ROLLING_BACK = [
    *EXPLODING,
    "DivergenceGuard.action='roll_back'",
    "DivergenceGuard.rate_factor=1e-2",
]


def test_a_training_that_diverges_stops_with_advice(tmp_path):
    with pytest.raises(DivergenceError, match=r"grew .* Lower the") as error:
        train_autoencoder(tmp_path / "run", *EXPLODING)
    assert "\n" not in str(error.value)


def test_a_training_that_diverges_is_rolled_back(tmp_path, capsys):
    train_autoencoder(tmp_path / "run", *ROLLING_BACK)
    progress, state = final_state(tmp_path / "run")
    assert progress.roll_backs == 2
    assert progress.finished
    rate = state["model/optimizer/_learning_rate/.ATTRIBUTES/VARIABLE_VALUE"]
    assert rate == pytest.approx(5000.0 * 1e-4)
    assert "rolled back (2 of at most 3)" in capsys.readouterr().err
    epochs = [row["epoch"] for row in rows(tmp_path / "run")]
    losses = [row for row in rows(tmp_path / "run") if row["metric"] == "loss"]
    assert epochs == sorted(epochs)
    assert len(losses) == 4


def test_roll_backs_end(tmp_path):
    with pytest.raises(DivergenceError, match="rolled back 1 times"):
        train_autoencoder(
            tmp_path / "run",
            *ROLLING_BACK,
            "DivergenceGuard.max_roll_backs=1",
        )


@pytest.mark.parametrize("schedule", [False, True])
def test_a_rolled_back_training_resumes_exactly(
    tmp_path, monkeypatch, schedule
):
    bindings = list(ROLLING_BACK)
    if schedule:
        bindings[0] = "training/Adam.learning_rate=@CosineDecay()"
        bindings += [
            "CosineDecay.initial_learning_rate=5000.0",
            "CosineDecay.decay_steps=100",
        ]
    train_autoencoder(tmp_path / "alone", *bindings)
    send_once(monkeypatch, lambda *at: at == (1, 2))
    with pytest.raises(SystemExit):
        train_autoencoder(tmp_path / "run", *bindings)
    assert final_state(tmp_path / "run")[0].roll_backs == 2
    train_autoencoder(tmp_path / "run", *bindings, resume=True)
    assert_same_end(tmp_path / "run", tmp_path / "alone")


def save_every_step(monkeypatch):
    monkeypatch.setattr(
        interruption.CheckpointSchedule, "is_due", lambda *_: True
    )


def test_no_checkpoint_holds_weights_that_exploded(tmp_path, monkeypatch):
    save_every_step(monkeypatch)
    train_autoencoder(
        tmp_path / "run", *ROLLING_BACK, "DivergenceGuard.weights_every=100"
    )
    assert final_state(tmp_path / "run")[0].roll_backs == 2


def test_a_roll_back_passes_over_what_was_suspicious(tmp_path, monkeypatch):
    save_every_step(monkeypatch)
    look = WatchDivergence.on_epoch_end
    epochs = []

    def suspect(self, epoch, logs=None):
        look(self, epoch, logs)
        epochs.append(epoch)
        if epochs == [0, 1]:
            self.suspicious["energy_gap"] = 1
        if epochs == [0, 1, 2]:
            raise DivergenceError("as the test wants.")

    monkeypatch.setattr(WatchDivergence, "on_epoch_end", suspect)
    train_autoencoder(tmp_path / "run", "DivergenceGuard.action='roll_back'")
    # The last step of epoch 1 was taken before anything was suspected.
    assert epochs == [0, 1, 2, 1, 2, 3]


def test_another_seed_shows_other_data(tmp_path, monkeypatch):
    """A roll-back that changed nothing but the rate could fail the same."""
    train_autoencoder(tmp_path / "alone")
    explode_once = []
    end_epoch = records.MetricsFile.on_epoch_end

    def diverge(self, epoch, logs=None):
        if epoch == 1 and not explode_once:
            explode_once.append(True)
            raise DivergenceError("as the test wants.")
        end_epoch(self, epoch, logs)

    monkeypatch.setattr(records.MetricsFile, "on_epoch_end", diverge)
    traced_with = []
    trace = OutlierDetector.make_train_function

    def trace_and_tell(self, force=False):
        if self.train_function is None and self.seed:
            traced_with.append((self.seed, self.test_function))
        return trace(self, force)

    monkeypatch.setattr(OutlierDetector, "make_train_function", trace_and_tell)
    train_autoencoder(
        tmp_path / "run",
        "DivergenceGuard.action='roll_back'",
        "DivergenceGuard.rate_factor=1.0",
    )
    first_losses = [
        next(row["value"] for row in rows(path) if row["metric"] == "loss")
        for path in (tmp_path / "alone", tmp_path / "run")
    ]
    assert first_losses[0] != first_losses[1]
    # The noise is another one too, in training and where it is measured.
    assert traced_with == [(1, None)]


def test_a_schedule_is_scaled_at_every_step():
    schedule = keras.optimizers.schedules.CosineDecay(0.1, 10)
    optimizer = keras.optimizers.Adam(schedule)
    scaled = scaled_rate(optimizer.get_config()["learning_rate"], 0.25)
    for step in (0, 3, 10):
        assert float(scaled(step)) == pytest.approx(
            0.25 * float(schedule(step))
        )
    optimizer.learning_rate = scaled
    assert float(optimizer.learning_rate) == pytest.approx(0.025)


def test_a_constant_rate_is_scaled():
    optimizer = keras.optimizers.Adam(0.5)
    rate = scaled_rate(optimizer.get_config()["learning_rate"], 0.25)
    assert rate == pytest.approx(0.125)
