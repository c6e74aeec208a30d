"""Measure whole commands of this build, beside those of another.

    git worktree add ../before 162f90b
    python tools/benchmark_commands.py --checkout=../before --checkout=.

Trains a tiny run of the digits by each checkout, exports it, and then takes
turns, each command in a process of its own: imports, the help of a command,
scores of one image and of a folder of PNG files, and two fits of `NAEDetector`,
of which the second counts. TensorFlow's import is measured too. Shown are
medians of seconds and, turn by turn, how many times as fast the last checkout
is as the first. --json=FILE keeps all single measurements.
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

from reproduction.cells import machine

FLAGS = flags.FLAGS
flags.DEFINE_multi_string("checkout", ["."], "Folders of builds.")
flags.DEFINE_integer("number", 10_000, "Number of images to score.")
flags.DEFINE_integer("repeats", 3, "Number of turns that count.")
flags.DEFINE_string("json", None, "File for all single measurements.")

_FITS = """
import time
import numpy as np
from nae_tf import NAEDetector
x = np.random.default_rng(0).normal(size=(200, 10))
for _ in range(2):
    start = time.perf_counter()
    NAEDetector(random_state=0).fit(x)
    seconds = time.perf_counter() - start
print("seconds", seconds)
"""
# The help of absl ends with 1.
_HELP = """
import subprocess, sys
subprocess.run([sys.executable, "-m", "nae_tf.train", "--help"], check=False)
"""


def write_images(folder: pathlib.Path, number: int):
    """Write grey images of 8 x 8 random levels."""
    from PIL import Image

    folder.mkdir()
    generator = np.random.default_rng(0)
    for place in range(number):
        pixels = generator.integers(0, 256, (8, 8)).astype(np.uint8)
        Image.fromarray(pixels).save(folder / f"{place:06}.png")


def environment(checkout: pathlib.Path) -> dict[str, str]:
    """Return the environment in which Python imports a checkout."""
    quiet = {"TF_CPP_MIN_LOG_LEVEL": "3"}
    return os.environ | quiet | {"PYTHONPATH": str(checkout)}


def run(checkout: pathlib.Path, *command: str) -> tuple[float, str]:
    """Run Python in a checkout; return seconds and what it printed."""
    start = time.perf_counter()
    done = subprocess.run(
        [sys.executable, *command],
        cwd=checkout,
        env=environment(checkout),
        capture_output=True,
        text=True,
        check=False,
    )
    seconds = time.perf_counter() - start
    if done.returncode:
        raise RuntimeError(f"{checkout}: {command}:\n{done.stderr[-2000:]}")
    return seconds, done.stdout


def exported(checkout: pathlib.Path, folder: pathlib.Path) -> str:
    """Train a tiny run by a checkout, and return its export's folder."""
    run_dir = f"--run_dir={folder / 'run'}"
    files = [
        f"--gin_file={checkout / 'gin' / name}"
        for name in ("digits.gin", "budgets/smoke.gin")
    ]
    run(checkout, "-m", "nae_tf.train", *files, run_dir)
    run(checkout, "-m", "nae_tf.export", run_dir)
    return str(folder / "run" / "export" / "1")


def measure(checkout, model, folder) -> dict[str, float]:
    """Measure each command once; seconds by title."""

    def score(title):
        output = folder / "scores.csv"
        output.unlink(missing_ok=True)
        for part in folder.glob(".scores*"):
            part.unlink()
        command = ("-m", "nae_tf.score", f"--model={model}")
        images = f"--input={folder / title}"
        return run(checkout, *command, images, f"--output={output}")[0]

    _, fits = run(checkout, "-c", _FITS)
    return {
        "import tensorflow": run(checkout, "-c", "import tensorflow")[0],
        "import nae_tf": run(checkout, "-c", "import nae_tf")[0],
        "nae_tf.train --help": run(checkout, "-c", _HELP)[0],
        "score one image": score("one"),
        "score the folder": score("many"),
        "second fit of 200 x 10": float(fits.split()[-1]),
    }


def show(times: dict[str, list[dict[str, float]]]):
    """Print the medians of every checkout, and the ratios."""
    names = list(times)
    for title in times[names[0]][0]:
        columns = [[turn[title] for turn in times[name]] for name in names]
        medians = [f"{statistics.median(values):8.2f} s" for values in columns]
        ratios = [
            before / now
            for before, now in zip(columns[0], columns[-1], strict=True)
        ]
        print(
            f"{title:24}" + " ".join(medians) + f"   "
            f"{statistics.median(ratios):6.2f} times as fast"
            f" ({min(ratios):.2f} to {max(ratios):.2f})",
            flush=True,
        )


def main(argv):
    """Measure all checkouts in turns."""
    del argv
    checkouts = [pathlib.Path(name).resolve() for name in FLAGS.checkout]
    times: dict[str, list] = {name: [] for name in FLAGS.checkout}
    folder = pathlib.Path(tempfile.mkdtemp())
    try:
        write_images(folder / "one", 1)
        write_images(folder / "many", FLAGS.number)
        models = []
        for number, checkout in enumerate(checkouts):
            (folder / str(number)).mkdir()
            models.append(exported(checkout, folder / str(number)))
        for _ in range(FLAGS.repeats):
            for name, checkout, model in zip(
                FLAGS.checkout, checkouts, models, strict=True
            ):
                times[name].append(measure(checkout, model, folder))
    finally:
        shutil.rmtree(folder)
    show(times)
    if FLAGS.json is not None:
        results = {
            "commits": [_commit(checkout) for checkout in checkouts],
            "machine": machine(),
            "number": FLAGS.number,
            "seconds": list(times.values()),
        }
        text = json.dumps(results, indent=1) + "\n"
        pathlib.Path(FLAGS.json).write_text(text, encoding="utf-8")


def _commit(checkout: pathlib.Path) -> str:
    command = ["git", "describe", "--always", "--dirty", "--abbrev=7"]
    done = subprocess.run(command, cwd=checkout, capture_output=True, text=True)
    return done.stdout.strip()


if __name__ == "__main__":
    app.run(main)
