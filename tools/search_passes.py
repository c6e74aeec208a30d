"""Search the limits of the recipe's passes over few rows.

    python tools/search_passes.py --tables=FOLDER --limits 15 30 none
    python tools/search_passes.py --show

FOLDER has the files NAME.npz of ADBench. Every task is pre-trained once per
seed and limit of the pre-training (--pretraining), and NAE is trained from
there once per limit. The rule by which one is taken was written down before
(docs/log.md); no task is one that the recipe is reported on.
"""

import argparse
import collections
import functools
import json
import math
import pathlib
import tempfile
from collections.abc import Sequence

import keras
import numpy as np
import tensorflow as tf

import compare_recipe
from benchmarking.tables import tables_of_folder
from nae_tf import NAE
from nae_tf.base.step_budget import RECIPE, limited_steps
from nae_tf.metrics import auroc
from reproduction import cells

SEEDS = (10, 11, 12)
STEPS, PRETRAINING_STEPS, BATCH_SIZE = 500, 1_500, 64
# Training rows by task; None for all of them.
TASKS = (
    *(("digits, 1", rows) for rows in (60, 200)),
    ("digits, 3", 60),
    *((name, None) for name in ("Hepatitis", "WBC", "vertebral", "Stamps")),
    ("cardio", 200),
    *(("pendigits", rows) for rows in (60, 200)),
    ("digits, 1", None),
)


@keras.saving.register_keras_serializable()
class CosineOfLength(keras.optimizers.schedules.LearningRateSchedule):
    """The recipe's cosine, of a length that graphs do not fix."""

    def __init__(self):
        self.steps = tf.Variable(STEPS, dtype=tf.float32, trainable=False)

    def __call__(self, step):
        """Return the rate of a step."""
        share = tf.minimum(tf.cast(step, tf.float32) / self.steps, 1.0)
        return (
            RECIPE.training.learning_rate
            * 0.5
            * (1.0 + tf.cos(math.pi * share))
        )

    def get_config(self):
        """Return no settings."""
        return {}


def arrays(task: tuple[str, int | None], seed: int, tables: pathlib.Path):
    """Read training inliers, test inliers and test outliers."""
    name, rows = task
    if name.startswith("digits"):
        train, inliers, outliers = compare_recipe.digits(int(name[-1]), seed)
    else:
        [table] = [t for t in tables_of_folder(tables) if t.name == name]
        split = table.split(seed)
        train, inliers, outliers = split.train, split.inliers, split.outliers
    return train[:rows], inliers[:500], outliers[:500]


def steps_of(limit: str, steps: int, rows: int) -> int:
    """Return the steps, or as many as pass `limit` times over the rows."""
    passes = None if limit == "none" else int(limit)
    return limited_steps(steps, passes, rows / BATCH_SIZE)


def run_cell(task, seed, pretraining: str, limits, tables) -> dict:
    """Pre-train once; train NAE for every limit; return the AUROCs."""
    train, inliers, outliers = arrays(task, seed, tables)
    keras.utils.set_random_seed(seed)
    encoder, decoder = compare_recipe.networks(train.shape[1:])

    def measured(model):
        return auroc(
            model.predict_outlier_score(inliers),
            model.predict_outlier_score(outliers),
        )

    model = NAE(encoder, decoder, seed=seed)
    if train.ndim == 2:
        model.standardize(train)
    steps = steps_of(pretraining, PRETRAINING_STEPS, len(train))
    model.pretrain(train, steps=steps, verbose=0)
    found = {"AE": measured(model), "num_train": len(train), "NAE": {}}
    schedule = CosineOfLength()
    model.prepare_fit(train)
    model.compile(keras.optimizers.Adam(schedule))
    model.optimizer.build(model.trainable_variables)
    with tempfile.TemporaryDirectory() as folder:
        start = f"{folder}/start.weights.h5"
        model.save_weights(start)
        for limit in limits:
            # One graph for all limits: to trace it costs more than most train.
            model.load_weights(start)
            steps = steps_of(limit, STEPS, len(train))
            schedule.steps.assign(steps)
            model.fit(train, steps=steps, epochs=1, verbose=0)
            assert int(model.optimizer.iterations.numpy()) == steps
            found["NAE"][limit] = measured(model)
    return found


def stored(task, seed, pretraining) -> pathlib.Path:
    """Return the file of a cell."""
    name = f"{task[0].replace(', ', '_')}-{task[1] or 'all'}"
    folder = cells.RESULTS / "passes" / f"pretraining-{pretraining}"
    return folder / f"{name}-seed{seed}.json"


def show() -> str:
    """Return a table per limit of the pre-training."""
    lines = []
    for pretraining in ("300", "none"):
        found = collections.defaultdict(list)
        for task in TASKS:
            for seed in SEEDS:
                file = stored(task, seed, pretraining)
                if file.exists():
                    found[task].append(json.loads(file.read_text()))
        if not found:
            continue
        limits = list(next(iter(found.values()))[0]["NAE"])
        lines += [
            f"pre-training: limit {pretraining}",
            "",
            f"| task | seeds | AE | {' | '.join(limits)} |",
            "|" + " --- |" * (3 + len(limits)),
        ]
        table = []
        for task, of_task in found.items():
            row = [np.mean([c["AE"] for c in of_task])]
            row += [np.mean([c["NAE"][k] for c in of_task]) for k in limits]
            table.append(row)
            lines.append(_row(f"{task[0]}, {task[1] or 'all'}", of_task, row))
        aurocs = np.array(table)
        lines.append(_row("mean", table, aurocs.mean(0)))
        worst = (aurocs - aurocs[:, :1]).min(0)
        lines.append(_row("worst gain", table, worst))
        everything = [cell for of_task in found.values() for cell in of_task]
        lines += ["", cells.provenance(everything), ""]
    return "\n".join(lines)


def _row(name, counted, values):
    shown = " | ".join(f"{value:.3f}" for value in values)
    return f"| {name} | {len(counted)} | {shown} |"


def main(arguments: Sequence[str] | None = None):
    """Compute the missing cells, or print what is stored."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--show", action="store_true", help="Print, and stop.")
    parser.add_argument("--tables", type=pathlib.Path)
    parser.add_argument("--pretraining", default="none")
    parser.add_argument("--limits", nargs="+", default=["none"])
    parser.add_argument("--seeds", nargs="+", type=int, default=list(SEEDS))
    given = parser.parse_args(arguments)
    if not given.show:
        origin = cells.current_origin()
        for seed in given.seeds:
            for task in TASKS:
                run = functools.partial(
                    run_cell,
                    *(task, seed, given.pretraining),
                    *(given.limits, given.tables),
                )
                file = stored(task, seed, given.pretraining)
                cells.store_timed(file, run, origin)
    print(show())


if __name__ == "__main__":
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    main()
