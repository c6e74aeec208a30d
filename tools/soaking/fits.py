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
flags.DEFINE_integer(
    "fits", 10_000, "Number of fits of the ensemble.", lower_bound=14
)
flags.DEFINE_integer(
    "network_fits",
    60,
    "Number of fits of one pair of networks, each of which is compiled anew.",
    lower_bound=14,
)

RESULTS = (
    pathlib.Path(__file__).resolve().parent.parent
    / "results"
    / "soak"
    / "fits.json"
)
# Compilers and allocators reach their size first.
WARM_UP = 0.25
MOST_SAMPLES = 400  # To look for garbage takes as long as a fit.


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


def memory_of(networks: str | None, fits: int) -> dict:
    """Fit again and again; return the growth of memory per fit."""
    x = np.random.default_rng(0).normal(size=(100, 4)).astype(np.float32)
    counts, samples = [], []
    for count in range(1, fits + 1):
        detector(networks).fit(x)
        if count > WARM_UP * fits and count % max(fits // MOST_SAMPLES, 1) == 0:
            gc.collect()
            counts.append(count)
            samples.append(resident_mebibytes(os.getpid()))
    return growth(counts, samples)


def main():
    """Fit both kinds, print and store the growth of memory."""
    record = {
        "commit": commit(),
        "machine": machine(),
        "fits": {"ensemble": FLAGS.fits, "MLP": FLAGS.network_fits},
        "mebibytes_per_fit": {
            "ensemble": memory_of(None, FLAGS.fits),
            "MLP": memory_of("MLP", FLAGS.network_fits),
        },
    }
    print(json.dumps(record, indent=1))
    RESULTS.parent.mkdir(parents=True, exist_ok=True)
    RESULTS.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
