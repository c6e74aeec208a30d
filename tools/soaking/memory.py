"""Memory of a process over a long trial, and whether it grows."""

import pathlib
from collections.abc import Sequence

import numpy as np
from scipy import stats

# Neighbouring samples are alike: a slope of single ones would look surer than
# it is.
NUM_BLOCKS = 10


def resident_mebibytes(process: int) -> float:
    """Return the memory of a process, as Linux counts it.

    Args:
        process: id of the process.
    """
    text = pathlib.Path(f"/proc/{process}/status").read_text(encoding="utf-8")
    line = next(line for line in text.splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1]) / 1024


def growth(counts: Sequence[float], mebibytes: Sequence[float]) -> dict:
    """Fit a line to memory, and tell its noise.

    Args:
        counts: what was done before each sample, [samples].
        mebibytes: memory at each sample, [samples].

    Returns:
        "slope", MiB per unit of count; "standard_error" of it, from the means
        of ten blocks; "first" and "last", MiB in the first and last block.
    """
    x, y = (
        [float(np.mean(block)) for block in np.array_split(values, NUM_BLOCKS)]
        for values in (np.asarray(counts), np.asarray(mebibytes))
    )
    line = stats.linregress(x, y)
    return {
        "slope": float(line.slope),
        "standard_error": float(line.stderr),
        "first": y[0],
        "last": y[-1],
    }
