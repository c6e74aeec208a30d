"""Reproduce the tables and figures of the README.

    python tools/reproduce.py digits          run what is missing, print it
    python tools/reproduce.py digits --show   print it from the stored results
    python tools/reproduce.py figure1         draw it from a run of that table

One cell of a table is one training with one seed. A finished cell is stored as
a small JSON file with its figures, seconds, commit and machine; an interrupted
run goes on with the cells that are missing.
"""

import concurrent.futures
import json
import os
import pathlib
import platform
import shutil
import subprocess
import sys
import time

import numpy as np
import scipy.stats
from absl import app, flags

from nae_tf.checkpoints import restore
from nae_tf.experiment import Experiment
from nae_tf.figures import reconstruction_figure
from nae_tf.runtime import RunDirectory, write_atomically

REPOSITORY = pathlib.Path(__file__).resolve().parent.parent
RESULTS = REPOSITORY / "docs" / "results"

FLAGS = flags.FLAGS
flags.DEFINE_bool("show", False, "Only print the stored results.")
flags.DEFINE_string("run_dir", "runs/digits", "The run that a figure shows.")
flags.DEFINE_integer("num_seeds", 3, "Seeds 0, 1, ... of every row.")
flags.DEFINE_integer(
    "jobs", 1, "Trainings at a time; the processors are shared out."
)


def run_cell(
    table: str, cell: str, gin_files: list[str], bindings: list[str]
) -> dict:
    """Train one cell in its own process, or load it if it is stored.

    Args:
        table: name of the table.
        cell: name of the cell, unique in the table.
        gin_files: configuration, relative to the repository.
        bindings: gin bindings of the cell.

    Returns:
        {"auroc": {method: {outliers: AUROC}}, "seed", "seconds", "commit",
        "machine", "bindings"}.

    Raises:
        RuntimeError: the training failed; the message tells where its log is.
    """
    stored = RESULTS / table / f"{cell}.json"
    if stored.exists():
        return json.loads(stored.read_text())
    if FLAGS.show:
        raise app.UsageError(
            f"--show: {table}/{cell} is not stored; run without --show first."
        )
    run_dir = REPOSITORY / "runs" / "reproduce" / table / cell
    shutil.rmtree(run_dir, ignore_errors=True)
    run_dir.parent.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "nae_tf.train", f"--run_dir={run_dir}"]
    command += [f"--gin_file={file}" for file in gin_files]
    command += [f"--gin_bindings={binding}" for binding in bindings]
    threads = str(max(1, (os.cpu_count() or 1) // FLAGS.jobs))
    environment = os.environ | {
        "TF_NUM_INTRAOP_THREADS": threads,
        "TF_NUM_INTEROP_THREADS": threads,
    }
    log = run_dir.with_suffix(".log")
    start = time.monotonic()
    with open(log, "w") as output:
        status = subprocess.run(
            command,
            cwd=REPOSITORY,
            env=environment,
            stdout=output,
            stderr=subprocess.STDOUT,
            check=False,
        ).returncode
    if status != 0:
        raise RuntimeError(f"{table}/{cell} failed; see {log}.")
    results = json.loads((run_dir / "results.json").read_text())
    results |= {
        "bindings": bindings,
        "seconds": round(time.monotonic() - start),
        "threads": int(threads),
        "commit": commit(),
        "machine": machine(),
    }
    stored.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(stored, json.dumps(results, indent=2) + "\n")
    return results


def commit() -> str:
    """Return the commit that is checked out, marked if files were changed."""
    described = subprocess.run(
        ["git", "describe", "--always", "--dirty", "--exclude=*"],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
    )
    return described.stdout.strip() or "unknown"


def machine() -> str:
    """Return the processor's name and the number of cores."""
    name = platform.processor() or platform.machine()
    cpuinfo = pathlib.Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                name = line.split(":", 1)[1].strip()
                break
    return f"{name}, {os.cpu_count()} cores"


def mean_interval(values) -> tuple[float, float]:
    """Return the mean and the half width of its 95 % t-interval."""
    values = np.asarray(values)
    if len(values) < 2:
        return float(values.mean()), float("nan")
    quantile = scipy.stats.t.ppf(0.975, len(values) - 1)
    return float(values.mean()), float(quantile * scipy.stats.sem(values))


# --- Tables -------------------------------------------------------------------


def digits():
    """Hold out each of the ten digits of scikit-learn's 8x8 images."""
    cells = [
        (digit, seed) for digit in range(10) for seed in range(FLAGS.num_seeds)
    ]

    def cell(digit, seed):
        return run_cell(
            "digits",
            f"digit{digit}-seed{seed}",
            ["gin/digits.gin"],
            [f"holdout_class={digit}", f"seed={seed}"],
        )

    results = run_all(cell, cells)
    print("Mean AUROC of the held-out digit, seeds 0 to", FLAGS.num_seeds - 1)
    print()
    print("| held-out digit | AE | NAE | NAE - AE |")
    print("| --- | --- | --- | --- |")
    scores: dict[int, list] = {}
    for digit, seed in cells:
        auroc = results[digit, seed]["auroc"]
        pair = [auroc[method][f"digit {digit}"] for method in ("AE", "NAE")]
        scores.setdefault(digit, []).append(pair)
    for digit, pairs in scores.items():
        ae, nae = np.mean(pairs, axis=0)
        print(f"| {digit} | {ae:.3f} | {nae:.3f} | {nae - ae:+.3f} |")
    all_pairs = np.concatenate(list(scores.values()))
    ae, nae = all_pairs.mean(axis=0)
    difference, half_width = mean_interval(all_pairs[:, 1] - all_pairs[:, 0])
    print(
        f"| mean | **{ae:.3f}** | **{nae:.3f}** | **{difference:+.3f}** "
        f"± {half_width:.3f} |"
    )
    print_provenance(results.values())


def run_all(cell, arguments) -> dict:
    """Run cells, several at a time, and return their results by argument."""
    with concurrent.futures.ThreadPoolExecutor(FLAGS.jobs) as pool:
        futures = {
            argument: pool.submit(cell, *argument) for argument in arguments
        }
        results = {}
        for done, (argument, future) in enumerate(futures.items(), start=1):
            results[argument] = future.result()
            if not FLAGS.show:
                print(f"{done}/{len(futures)} cells", file=sys.stderr)
    return results


def print_provenance(results):
    """Say where and when the cells of a table were computed."""
    results = list(results)
    commits = sorted({result["commit"] for result in results})
    machines = sorted({result["machine"] for result in results})
    seconds = [result["seconds"] for result in results]
    threads = sorted({result["threads"] for result in results})
    print(
        f"\n{len(results)} trainings of both phases, {np.mean(seconds):.0f} s "
        f"each on {', '.join(map(str, threads))} thread(s) of "
        f"{'; '.join(machines)}; commit {', '.join(commits)}."
    )


# --- Figures ------------------------------------------------------------------


def figure1():
    """Draw reconstructions of a run with a held-out class (Figure 1)."""
    run = RunDirectory(FLAGS.run_dir)
    run.load_config()
    experiment = Experiment.from_config()
    task = experiment.task
    held_out, outliers = next(iter(task.outliers.items()))
    gray = next(iter(task.selection.values()))
    groups = {
        "seen digits": first_images(task.test, 6),
        f"{held_out}, never seen": first_images(outliers, 6),
        "constant": first_images(gray, 2),
    }
    inputs = np.concatenate(list(groups.values()))
    model = experiment.build_model()
    reconstructions, flagged = {}, {}
    for name, phase, detector in [
        ("AE", "pretraining", model.autoencoder()),
        ("NAE", "training", model),
    ]:
        restore(detector, run.checkpoints(phase))
        validation = detector.predict_outlier_score(
            task.validation.batches(256)
        )
        threshold = np.quantile(validation, 0.95)
        reconstructions[name] = detector(inputs).numpy()
        flagged[name] = detector.predict_outlier_score(inputs) > threshold
    is_outlier = np.arange(len(inputs)) >= len(groups["seen digits"])
    figure = reconstruction_figure(groups, reconstructions, flagged, is_outlier)
    path = REPOSITORY / "docs" / "figures" / "figure1.png"
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=150)
    print(path)


def first_images(examples, count: int) -> np.ndarray:
    """Return the first images of a split, without any choice."""
    return next(examples.batches(count).as_numpy_iterator())


COMMANDS = {"digits": digits, "figure1": figure1}


def main(argv):
    """Carry out the sub-command that the command line names."""
    if len(argv) != 2 or argv[1] not in COMMANDS:
        raise app.UsageError(f"expected one of: {', '.join(COMMANDS)}.")
    try:
        COMMANDS[argv[1]]()
    except (OSError, RuntimeError, ValueError) as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    app.run(main)
