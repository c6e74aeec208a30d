"""Reproduce the tables and figures of docs/results.

    python tools/reproduce.py digits          run what is missing, print it
    python tools/reproduce.py digits --show   print it from the stored results
    python tools/reproduce.py table1          MNIST with a digit held out, at
                                              --budget; also table4 and the
                                              ablations, table6 to table8
    python tools/reproduce.py table2          CIFAR-10 against other images, at
                                              --budget=cpu_color
    python tools/reproduce.py fashion_mnist   the same for Fashion-MNIST
    python tools/reproduce.py likelihood      bits per dimension of the digits,
                                              and the complexity of images
    python tools/reproduce.py learning_curve  AUROC of table1's NAE by minutes
    python tools/reproduce.py minutes         minutes until it was .80, .90
    python tools/reproduce.py search          try --gin_bindings, and call them
                                              --variant; print all trials
    python tools/reproduce.py search_by_classes  the same, judged by --digits,
                                              without --left_out_digits
    python tools/reproduce.py search_color    the same for table2, judged by
                                              padded digits
    python tools/reproduce.py figure1         draw it from a run, --run_dir;
                                              or figures 2, 4, 6 to 9 and 12
    python tools/reproduce.py figure3         the 2-D experiments: train what is
                                              missing, print and draw it; also
                                              figure5 and figure11

A training that was interrupted continues when its command is given again. One
cell: `table1 --methods=nae --digits=0 --seeds=1`.

In `reproduction/`, `cells.py` trains the cells of tables. `digits_table.py` has
the table of digits, `mnist_tables.py` and `ablations.py` the tables of MNIST,
`image_set_tables.py` those of an image set against others, `chain_starts.py`
and `two_blobs.py` the 2-D experiments. `figures/` reads runs and `plots/`
draws them.
"""

import functools
import pathlib
import sys
from collections.abc import Callable

from absl import app, flags, logging

from nae_tf.runs.run_directory import RunDirectory
from reproduction import (
    ablations,
    chain_starts,
    image_set_tables,
    learning_curve,
    likelihood,
    mnist_tables,
    two_blobs,
)
from reproduction.digits_table import DIGITS, digits
from reproduction.figures import image_figures, plane_figures
from reproduction.figures.files import draw
from reproduction.markdown_tables import Request
from reproduction.search_budget import search
from reproduction.search_by_classes import search_by_classes
from reproduction.search_color import search_color

FLAGS = flags.FLAGS
FIGURES = plane_figures.FIGURES | image_figures.FIGURES

flags.DEFINE_bool("show", False, "Print only the stored results.")
flags.DEFINE_list(
    "methods",
    None,
    "Methods to run, separated by commas: files of gin/methods, and in tables "
    "of image sets also nae (with its AE), nae_cd and nae_pcd; all by default.",
)
flags.DEFINE_string(
    "budget", "cpu", "Name of a file of gin/budgets, for tables of image sets."
)
flags.DEFINE_list(
    "digits",
    None,
    "Digits to hold out in table1, separated by commas; all by default, in a "
    "search 9, in one by classes 5,7.",
)
flags.DEFINE_list(
    "left_out_digits",
    ["1", "9"],
    "Digits that have no part in a search by classes, separated by commas.",
)
flags.DEFINE_list(
    "seeds",
    None,
    "Seeds of tables of image sets, separated by commas; by default those of "
    "--num_seeds.",
)
flags.DEFINE_string("variant", None, "Name of the variant that a search tries.")
flags.DEFINE_multi_string(
    "gin_bindings",
    [],
    "One gin binding of the variant that a search tries; repeatable.",
)
flags.DEFINE_multi_string(
    "run_dir",
    ["runs/digits"],
    "Directory of the run that a figure shows; repeatable for figures 6 and "
    "12.",
)
flags.DEFINE_string(
    "figure_dir",
    None,
    "Directory for figures of runs; by default figures/ in the first run "
    "directory.",
)
flags.DEFINE_integer(
    "num_seeds",
    3,
    "Number of seeds of every row: 0, 1, ...",
    lower_bound=1,
)
flags.DEFINE_integer(
    "jobs",
    1,
    "Number of trainings at a time; they share the processors.",
    lower_bound=1,
)

# --- Tables -------------------------------------------------------------------


def request(default_digits=DIGITS) -> Request:
    """Return the request that the flags make of a table of MNIST."""
    try:
        digits = [int(digit) for digit in FLAGS.digits or default_digits]
        seeds = [int(seed) for seed in FLAGS.seeds or range(FLAGS.num_seeds)]
    except ValueError as error:
        raise ValueError(
            "--digits and --seeds: expected numbers between commas, received "
            f"{FLAGS.digits} and {FLAGS.seeds}."
        ) from error
    if not set(digits) <= set(DIGITS):
        raise ValueError(f"--digits: expected 0 to 9, received {digits}.")
    return Request(
        FLAGS.budget, seeds, FLAGS.jobs, FLAGS.show, FLAGS.methods, digits
    )


# --- Figures ------------------------------------------------------------------


def draw_run(name: str):
    """Draw a figure of the paper into the first run's directory."""
    figure = FIGURES[name](FLAGS.run_dir)
    folder = (
        pathlib.Path(FLAGS.figure_dir)
        if FLAGS.figure_dir
        else RunDirectory(FLAGS.run_dir[0]).figures
    )
    draw(figure, name, folder)


COMMANDS: dict[str, Callable[[], None]] = {
    "digits": lambda: digits(request()),
    "table1": lambda: mnist_tables.table1(request()),
    "table2": lambda: image_set_tables.TABLE2.show(request()),
    "table4": lambda: image_set_tables.TABLE4.show(request()),
    "fashion_mnist": lambda: image_set_tables.FASHION_MNIST.show(request()),
    "table6": lambda: ablations.table6(request()),
    "table7": lambda: ablations.table7(request()),
    "table8": lambda: ablations.table8(request()),
    "likelihood": lambda: likelihood.likelihood(request([likelihood.DIGIT])),
    "learning_curve": lambda: learning_curve.draw_learning_curves(
        mnist_tables.holdout_cells(request(), ["nae"])
    ),
    "minutes": lambda: learning_curve.print_minutes(
        mnist_tables.holdout_cells(request(), FLAGS.methods or ["nae"])
    ),
    "search": lambda: search(
        request([ablations.DIGIT]), FLAGS.variant, FLAGS.gin_bindings
    ),
    "search_by_classes": lambda: search_by_classes(
        request([5, 7]),
        FLAGS.variant,
        [int(digit) for digit in FLAGS.left_out_digits],
        FLAGS.gin_bindings,
    ),
    "search_color": lambda: search_color(
        request(), FLAGS.variant, FLAGS.gin_bindings
    ),
    **{name: functools.partial(draw_run, name) for name in FIGURES},
    "figure3": lambda: chain_starts.figure3(
        FLAGS.num_seeds, FLAGS.jobs, FLAGS.show
    ),
    "figure5": lambda: chain_starts.figure5(FLAGS.jobs, FLAGS.show),
    "figure11": two_blobs.figure11,
}


def main(argv):
    """Carry out the sub-command that the command line names."""
    if len(argv) != 2 or argv[1] not in COMMANDS:
        raise app.UsageError(f"expected one of: {', '.join(COMMANDS)}.")
    if not FLAGS["verbosity"].present:
        # At INFO level gin reports every folder that it searches.
        logging.set_verbosity(logging.WARNING)
    try:
        COMMANDS[argv[1]]()
    except (ImportError, OSError, RuntimeError, ValueError) as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    app.run(main)
