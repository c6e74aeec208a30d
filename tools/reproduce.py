"""Reproduce the tables and figures of the README.

    python tools/reproduce.py digits          run what is missing, print it
    python tools/reproduce.py digits --show   print it from the stored results
    python tools/reproduce.py figure1         draw it from a run of that table
    python tools/reproduce.py figure3         the 2-D experiments: train what is
                                              missing, print and draw it; also
                                              figure5 and figure11

`cells.py` has what a table is made of, `laboratory.py` the 2-D experiments.
"""

import sys

import laboratory
import numpy as np
from absl import app, flags
from cells import REPOSITORY, Cell, mean_interval, provenance, run_missing

from nae_tf.checkpoints import restore
from nae_tf.experiment import Experiment
from nae_tf.figures import reconstruction_figure
from nae_tf.runtime import RunDirectory

FLAGS = flags.FLAGS
flags.DEFINE_bool("show", False, "Only print the stored results.")
flags.DEFINE_list(
    "methods", None, "Only these files of gin/methods; all by default."
)
flags.DEFINE_string("run_dir", "runs/digits", "The run that a figure shows.")
flags.DEFINE_integer("num_seeds", 3, "Seeds 0, 1, ... of every row.")
flags.DEFINE_integer(
    "jobs", 1, "Trainings at a time; the processors are shared out."
)

# --- Tables -------------------------------------------------------------------

DIGITS = range(10)


def digits():
    """Hold out each of the ten digits of scikit-learn's 8x8 images."""
    methods = FLAGS.methods or sorted(
        path.stem for path in (REPOSITORY / "gin" / "methods").glob("*.gin")
    )
    cells = {
        (method, digit, seed): digits_cell(method, digit, seed)
        for seed in range(FLAGS.num_seeds)
        for method in (None, *methods)
        for digit in DIGITS
    }
    if not FLAGS.show:
        run_missing(cells.values(), FLAGS.jobs)
    results = {key: cell.results() for key, cell in cells.items()}
    nae = digits_aurocs(results, None, "NAE")
    table = {"AE, NAE's pre-training": digits_aurocs(results, None, "AE")}
    for method in methods:
        if any(results[key] is None for key in cells if key[0] == method):
            print(f"{method}: not all cells are stored.", file=sys.stderr)
        else:
            table[method] = digits_aurocs(results, method)
    table["NAE"] = nae
    print(f"Mean AUROC of the held-out digit, seeds 0 to {FLAGS.num_seeds - 1}")
    print()
    header = ["method", *map(str, DIGITS), "mean", "NAE - method"]
    print(f"| {' | '.join(header)} |")
    print("|" + " --- |" * len(header))
    for name, aurocs in sorted(table.items(), key=lambda row: row[1].mean()):
        difference, half_width = mean_interval((nae - aurocs).mean(axis=1))
        row = [name, *(f"{value:.3f}" for value in aurocs.mean(axis=1))]
        row += [f"**{aurocs.mean():.3f}**"]
        row += (
            [f"{difference:+.3f} ± {half_width:.3f}"] if name != "NAE" else [""]
        )
        print(f"| {' | '.join(row)} |")
    stored = [result for result in results.values() if result is not None]
    print(f"\n{provenance(stored)}")


def digits_cell(method: str | None, digit: int, seed: int) -> Cell:
    """Return the cell of a method, None for AE and NAE together."""
    file = [f"gin/methods/{method}.gin"] if method else []
    folder = f"digits/{method}" if method else "digits"
    return Cell(
        f"{folder}/digit{digit}-seed{seed}",
        ("gin/digits.gin", *file),
        (f"holdout_class={digit}", f"seed={seed}"),
    )


def digits_aurocs(results: dict, method: str | None, name: str | None = None):
    """Return the AUROCs of a method, float [digits, seeds].

    Args:
        results: by (method, digit, seed).
        method: of the cells.
        name: of the model, if a cell has more than one.

    Raises:
        UsageError: a cell is not stored.
    """

    def auroc(digit, seed):
        result = results[method, digit, seed]
        if result is None:
            raise app.UsageError(
                "--show: AE and NAE are not stored; run without --show first."
            )
        models = result["auroc"]
        model = models[name] if name else next(iter(models.values()))
        return model[f"digit {digit}"]

    return np.array(
        [
            [auroc(digit, seed) for seed in range(FLAGS.num_seeds)]
            for digit in DIGITS
        ]
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


COMMANDS = {
    "digits": digits,
    "figure1": figure1,
    "figure3": lambda: laboratory.figure3(
        FLAGS.num_seeds, FLAGS.jobs, FLAGS.show
    ),
    "figure5": lambda: laboratory.figure5(FLAGS.jobs, FLAGS.show),
    "figure11": laboratory.figure11,
}


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
