"""Search how long `NAEDetector` trains NAE on images.

    python tools/search_image_steps.py --max_passes=15 --seeds 11 12
    python tools/search_image_steps.py --cosine --seeds 13 14
    python tools/search_image_steps.py --show

After one pre-training NAE is trained at 1e-3 and scored on the way; beside it
stands the default before this search, 50 steps at 1e-4. With --cosine every
number of steps is a training of its own, whose rate falls to 0, after the
pre-training of the recipe. The rules by which one is taken were written down
before (docs/log.md), and no task is one that the recipe is reported on. MNIST
is read from NAE_TF_DATA_DIR.
"""

import argparse
import functools
import json
import pathlib
import tempfile
import time
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

import compare_recipe
from nae_tf import NAEDetector
from nae_tf.base.step_budget import RECIPE, limited_steps
from nae_tf.data.sources import ArrayExamples
from nae_tf.metrics import auroc
from reproduction import cells

SEEDS = (10, 11, 12, 13, 14)
LEARNING_RATE, BATCH_SIZE = 1e-3, 64
LOOKS = (50, 100, 200, 300, 500)
BEFORE: dict[str, Any] = {"steps": 50, "learning_rate": 1e-4}
# For few images: the recipe's limit, and that of the ensembles.
LIMITS = (100, 15)
COSINE_STEPS = (100, 200, 500)
_MNIST_TRAIN = 2_000


def _few_digits(held_out: int, seed: int) -> compare_recipe.Arrays:
    train, inliers, outliers = compare_recipe.digits(held_out, seed)
    return train[:60], inliers, outliers


TASKS: dict[str, Callable[[int], compare_recipe.Arrays]] = {
    **{
        f"digits, {c}": functools.partial(compare_recipe.digits, c)
        for c in (1, 3, 5)
    },
    "digits, 3, 60 images": functools.partial(_few_digits, 3),
    **{
        f"MNIST, {c}": functools.partial(
            compare_recipe.mnist, c, num_train=_MNIST_TRAIN
        )
        for c in (1, 3)
    },
}


class Looks(keras.callbacks.Callback):
    """Keep the AUROC after some steps and the last, and CPU seconds of them."""

    def __init__(self, last: int, score: Callable[[], float]):
        super().__init__()
        self.looks = {*LOOKS, last}
        self.score = score
        self.aurocs: dict[int, float] = {}
        self.seconds: dict[int, float] = {}

    def on_train_begin(self, logs=None):
        """Start the clock."""
        self.step, self.looking, self.start = 0, 0.0, time.process_time()

    def on_train_batch_end(self, batch, logs=None):
        """Score, on time that is not counted."""
        self.step += 1
        if self.step in self.looks:
            now = time.process_time()
            self.seconds[self.step] = now - self.start - self.looking
            self.aurocs[self.step] = self.score()
            self.looking += time.process_time() - now


def run_cell(task: str, seed: int, max_passes: int) -> dict:
    """Train a task; return the AUROCs by steps of NAE."""
    train, inliers, outliers = TASKS[task](seed)

    def measured(detector):
        scores = (-detector.score_samples(x) for x in (inliers, outliers))
        return float(auroc(*scores))

    before = measured(NAEDetector(random_state=seed, **BEFORE).fit(train))
    detector = NAEDetector(random_state=seed, steps=0).fit(train)
    autoencoder = measured(detector)
    examples = ArrayExamples(
        name="training data",
        size=len(train),
        shape=train.shape[1:],
        num_levels=None,
        read=lambda: train,
    )
    batch_size = min(BATCH_SIZE, len(train))
    model = detector.model_
    model.compile(keras.optimizers.Adam(LEARNING_RATE))
    passing = len(train) / batch_size
    steps = limited_steps(LOOKS[-1], max_passes, passing)
    looks = Looks(steps, lambda: measured(detector))
    model.fit(
        examples.training_batches(batch_size, seed),
        steps_per_epoch=steps,
        shuffle=False,
        verbose=0,
        callbacks=[looks],
    )
    return {
        "task": task,
        "seed": seed,
        "num_train": len(train),
        "AE": autoencoder,
        "before": before,
        "NAE": looks.aurocs,
        "training_seconds": looks.seconds,
    }


def run_cosine_cell(task: str, seed: int) -> dict:
    """Train a task after the recipe's pre-training, a training per number."""
    train, inliers, outliers = TASKS[task](seed)

    def measured(detector):
        scores = (-detector.score_samples(x) for x in (inliers, outliers))
        return float(auroc(*scores))

    before = NAEDetector(random_state=seed, steps=100, learning_rate=1e-3)
    passing = len(train) / min(BATCH_SIZE, len(train))
    before.set_params(steps=limited_steps(100, LIMITS[-1], passing))
    found: dict[str, Any] = {"before": measured(before.fit(train))}
    detector = NAEDetector(
        random_state=seed,
        pretraining_steps=RECIPE.pretraining.steps,
        steps=0,
    ).fit(train)
    found["AE"] = measured(detector)
    model, aurocs = detector.model_, {}
    with tempfile.TemporaryDirectory() as folder:
        start = f"{folder}/start.weights.h5"
        model.save_weights(start)
        for number in COSINE_STEPS:
            steps = limited_steps(number, LIMITS[-1], passing)
            if str(steps) in aurocs:
                continue
            model.load_weights(start)
            rate = keras.optimizers.schedules.CosineDecay(LEARNING_RATE, steps)
            model.compile(keras.optimizers.Adam(rate))
            rows = tf.data.Dataset.from_tensor_slices(train)
            rows = rows.shuffle(len(train), seed=seed).repeat()
            model.fit(
                rows.batch(min(BATCH_SIZE, len(train)), drop_remainder=True),
                steps_per_epoch=steps,
                verbose=0,
            )
            aurocs[str(steps)] = measured(detector)
    return {"task": task, "seed": seed, "num_train": len(train)} | {
        **found,
        "NAE": aurocs,
    }


def stored(task: str, seed: int, max_passes: int | str) -> pathlib.Path:
    """Return the file of a cell; the limit of passes may be "cosine"."""
    name = task.replace(",", "").replace(" ", "_")
    folder = (
        cells.RESULTS
        / "image_steps"
        / (max_passes if max_passes == "cosine" else f"passes-{max_passes}")
    )
    return folder / f"{name}-seed{seed}.json"


def show() -> str:
    """Return a table of what is stored for every search."""
    constant = [
        f"at most {limit} passes\n\n{_table(limit, LOOKS, '50 at 1e-4')}"
        for limit in LIMITS
    ]
    cosine = _table("cosine", COSINE_STEPS, "100, constant")
    return "\n\n".join([*constant, f"cosine\n\n{cosine}"])


def _table(max_passes: int | str, numbers, before: str) -> str:
    lines = [
        f"| task | seeds | AE | {before} "
        + "".join(f"| {step} " for step in numbers)
        + "|",
        "|" + " --- |" * (4 + len(numbers)),
    ]
    table, everything = [], []
    for task in TASKS:
        found = [
            json.loads(stored(task, seed, max_passes).read_text())
            for seed in SEEDS
            if stored(task, seed, max_passes).exists()
        ]
        if not found:
            continue
        everything += found
        rows = [
            [cell["AE"], cell["before"]]
            + [_auroc_after(step, cell["NAE"]) for step in numbers]
            for cell in found
        ]
        table.append(np.mean(rows, axis=0))
        lines.append(_row(task, len(found), table[-1]))
    if table:
        gains = np.array(table) - np.array(table)[:, :1]
        lines += [
            _row("mean", len(table), np.mean(table, axis=0)),
            _row("worst gain", len(table), gains.min(axis=0)),
            "",
            cells.provenance(everything),
        ]
    return "\n".join(lines)


def _auroc_after(step: int, aurocs: dict[str, float]) -> float:
    """Return the AUROC after so many steps, or at an earlier end."""
    steps = [int(key) for key in aurocs]
    return aurocs[str(max([s for s in steps if s <= step] or [min(steps)]))]


def _row(name, counted, values):
    shown = " | ".join(f"{value:.3f}" for value in values)
    return f"| {name} | {counted} | {shown} |"


def main(arguments: Sequence[str] | None = None):
    """Compute the missing cells, or print what is stored."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--show", action="store_true", help="Print, and stop.")
    parser.add_argument("--seeds", nargs="+", type=int, default=list(SEEDS))
    parser.add_argument(
        "--max_passes", type=int, choices=LIMITS, default=LIMITS[0]
    )
    parser.add_argument("--cosine", action="store_true")
    parser.add_argument("--tasks", nargs="+", choices=TASKS, default=TASKS)
    given = parser.parse_args(arguments)
    if not given.show:
        origin = cells.current_origin()
        for seed in given.seeds:
            for task in given.tasks:
                run = functools.partial(run_cell, task, seed, given.max_passes)
                if given.cosine:
                    run = functools.partial(run_cosine_cell, task, seed)
                search = "cosine" if given.cosine else given.max_passes
                cells.store_timed(stored(task, seed, search), run, origin)
    print(show())


if __name__ == "__main__":
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    main()
