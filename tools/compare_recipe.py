"""Compare NAE by its defaults with its own autoencoder on eight small tasks.

    python tools/compare_recipe.py
    python tools/compare_recipe.py --show

What a stranger does, and nothing chosen. With Keras: `NAE(encoder, decoder)`,
`pretrain(x)` and `fit(x, steps="auto")`. With scikit-learn: `NAEDetector()`,
its autoencoder by `steps=0`. Cells are stored in tools/results/recipe, one file
per route, task and seed, and not computed again; a killed comparison goes on
with the missing ones. MNIST is read from NAE_TF_DATA_DIR, and left out by
--tasks.
"""

import argparse
import functools
import itertools
import json
import pathlib
import time
from collections.abc import Callable, Sequence

import keras
import numpy as np
import tensorflow as tf

from benchmarking.tables import tables_of_scikit_learn
from nae_tf import NAE, NAEDetector
from nae_tf.data import Examples, digits_holdout, mnist_holdout
from nae_tf.metrics import auroc
from nae_tf.networks import MLPDecoder, MLPEncoder
from nae_tf.runs.disk import write_atomically
from reproduction import cells

SEEDS = (0, 1, 2)
_MNIST_TEST = 1_000

# Training inliers, test inliers, test outliers.
Arrays = tuple[np.ndarray, np.ndarray, np.ndarray]


def digits(held_out: int, seed: int) -> Arrays:
    """Read scikit-learn's digits, float32 [num, 8, 8, 1] in [0, 1]."""
    task = digits_holdout(held_out, seed)
    [outliers] = task.outliers.values()
    return _read(task.train), _read(task.test), _read(outliers)


def mnist(held_out: int, seed: int, num_train: int) -> Arrays:
    """Read training images and up to 1,000 test images of each kind."""
    task = mnist_holdout(held_out)
    [outliers] = task.outliers.values()
    rng = np.random.default_rng(seed)
    train = rng.permutation(_read(task.train))[:num_train]
    test, outliers = (
        rng.permutation(_read(examples))[:_MNIST_TEST]
        for examples in (task.test, outliers)
    )
    return train, test, outliers


def small_mnist(held_out: int, seed: int, num_train: int = 5_000) -> Arrays:
    """Read images of MNIST at half their width, 14x14."""
    train, test, outliers = mnist(held_out, seed, num_train)
    return _halved(train), _halved(test), _halved(outliers)


def table(name: str, seed: int) -> Arrays:
    """Read a table of scikit-learn, features in their own units."""
    [found] = [t for t in tables_of_scikit_learn() if t.name == name]
    split = found.split(seed)
    return split.train, split.inliers, split.outliers


_TABLES = (
    "breast cancer, malignant",
    "wine, cultivar 1",
    "wine, cultivar 2",
    "wine, cultivar 3",
)
TASKS: dict[str, Callable[[int], Arrays]] = {
    **{f"digits, {c}": functools.partial(digits, c) for c in (8, 9)},
    **{name: functools.partial(table, name) for name in _TABLES},
    **{f"small MNIST, {c}": functools.partial(small_mnist, c) for c in (4, 7)},
}


def networks(shape: tuple[int, ...], latents: int | None = None):
    """Make the networks of a task, those that the guides show.

    Args:
        shape: shape of an example.
        latents: number of latents; None for that of the guides.
    """
    if len(shape) == 3:
        latents = latents or 16
        return MLPEncoder(latents, shape), MLPDecoder(latents, shape)
    layers, latents = keras.layers, latents or 8
    encoder = [keras.Input(shape), layers.Dense(64, "relu")]
    decoder = [keras.Input((latents,)), layers.Dense(64, "relu")]
    return (
        keras.Sequential([*encoder, layers.Dense(latents)]),
        keras.Sequential([*decoder, layers.Dense(*shape)]),
    )


def by_keras(train, seed: int, score) -> tuple[float, float]:
    """Train by the defaults of `NAE`; return both AUROCs."""
    keras.utils.set_random_seed(seed)
    encoder, decoder = networks(train.shape[1:])
    model = NAE(encoder, decoder, seed=seed)
    if train.ndim == 2:
        model.standardize(train)
    model.pretrain(train, verbose=0)
    autoencoder = score(model.predict_outlier_score)
    model.fit(train, steps="auto", verbose=0)
    return autoencoder, score(model.predict_outlier_score)


def by_scikit_learn(train, seed: int, score) -> tuple[float, float]:
    """Train by the defaults of `NAEDetector`; return both AUROCs."""

    def trained(**settings):
        detector = NAEDetector(random_state=seed, **settings).fit(train)
        return score(lambda x: -detector.score_samples(x))

    return trained(steps=0), trained()


ROUTES = {"Keras": by_keras, "scikit-learn": by_scikit_learn}


def run_cell(route: str, task: str, seed: int) -> dict:
    """Train a task by the defaults of a route."""
    train, inliers, outliers = TASKS[task](seed)
    start = time.monotonic()
    autoencoder, nae = ROUTES[route](
        train,
        seed,
        lambda scores: float(auroc(scores(inliers), scores(outliers))),
    )
    return {
        "route": route,
        "task": task,
        "seed": seed,
        "num_train": len(train),
        "num_inliers": len(inliers),
        "num_outliers": len(outliers),
        "AE": autoencoder,
        "NAE": nae,
        "seconds": round(time.monotonic() - start, 1),
    }


def stored(route: str, task: str, seed: int) -> pathlib.Path:
    """Return the file of a cell."""
    name = task.replace(",", "").replace(" ", "_")
    folder = cells.RESULTS / "recipe" / route.lower()
    return folder / f"{name}-seed{seed}.json"


def show() -> str:
    """Return a table per route of what is stored, and say what is missing."""
    return "\n\n".join(f"{route}\n\n{_table(route)}" for route in ROUTES)


def _table(route: str) -> str:
    found = {
        (task, seed): json.loads(stored(route, task, seed).read_text())
        for task in TASKS
        for seed in SEEDS
        if stored(route, task, seed).exists()
    }
    lines = ["| task | seeds | AE | NAE | gain |", "|" + " --- |" * 5]
    gains = []
    for task in TASKS:
        of_task = [cell for (name, _), cell in found.items() if name == task]
        if not of_task:
            continue
        ae, nae = (np.mean([c[k] for c in of_task]) for k in ("AE", "NAE"))
        gains.append(nae - ae)
        lines.append(
            f"| {task} | {len(of_task)} | {ae:.3f} | {nae:.3f} "
            f"| {nae - ae:+.3f} |"
        )
    if found:
        # Tasks differ; seeds of one are no independent evidence.
        mean, half = cells.mean_interval(gains)
        lines += [
            "",
            f"mean gain over {len(gains)} tasks: {mean:+.3f} ± {half:.3f} "
            f"(95 %, paired by task); worst {min(gains):+.3f}",
            cells.provenance(found.values()),
        ]
    missing = len(TASKS) * len(SEEDS) - len(found)
    lines.append(f"missing: {missing} of {len(TASKS) * len(SEEDS)} cells")
    return "\n".join(lines)


def _halved(images):
    return images.reshape([len(images), 14, 2, 14, 2, 1]).mean((2, 4))


def _read(examples: Examples) -> np.ndarray:
    return np.concatenate(list(examples.batches(256).as_numpy_iterator()))


def main(arguments: Sequence[str] | None = None):
    """Compute the missing cells, or print what is stored."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--show", action="store_true", help="Print, and stop.")
    parser.add_argument(
        "--tasks",
        nargs="+",
        choices=TASKS,
        default=list(TASKS),
        metavar="TASK",
        help=f"Some of {'; '.join(TASKS)}.",
    )
    parser.add_argument(
        "--routes", nargs="+", choices=ROUTES, default=list(ROUTES)
    )
    given = parser.parse_args(arguments)
    if not given.show:
        origin = cells.current_origin()
        for seed, route, task in itertools.product(
            SEEDS, given.routes, given.tasks
        ):
            file = stored(route, task, seed)
            if not file.exists():
                file.parent.mkdir(parents=True, exist_ok=True)
                results = run_cell(route, task, seed) | origin
                write_atomically(file, json.dumps(results, indent=2) + "\n")
    print(show())


if __name__ == "__main__":
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    main()
