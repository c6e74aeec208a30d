"""Runs of the command lines on tiny budgets."""

import os
import pathlib
import subprocess
import sys

import forked_commands
import numpy as np
import pytest

from nae_tf import train
from nae_tf.runs import configuration, run_directory
from nae_tf.training import interruption
from nae_tf.training.experiment import Experiment

ROOT = pathlib.Path(__file__).resolve().parents[2]
# The command nae-tf, as Python's arguments.
NAE_TF = (
    "-c",
    "import sys; from nae_tf.runs.console_script import main; sys.exit(main())",
)
DIGITS = str(ROOT / "gin" / "digits.gin")
GAUSSIANS = str(ROOT / "gin" / "eight_gaussians.gin")
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
UNTRAINED = [
    "training/Phase.epochs=0",
    "Experiment.evaluation_limit=50",
]
TINY_GAUSSIANS = [
    "Experiment.pretraining=None",
    "NAE.latent_space=@Sphere()",
    "latent_dim=2",
    "FCRes2Encoder.units=8",
    "FCRes2Encoder.hidden_units=8",
    "FCRes2Decoder.units=8",
    "FCRes2Decoder.hidden_units=8",
    "latent/LangevinChain.num_steps=3",
    "visible/LangevinChain.num_steps=4",
]


def autoencoder_experiment(*bindings):
    """Return the experiment of the autoencoder alone."""
    configuration.parse_config([DIGITS], [*TINY_AUTOENCODER, *bindings])
    return Experiment.from_config()


def train_autoencoder(path, *bindings, resume=False):
    """Carry it out in this process."""
    run = run_directory.RunDirectory(path)
    return train.train(run, autoencoder_experiment(*bindings), resume)


def record_weights(path, *bindings):
    """Carry it out; return the weights after every step."""
    recorded = []
    count = interruption.SaveProgress.on_train_batch_end

    def on_train_batch_end(self, batch, logs=None):
        recorded.append([np.copy(w) for w in self.model.get_weights()])
        count(self, batch, logs)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            interruption.SaveProgress, "on_train_batch_end", on_train_batch_end
        )
        train_autoencoder(path, *bindings)
    assert len(recorded) == EPOCHS * STEPS
    return recorded


def run_module(module, *arguments, stdin=""):
    """Run a command line of the package, and return what it printed."""
    command = [sys.executable, "-m", f"nae_tf.{module}", *arguments]
    return run(command, ROOT, stdin)


def run(command, folder, stdin=""):
    """Run any command with this package, and return what it printed."""
    program, *arguments = command
    if program == sys.executable and hasattr(os, "fork"):
        environment = os.environ | {"PYTHONPATH": str(ROOT)}
        return forked_commands.run(arguments, folder, environment, stdin)
    return subprocess.run(
        command,
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        input=stdin,
        capture_output=True,
        text=True,
        check=False,
    )


def start(command, folder, **variables):
    """Start any command with this package; return it as it runs."""
    program, *arguments = command
    environment = os.environ | {"PYTHONPATH": str(ROOT)} | variables
    if program == sys.executable and hasattr(os, "fork"):
        return forked_commands.Command(arguments, folder, environment)
    return subprocess.Popen(
        command,
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def untrained_run(path, gin_file, bindings):
    """Make a run without a step of training; return its path."""
    configuration.parse_config([gin_file], [*bindings, *UNTRAINED])
    train.train(run_directory.RunDirectory(path), Experiment.from_config())
    return str(path)
