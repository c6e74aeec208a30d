"""Runs of the command lines on tiny budgets."""

import os
import pathlib
import subprocess
import sys

from nae_tf import runtime, train
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
TINY_AUTOENCODER = [
    "Experiment.pretraining=None",
    "Experiment.model=@Autoencoder",
    "Experiment.evaluation_limit=32",
    "Autoencoder.encoder=@MLPEncoder()",
    "Autoencoder.decoder=@MLPDecoder()",
    "MLPEncoder.hidden_units=(16,)",
    "MLPDecoder.hidden_units=(16,)",
    "training/Phase.epochs=4",
    "training/Phase.steps_per_epoch=5",
]


def autoencoder_experiment(*bindings):
    """Return the experiment of the autoencoder alone."""
    runtime.parse_config([DIGITS], [*TINY_AUTOENCODER, *bindings])
    return Experiment.from_config()


def train_autoencoder(path, *bindings, resume=False):
    """Carry it out in this process."""
    run = runtime.RunDirectory(path)
    return train.train(run, autoencoder_experiment(*bindings), resume)


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
