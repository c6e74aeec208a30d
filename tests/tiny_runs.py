"""Runs of the command lines on tiny budgets."""

import os
import pathlib
import subprocess
import sys

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
