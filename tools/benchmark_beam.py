"""Measure `nae-tf beam` on two processes against `nae-tf score`.

    python tools/benchmark_beam.py [--rows=1000000] [--images=20000]

Makes vectors of 30 features in a Parquet file, a folder of small images, and an
untrained export for each: what scoring costs does not depend on weights. Both
commands score both, in turns: `nae-tf score` with all cores and with one, as
each of the two workers has it, `nae-tf beam` with all. Stored are the seconds
of every turn, from the start of the command to its end, and the most memory of
each of its processes.
Needs the extra `beam`, and Linux.
"""

import json
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

import numpy as np
from absl import app, flags

from reproduction.cells import commit, machine

FLAGS = flags.FLAGS
flags.DEFINE_integer("rows", 1_000_000, "Number of vectors.")
flags.DEFINE_integer("images", 20_000, "Number of images.")
flags.DEFINE_integer("repeats", 3, "Number of turns.")
flags.DEFINE_string("output", None, "JSON file of the results, or none.")

_FEATURES = 30
_SIDE = 32
_COMMAND = (
    "import sys; from nae_tf.runs.console_script import main; sys.exit(main())"
)
_ONE_CORE = "import os; os.sched_setaffinity(0, [0]); "
# Command, and what is run before it.
_CONTENDERS = {
    "score": ("score", ""),
    "score on one core": ("score", _ONE_CORE),
    "beam": ("beam", ""),
}
_BEAM = (
    "--beam_options=--direct_running_mode=multi_processing "
    "--direct_num_workers=2"
)


def make_vectors(folder: pathlib.Path):
    """Write vectors, and the export of a model for them."""
    import keras
    import pyarrow
    from pyarrow import parquet

    from nae_tf import Autoencoder

    rng = np.random.default_rng(0)
    columns = {
        f"feature{index}": rng.normal(size=FLAGS.rows).astype(np.float32)
        for index in range(_FEATURES)
    }
    parquet.write_table(pyarrow.table(columns), folder / "input.parquet")
    layers = keras.layers
    encoder = [keras.Input([_FEATURES]), layers.Dense(128, "relu")]
    decoder = [keras.Input([8]), layers.Dense(128, "relu")]
    model = Autoencoder(
        keras.Sequential([*encoder, layers.Dense(8)]),
        keras.Sequential([*decoder, layers.Dense(_FEATURES)]),
    )
    _export(model, rng.normal(size=(500, _FEATURES)), folder)


def make_images(folder: pathlib.Path):
    """Write images of random colours, and the export of a model for them."""
    from PIL import Image

    from nae_tf import Autoencoder
    from nae_tf.networks import Conv32Decoder, Conv32Encoder

    rng = np.random.default_rng(0)
    (folder / "input").mkdir()
    for number in range(FLAGS.images):
        levels = rng.integers(0, 256, (_SIDE, _SIDE, 3), np.uint8)
        name = folder / "input" / f"{number:06}.png"
        Image.fromarray(levels).save(name)
    model = Autoencoder(Conv32Encoder(), Conv32Decoder())
    _export(model, rng.random((500, _SIDE, _SIDE, 3)), folder)


def _export(model, inliers, folder):
    from nae_tf import Calibration, export_model

    scores = model.predict_outlier_score(inliers.astype(np.float32))
    export_model(model, Calibration(scores), folder / "export")


def measure(contender: str, folder: pathlib.Path) -> dict:
    """Score the input of a folder once.

    Args:
        contender: one of `_CONTENDERS`.
        folder: folder of `make_vectors` or `make_images`.

    Returns:
        "seconds", and "megabytes": the most memory of each process that lived
        for more than a second, the first that of the command itself.
    """
    output = folder / "output.parquet"
    [examples] = folder.glob("input*")
    command, before = _CONTENDERS[contender]
    arguments = [
        *(sys.executable, "-c", before + _COMMAND, command),
        f"--model={folder / 'export' / '1'}",
        f"--input={examples}",
        f"--output={output}",
        *([_BEAM] if command == "beam" else []),
    ]
    start = time.perf_counter()
    with tempfile.TemporaryFile("w+") as log:
        process = subprocess.Popen(arguments, stdout=log, stderr=log)
        peaks = _watch(process)
        seconds = time.perf_counter() - start
        if process.returncode:
            log.seek(0)
            raise RuntimeError(log.read())
    if output.is_dir():
        shutil.rmtree(output)
    else:
        output.unlink()
    return {"seconds": seconds, "megabytes": peaks}


def _watch(process) -> list[int]:
    """Wait for a process; return the most memory of each, in its order."""
    import psutil

    peaks: dict[int, int] = {}
    root = psutil.Process(process.pid)
    while process.poll() is None:
        for pid in [root.pid, *(p.pid for p in root.children(recursive=True))]:
            try:
                status = pathlib.Path(f"/proc/{pid}/status").read_text()
            except OSError:  # It has ended.
                continue
            peak = status.partition("VmHWM:")[2].split()[:1]
            if peak:
                peaks[pid] = max(peaks.get(pid, 0), int(peak[0]) // 1024)
        time.sleep(0.2)
    # Shells that start workers are small.
    return [peak for _, peak in sorted(peaks.items()) if peak > 50]


def main(argv):
    """Measure in turns, print and store the results."""
    del argv
    result: dict = {
        "rows": FLAGS.rows,
        "images": FLAGS.images,
        "commit": commit(),
        "machine": machine(),
        "cores": os.cpu_count(),
    }
    for kind, make in (("vectors", make_vectors), ("images", make_images)):
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder)
            make(path)
            turns: dict[str, list] = {name: [] for name in _CONTENDERS}
            for _ in range(FLAGS.repeats):
                for name, measured in turns.items():
                    measured.append(measure(name, path))
        result[kind] = turns
        for name in ("score", "score on one core"):
            ratios = [
                one["seconds"] / two["seconds"]
                for one, two in zip(turns[name], turns["beam"], strict=True)
            ]
            print(
                f"{kind}: nae-tf beam on two processes is "
                f"{statistics.median(ratios):.2f} times as fast as {name} "
                f"({min(ratios):.2f} to {max(ratios):.2f}, {len(ratios)} turns)"
            )
        for name, measured in turns.items():
            print(f"  {name}: {measured[-1]}")
    if FLAGS.output:
        text = json.dumps(result, indent=2) + "\n"
        pathlib.Path(FLAGS.output).write_text(text)


if __name__ == "__main__":
    app.run(main)
