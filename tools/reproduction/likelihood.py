"""Likelihood of the digits, by method, and the complexity of images.

Glow and PixelCNN++ have a likelihood. The autoencoder and NAE have one as soon
as the normaliser of their energy is known (`nae_tf.evaluation`), at the
temperature that suits validation data. IGEBM is shown by its energy alone.
"""

import math
import sys
import zlib

import numpy as np
import scipy.stats

from nae_tf.autoencoder import Autoencoder
from nae_tf.data.examples import Examples, add_dequantization_noise
from nae_tf.evaluation import LogNormalizer, log_normalizer
from nae_tf.evaluation.results import trained_methods
from nae_tf.metrics import auroc
from nae_tf.runs.run_directory import RunDirectory
from nae_tf.training.experiment import Experiment
from nae_tf.training.run_data import with_data_of_run
from reproduction.cells import Cell
from reproduction.digits_table import digits_cell
from reproduction.figures.files import draw
from reproduction.markdown_tables import (
    MISSING,
    Request,
    print_provenance,
    print_table,
    stored_results,
)
from reproduction.plots.complexity import Panel, complexity_figure

# None stands for AE and NAE, which are one training.
METHODS = (None, "igebm", "glow", "pixelcnn")
DIGIT = 1  # Few strokes: what simplicity makes likely.
GRAY = "ConstantGray"
TEST = "test digits"
_TITLES = {"PixelCNN": "PixelCNN++"}
_NUM_DRAWS = 4  # Of the dequantisation noise, as `Glow` has by default.
_NUM_TEMPERATURES = 4_000

# --- Measures -----------------------------------------------------------------


def compressed_sizes(images, num_levels: int) -> list[int]:
    """Return the sizes in bytes of images that zlib has compressed.

    Args:
        images: float [batch, ...], multiples of 1 / (num_levels - 1).
        num_levels: number of grey levels, 2 to 256.
    """
    levels = np.rint(np.asarray(images) * (num_levels - 1)).astype(np.uint8)
    return [len(zlib.compress(image.tobytes(), 9)) for image in levels]


def grey_images(shape: tuple[int, ...], num_levels: int) -> np.ndarray:
    """Return an image of every grey level, float32 [num_levels, *shape]."""
    levels = np.arange(num_levels, dtype=np.float32) / (num_levels - 1)
    return levels.reshape(-1, *[1] * len(shape)) * np.ones(shape, np.float32)


def dequantized(images, num_levels: int, num_draws: int, seed: int):
    """Return images with noise, as training has them, `num_draws` times each.

    Args:
        images: float [batch, ...].
        num_levels: number of grey levels.
        num_draws: number of draws of the noise.
        seed: seed of the noise.

    Returns:
        float32 [num_draws * batch, ...].
    """
    repeated = np.concatenate([images] * num_draws)
    noise = np.random.default_rng(seed).uniform(size=repeated.shape)
    noisy = add_dequantization_noise(repeated, noise, num_levels)
    # Rounded to single precision it could leave the box.
    return np.minimum(noisy, 1.0).astype(np.float32)


def bits_per_dimension(log_likelihood: float, num_values: int, num_levels: int):
    """Return bits per dimension of images whose density with noise is known.

    The log probability of an image is at least the mean log density of its
    noisy copies, less log num_levels per value: Glow's bound.

    Args:
        log_likelihood: mean log density in nats, of values in [0, 1].
        num_values: number of values of an image.
        num_levels: number of grey levels.
    """
    per_value = -log_likelihood / (num_values * math.log(2))
    return per_value + math.log2(num_levels)


def measure_likelihood(run: RunDirectory, experiment: Experiment) -> dict:
    """Measure a finished run of images with grey levels.

    Returns:
        A dictionary "images" with a dictionary per set, "sizes" and a list of
        scores by method; and "likelihood" with one per method, if it has a
        likelihood: "bits", the [lower, upper] mean of every set. NAE's and AE's
        have also "inverse_temperature", that of the "coldest" chains,
        "log_normalizer", "sample_size" and "is_trusted".
    """
    experiment = with_data_of_run(run, experiment)
    task = experiment.task
    num_levels = task.train.num_levels
    assert num_levels is not None  # Its images have grey levels.
    sets = {
        TEST: _all(task.test),
        **{name: _all(examples) for name, examples in task.outliers.items()},
        GRAY: grey_images(task.example_shape, num_levels),
    }
    images: dict = {
        name: {"sizes": compressed_sizes(x, num_levels)}
        for name, x in sets.items()
    }
    likelihood = {}
    for method, model in trained_methods(run, experiment):
        for name, x in sets.items():
            scores = model.predict_outlier_score(x)
            images[name][method] = [float(f"{s:.6g}") for s in scores]
        if isinstance(model, Autoencoder):
            likelihood[method] = _of_energy(
                model, sets, _all(task.validation), num_levels, experiment.seed
            )
        elif hasattr(model, "log_likelihood"):
            means = {
                name: float(np.mean(images[name][method])) for name in sets
            }
            likelihood[method] = {
                "bits": {name: [mean, mean] for name, mean in means.items()}
            }
    return {"images": images, "likelihood": likelihood}


def _all(examples: Examples) -> np.ndarray:
    return next(examples.batches(examples.size).as_numpy_iterator())


def _of_energy(model, sets, validation, num_levels: int, seed: int) -> dict:
    """Return the likelihood that an energy has at its best temperature."""

    def noisy(x):
        return dequantized(x, num_levels, _NUM_DRAWS, seed)

    def mean_energy(x):
        return float(model.predict_outlier_score(noisy(x)).mean())

    energy, num_values = mean_energy(validation), validation[0].size
    found = log_normalizer(
        model.energy,
        noisy(validation),
        # A Gaussian's with this error is at twice as much.
        min_temperature=energy / num_values,
        num_temperatures=_NUM_TEMPERATURES,
        seed=seed,
    )
    best = found.best_temperature(energy)
    return {
        "bits": {
            name: _bits(found, best, mean_energy(x), num_values, num_levels)
            for name, x in sets.items()
        },
        "log_normalizer": [found.lower[best], found.upper[best]],
        "inverse_temperature": float(found.inverse_temperatures[best]),
        "coldest": float(found.inverse_temperatures[-1]),
        "sample_size": float(found.sample_sizes[best]),
        "is_trusted": bool(found.is_trusted[best]),
    }


def _bits(found: LogNormalizer, best: int, energy, num_values, num_levels):
    lower, upper = found.log_likelihoods(energy)
    return [
        bits_per_dimension(float(ends[best]), num_values, num_levels)
        for ends in (upper, lower)
    ]


# --- Command ------------------------------------------------------------------


def likelihood_cell(method: str | None, digit: int, seed: int) -> Cell:
    """Return the cell of a method, None for AE and NAE together."""
    like = digits_cell(method, digit, seed)
    return Cell(
        f"likelihood/{method or 'nae'}/digit{digit}-seed{seed}",
        like.gin_files,
        like.bindings,
        measure_likelihood,
    )


def likelihood(request: Request):
    """Print bits per dimension and what images' sizes say; draw the scores.

    Raises:
        ValueError: if there is no such method.
    """
    methods = _chosen(request.methods)
    cells = {
        (method, digit, seed): likelihood_cell(method, digit, seed)
        for method in methods
        for digit in request.digits
        for seed in request.seeds
    }
    results = stored_results(cells, request.jobs, request.show)
    if not results:
        sys.exit("error: no cell is stored; run without --show first.")
    for digit in request.digits:
        for seed in request.seeds:
            stored = {
                method: results[method, digit, seed]
                for method in methods
                if (method, digit, seed) in results
            }
            if stored:
                print(f"Digit {digit} held out, seed {seed}\n")
                print_likelihoods(stored, f"digit {digit}")
                print()
                print_complexity(stored, f"digit {digit}")
    print_provenance(cells, results)
    first = {
        method: result
        for (method, digit, seed), result in results.items()
        if (digit, seed) == (request.digits[0], request.seeds[0])
    }
    if not request.show:
        draw(complexity_figure(panels(first)), "complexity")


def _chosen(names) -> list[str | None]:
    """Return the methods of these names, all if there are none."""
    by_name = {method or "nae": method for method in METHODS}
    unknown = set(names or ()) - set(by_name)
    if unknown:
        raise ValueError(
            f"--methods: expected some of {', '.join(by_name)}, received "
            f"{', '.join(sorted(unknown))}."
        )
    return [m for name, m in by_name.items() if not names or name in names]


def print_likelihoods(results: dict, held_out: str):
    """Print bits per dimension of all methods that have a likelihood.

    Args:
        results: results of cells, by method.
        held_out: name of the set of the held-out digit.
    """
    rows = []
    for result in results.values():
        for name, found in result["likelihood"].items():
            row = [_TITLES.get(name, name)]
            for images in (TEST, held_out, GRAY):
                low, high = found["bits"][images]
                shown = f"{low:.2f}"
                row.append(shown if low == high else f"{shown} to {high:.2f}")
            row += [MISSING] * 3
            if "log_normalizer" in found:
                low, high = found["log_normalizer"]
                row[-3] = f"{found['inverse_temperature']:.3g}"
                row[-2] = f"{high - low:.1f}"
                row[-1] = f"{found['sample_size']:.1f}"
                if not found["is_trusted"]:
                    row[-1] += ", do not trust"
            rows.append(row)
    print_table(
        [
            "bits per dimension",
            TEST,
            held_out,
            GRAY,
            "1 / T",
            "width of log Ω / nats",
            "effective samples",
        ],
        rows,
    )


def print_complexity(results: dict, held_out: str):
    """Print how scores go with sizes, and what they detect.

    Args:
        results: results of cells, by method.
        held_out: name of the set of the held-out digit.
    """
    sets = next(iter(results.values()))["images"]
    scores = {"compressed size": {name: s["sizes"] for name, s in sets.items()}}
    for result in results.values():
        for method in result["auroc"]:
            scores[_TITLES.get(method, method)] = {
                name: s[method] for name, s in result["images"].items()
            }
    rows = []
    for method, by_set in scores.items():
        correlations = [
            scipy.stats.spearmanr(sizes, found).statistic
            for sizes, found in [
                (sets[TEST]["sizes"], by_set[TEST]),
                (
                    [size for s in sets.values() for size in s["sizes"]],
                    [score for s in by_set.values() for score in s],
                ),
            ]
        ]
        aurocs = [
            auroc(np.array(by_set[TEST]), np.array(by_set[name]))
            for name in (held_out, GRAY)
        ]
        rows.append([method, *(f"{v:.3f}" for v in (*correlations, *aurocs))])
    print_table(
        [
            "score",
            f"rank correlation with size, {TEST}",
            "all images",
            f"AUROC of {held_out}",
            f"of {GRAY}",
        ],
        rows,
    )


def panels(results: dict) -> list[Panel]:
    """Return a panel per method for the figure.

    Args:
        results: results of cells, by method.
    """
    return [
        Panel(
            _TITLES.get(method, method),
            "bits per dimension"
            if method in result["likelihood"]
            and "log_normalizer" not in result["likelihood"][method]
            else "energy",
            {
                name: (s["sizes"], s[method])
                for name, s in result["images"].items()
            },
        )
        for result in results.values()
        for method in result["auroc"]
    ]
