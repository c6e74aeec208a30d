"""Measure how fast other runtimes score beside the SavedModel.

    nae-tf export --run_dir=runs/digits
    nae-tf export --run_dir=runs/digits --format=onnx   and others
    python tools/benchmark_devices.py --folder=runs/digits --json=FILE

Scores batches by the first version of every export in the folder in turns, in
one thread. The folder may also be a student's, as runs/digits/distilled/1.
Shown are the median time of a call and, over the turns, the ratio of the
SavedModel's time to it. --json keeps all single measurements.
"""

import json
import os
import pathlib
import platform
import statistics
import subprocess
import time
from importlib import metadata

import numpy as np
from absl import app, flags

from benchmarking.runtimes import LOADERS, saved_model

FLAGS = flags.FLAGS
flags.DEFINE_multi_string("folder", ["runs/digits"], "Folders of exports.")
flags.DEFINE_integer("repeats", 9, "Number of turns that count.")
flags.DEFINE_list("batches", ["1", "256"], "Numbers of examples per call.")
flags.DEFINE_float("seconds", 0.3, "Shortest time of a measurement.")
flags.DEFINE_string("json", None, "File for all single measurements.")

_PACKAGES = (
    *("tensorflow", "ai-edge-litert", "tf2onnx", "onnxruntime", "openvino"),
)


def seconds_per_call(score, x) -> float:
    """Measure a call, as often as the least time needs."""
    count, start = 0, time.perf_counter()
    while (spent := time.perf_counter() - start) < FLAGS.seconds or not count:
        score(x)
        count += 1
    return spent / count


def measure(folder) -> dict:
    """Score by each export of a folder in turns."""
    scores = {
        name: load(
            folder / ("export" if load is saved_model else name) / "1",
            num_threads=1,
        )
        for name, load in LOADERS.items()
        if load is saved_model or (folder / name / "1").exists()
    }
    facts = json.loads(
        next(folder.glob("*/1/metadata.json")).read_text(encoding="utf-8")
    )
    random = np.random.default_rng(1)
    times: dict = {}
    for batch in map(int, FLAGS.batches):
        x = random.uniform(size=(batch, *facts["example_shape"]))
        x = x.astype(np.float32)
        of_batch: dict = {name: [] for name in scores}
        for turn in range(FLAGS.repeats + 1):
            for name, score in scores.items():
                value = seconds_per_call(score, x)
                if turn:  # The first turn does not count.
                    of_batch[name].append(value)
        times[str(batch)] = of_batch
    return times


def show(title, times):
    """Print the times of a model."""
    for batch, of_batch in times.items():
        print(f"{title}, {batch} at a time")
        for name, values in of_batch.items():
            ratios = [
                ours / other
                for ours, other in zip(
                    of_batch["saved_model"], values, strict=True
                )
            ]
            print(
                f"  {name:12} {1e3 * statistics.median(values):9.3f} ms"
                f"   {statistics.median(ratios):6.2f} times as fast"
                f" ({min(ratios):.2f} to {max(ratios):.2f})",
                flush=True,
            )


def commit() -> str:
    """Return the commit of the working tree."""
    command = ["git", "describe", "--always", "--dirty", "--abbrev=7"]
    folder = pathlib.Path(__file__).parent
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    return done.stdout.strip()


def main(argv):
    """Measure all models."""
    del argv
    results: dict = {
        "commit": commit(),
        "processor": platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "load_average": os.getloadavg(),
        "versions": {name: metadata.version(name) for name in _PACKAGES},
        "seconds_per_call": {},
    }
    for folder in FLAGS.folder:
        times = measure(pathlib.Path(folder))
        results["seconds_per_call"][folder] = times
        show(folder, times)
    if FLAGS.json is not None:
        text = json.dumps(results, indent=1) + "\n"
        pathlib.Path(FLAGS.json).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    app.run(main)
