"""Runs of the command lines on tiny budgets."""

import os
import pathlib
import subprocess
import sys

import numpy as np
import pytest

from nae_tf import resume, runtime, train
from nae_tf.experiment import Experiment

ROOT = pathlib.Path(__file__).resolve().parent.parent
DIGITS = str(ROOT / "gin" / "digits.gin")
TINY_DIGITS = [
    "MLPEncoder.hidden_units=(16,)",
    "MLPDecoder.hidden_units=(16,)",
    "visible/LangevinChain.num_steps=2",
    "latent/LangevinChain.num_steps=2",
    "pretraining/Phase.epochs=3",
    "pretraining/Phase.patience=10",
    "training/Phase.epochs=2",
    "training/Phase.steps_per_epoch=3",
    "holdout_class=4",
]
# The autoencoder alone, in one phase: it takes a second.
EPOCHS, STEPS = 4, 5
TINY_AUTOENCODER = [
    "Experiment.pretraining=None",
    "Experiment.model=@Autoencoder",
    "Experiment.evaluation_limit=32",
    "Autoencoder.encoder=@MLPEncoder()",
    "Autoencoder.decoder=@MLPDecoder()",
    "MLPEncoder.hidden_units=(16,)",
    "MLPDecoder.hidden_units=(16,)",
    f"training/Phase.epochs={EPOCHS}",
    f"training/Phase.steps_per_epoch={STEPS}",
]


def autoencoder_experiment(*bindings):
    """Return the experiment of the autoencoder alone."""
    runtime.parse_config([DIGITS], [*TINY_AUTOENCODER, *bindings])
    return Experiment.from_config()


def train_autoencoder(path, *bindings, resume=False):
    """Carry it out in this process."""
    run = runtime.RunDirectory(path)
    return train.train(run, autoencoder_experiment(*bindings), resume)


def record_weights(path, *bindings):
    """Carry it out; return the weights after every step."""
    recorded = []
    count = resume.SaveProgress.on_train_batch_end

    def on_train_batch_end(self, batch, logs=None):
        recorded.append([np.copy(w) for w in self.model.get_weights()])
        count(self, batch, logs)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            resume.SaveProgress, "on_train_batch_end", on_train_batch_end
        )
        train_autoencoder(path, *bindings)
    assert len(recorded) == EPOCHS * STEPS
    return recorded


def run_module(module, *arguments):
    """Run a command line of the package, and return what it printed."""
    return subprocess.run(
        [sys.executable, "-m", f"nae_tf.{module}", *arguments],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
