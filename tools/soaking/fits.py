"""Memory of a process that fits detectors one after the other."""

import gc
import json
import os
import pathlib

import numpy as np
from absl import flags

from nae_tf import NAEDetector
from reproduction.cells import commit, machine
from soaking.memory import growth, resident_mebibytes

FLAGS = flags.FLAGS
flags.DEFINE_integer("fits", 300, "Number of fits per kind.", lower_bound=14)

RESULTS = (
    pathlib.Path(__file__).resolve().parent.parent
    / "results"
    / "soak"
    / "fits.json"
)
# Compilers and allocators reach their size first.
WARM_UP = 0.25


def detector(networks: str | None):
    """Return a small detector.

    Args:
        networks: as `NAEDetector` takes them; None for the ensemble.
    """
    return NAEDetector(
        # Fewer steps would be run without a graph.
        networks=networks,
        pretraining_steps=40,
        steps=40,
        random_state=0,
    )


def memory_of(networks: str | None) -> dict:
    """Fit again and again; return the growth of memory per fit."""
    x = np.random.default_rng(0).normal(size=(100, 4)).astype(np.float32)
    samples = []
    for _ in range(FLAGS.fits):
        detector(networks).fit(x)
        gc.collect()
        samples.append(resident_mebibytes(os.getpid()))
    first = int(WARM_UP * FLAGS.fits)
    return growth(range(first, FLAGS.fits), samples[first:])


def main():
    """Fit both kinds, print and store the growth of memory."""
    results = {str(kind): memory_of(kind) for kind in (None, "MLP")}
    record = {
        "commit": commit(),
        "machine": machine(),
        "fits": FLAGS.fits,
        "mebibytes_per_fit": results,
    }
    print(json.dumps(record, indent=1))
    RESULTS.parent.mkdir(parents=True, exist_ok=True)
    RESULTS.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
